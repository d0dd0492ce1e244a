"""Recorded times move to the present, and nothing else does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.recorded import RECORDED, moved


@pytest.mark.parametrize(
    ("text", "later"),
    [
        (b"cleanuptime=20261127084912Z\n", b"cleanuptime=20280101084912Z\n"),
        (b"2026-11-20T08:49:00Z Job state change", b"2027-12-25T08:49:00Z Job state change"),
        (b"<EndTime>2026-12-31T23:59:59Z</EndTime>", b"<EndTime>2028-02-04T23:59:59Z</EndTime>"),
        (b"arguments=20261127 2026-11-20\xff", b"arguments=20261127 2026-11-20\xff"),
        (b"id=120261127084912Z", b"id=120261127084912Z"),
    ],
)
def test_times_move_with_the_date_of_the_run(text: bytes, later: bytes) -> None:
    assert text == moved(text, RECORDED)
    assert later == moved(text, RECORDED + timedelta(days=400))
