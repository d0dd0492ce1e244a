"""Periods and points in time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.jobdesc.times import format_mds, format_period, parse_time, read_period

NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10", 600),
        (" 10 ", 600),
        ("2h", 7200),
        ("1 hour 30 minutes", 5400),
        ("1 day, 1 second", 86401),
        ("2 Weeks", 1209600),
        ("2h 30", 9000),
        ("2 days 3", 183600),
        ("5 min 30", 330),
        ("PT10M", 600),
        ("P1DT2H", 93600),
        ("P1W", 604800),
        ("P1Y2M", 36720000),
        ("PT0S", 0),
        ("about 5 minutes", 300),
        ("1 month", 60),
        ("99999999 m", 1705032644),
        ("24856 days", -2147408896),
        ("PT99Y", -1172903296),
        ("P1H1M", 3660),
        ("P1Y1M", 34128000),
        ("1 h " * 5000, 18000000),
    ],
)
def test_a_period_reads_as_arc_reads_it(text: str, seconds: int) -> None:
    assert (seconds, "") == read_period(text, 60)


@pytest.mark.parametrize("text", ["", " ", "abc", "P", "PT5", "PT1.5S", "1.5", "1:30", "1 fortnight", "9" * 5000])
def test_an_invalid_period_is_zero_seconds_and_has_a_fault(text: str) -> None:
    found = read_period(text)

    assert 0 == found.seconds
    assert found.fault


@given(st.integers(min_value=0, max_value=10**9))
def test_a_written_period_comes_back(seconds: int) -> None:
    assert (seconds, "") == read_period(format_period(seconds))


@pytest.mark.parametrize(
    "text",
    [
        "20270101000000Z",
        "2027-01-01T00:00:00Z",
        "2027-01-0100:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-12-31T24:00:00Z",
        "Fri, 01 Jan 2027 00:00:00 GMT",
        "Fri, +1 Jan 2027 00:00:00 GMT",
        " Fri, 1 Jan 2027 00:00:00 GMT",
        "2027-01-01T01:00:00+01:00",
        "2026-12-31T23:00:00.5-0100",
    ],
)
def test_a_time_with_a_zone_is_utc(text: str) -> None:
    assert parse_time(text) == NEW_YEAR


def test_a_time_without_a_zone_is_local() -> None:
    local = datetime(2027, 1, 1).astimezone()

    texts = ("2027-01-01 00:00:00", "20270101000000", "Fri Jan 01 00:00:00 2027", "2027-01-01T 0:00:0\u00e9Z")
    assert {local} == set(map(parse_time, texts))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "2027-01-01",
        "2027-1-1",
        "2027-01-01T00:00",
        "00000101000000Z",
        "1969-12-31T23:59:59Z",
        "x" * 24,
        "x" * 29,
    ],
)
def test_anything_else_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)


def test_a_written_time_comes_back() -> None:
    assert parse_time(format_mds(NEW_YEAR)) == NEW_YEAR
