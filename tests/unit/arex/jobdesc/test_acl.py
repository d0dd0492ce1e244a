"""The access control list of a job."""

from __future__ import annotations

from pathlib import Path

import pytest

from arex.errors import JobRefused
from arex.jobdesc import Dialect, parse
from arex.jobdesc.acl import acl_document
from arex.jobdesc.check import check
from arex.jobdesc.model import JobDescription

FIXTURES = Path(__file__).parents[3] / "data" / "fixtures"


def test_the_file_is_the_one_that_arc_writes() -> None:
    (path,) = FIXTURES.glob("acl/ctl/*.description")
    (description,) = parse(path.read_bytes(), Dialect.GRIDMANAGER)

    assert path.with_suffix(".acl").read_text() == acl_document(description.acl)


@pytest.mark.parametrize("acl", ["garbage", "<ACL/>", "<ACL><Content></ACL>"])
def test_an_acl_without_content_is_refused(acl: str) -> None:
    with pytest.raises(JobRefused, match="missing Content element"):
        check(JobDescription(executable="/bin/true", acl=acl))
