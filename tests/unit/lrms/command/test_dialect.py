"""What all dialects share."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from lrms.command.dialect import host_time


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("tokyo")
@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (datetime(2026, 11, 20, 9, 30, tzinfo=UTC), "2026-11-20 18:30"),
        (datetime(9999, 12, 31, 23, 59, tzinfo=UTC), "9999-12-31 23:59"),
    ],
)
def test_a_start_time_is_in_the_time_zone_of_this_host(when: datetime, expected: str) -> None:
    assert expected == f"{host_time(when):%Y-%m-%d %H:%M}"
