"""xRSL of ten megabytes."""

from __future__ import annotations

import time

import pytest

from arex.errors import JobDescriptionError
from arex.jobdesc.model import DescriptionDialect
from arex.jobdesc.xrsl.parser import parse_xrsl

MEGABYTES = 10 * 1024 * 1024


@pytest.mark.parametrize(
    "junk",
    [
        "&" * MEGABYTES,
        "&(" * (MEGABYTES // 2),
        "&(a=" + '"' * (MEGABYTES + 1),
        "&(a=" + "x#" * (MEGABYTES // 2),
        "&(a=" + "$(" * (MEGABYTES // 2),
        "&(a=" + "x" * MEGABYTES,
        "&(a=" + "x " * (MEGABYTES // 2),
        "&" + "(*" * (MEGABYTES // 2),
        "&" + "(a=b)" * (MEGABYTES // 5) + "(",
        "&" + " " * MEGABYTES,
        "&(a=" + "\n" * MEGABYTES,
    ],
    ids=lambda junk: junk[:10].strip(),
)
def test_ten_megabytes_of_junk_are_refused_in_linear_time(junk: str) -> None:
    started = time.process_time()

    with pytest.raises(JobDescriptionError) as caught:
        parse_xrsl(junk, DescriptionDialect.USER)

    assert caught.value.line is not None
    assert time.process_time() - started < 20
