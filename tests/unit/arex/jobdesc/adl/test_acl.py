"""The access control list of a job."""

from __future__ import annotations

import pytest

from arex.errors import JobRefused
from arex.jobdesc import DescriptionDialect, parse
from arex.jobdesc.adl.acl import acl_document, normal_acl
from arex.jobdesc.check import check
from arex.jobdesc.model import JobDescription
from tests import environments

FIXTURES = environments.DATA / "fixtures"


def test_the_file_is_the_one_that_arc_writes() -> None:
    (path,) = FIXTURES.glob("acl/ctl/*.description")
    (description,) = parse(path.read_bytes(), DescriptionDialect.GRIDMANAGER)

    assert path.with_suffix(".acl").read_text() == acl_document(description.acl)


@pytest.mark.parametrize("acl", ["garbage", "<ACL/>", "<ACL><Content></ACL>"])
def test_an_acl_without_content_is_refused(acl: str) -> None:
    with pytest.raises(JobRefused, match="missing Content element"):
        check(JobDescription(executable="/bin/true", acl=acl))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<a b='é'>é</a>", '<a b="&#xE9;">é</a>'),
        ("<?xml version='1.1' encoding='UTF-8'?><a b='é'>é</a>", '<a b="&#xE9;">é</a>'),
        ("<?xml version='1.0' encoding='ISO-8859-1'?><a>é</a>", "<a>é</a>"),
        ("<a:b c:d='e'/>", '<a:b c:d="e"/>'),
        ("<a xmlns='relative'><![CDATA[<]]></a>", '<a xmlns="relative"><![CDATA[<]]></a>'),
    ],
)
def test_an_acl_is_its_element_alone(text: str, expected: str) -> None:
    assert expected == normal_acl(text)


@pytest.mark.parametrize(
    "text", ["", "x", "<a>", "<a:b>", "<a/><b/>", "<!DOCTYPE a><a/>", "<!DOCTYPE a><a:b/>", "<a>&b;</a>"]
)
def test_what_is_no_xml_is_no_acl(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        normal_acl(text)
