"""Periods and sizes as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.jobdesc import DescriptionDialect, parse
from arex.jobdesc.quantities import megabytes, natural, seconds
from arex.jobdesc.times import read_period

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("text", "meaning_s"),
    [
        ("90", 90 * MINUTE),
        (" 90 ", 90 * MINUTE),
        ("01:30:00", 90 * MINUTE),
        ("1:2:3", HOUR + 2 * MINUTE + 3),
        ("100:00:00", 100 * HOUR),
        ("1-12:00:00", 36 * HOUR),
        ("2-0", 2 * DAY),
        ("1-12:30", 36 * HOUR + 30 * MINUTE),
        ("1h30m", 90 * MINUTE),
        ("1h30", 90 * MINUTE),
        ("1 hour 30 minutes", 90 * MINUTE),
        ("1 Hour, 30 Mins", 90 * MINUTE),
        ("90 minutes", 90 * MINUTE),
        ("1.5h", 90 * MINUTE),
        ("0.5", 30),
        ("45s", 45),
        ("2 hrs", 2 * HOUR),
        ("1 week", 7 * DAY),
        ("PT90M", 90 * MINUTE),
        ("P1DT12H", 36 * HOUR),
    ],
)
def test_a_period_means_what_it_says(text: str, meaning_s: int) -> None:
    assert seconds(text, MINUTE) == meaning_s


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("abc", "'abc' is not a period of time; write 90, \"1 hour 30 minutes\" or 01:30:00"),
        ("", "'' is not a period of time"),
        ("-5", "'-5' is negative"),
        ("0", "'0' is no time at all"),
        ("00:00:00", "'00:00:00' is no time at all"),
        ("PT0S", "'PT0S' is no time at all"),
        ("P1X", "not a period of time: 'P1X'"),
        ("01:30", "'01:30' is ambiguous: write 01:30:00 for hours and minutes, or 00:01:30 for minutes and seconds"),
        ("1:99:00", "'1:99:00' is not a period of time"),
        ("10 minuts", "'minuts' is not a unit of time; write weeks, days, hours, minutes or seconds"),
        ("3 months", "'months' is not a unit of time"),
        ("10 20", "'10 20' is not a period of time"),
        ("5;6", "'5;6' is not a period of time"),
        ("1e3", "'e' is not a unit of time"),
        ("999999 weeks", "'999999 weeks' is longer than 68 years"),
    ],
)
def test_what_cannot_be_a_period_is_an_error(text: str, why: str) -> None:
    with pytest.raises(ValueError) as caught:
        seconds(text, MINUTE)

    assert str(caught.value).startswith(why)


@pytest.mark.parametrize(
    ("text", "meaning_mb"),
    [
        ("2048", 2048),
        ("2GB", 2048),
        ("2 GB", 2048),
        ("2 gib", 2048),
        ("4G", 4096),
        ("512M", 512),
        ("512 MB", 512),
        ("1 TB", 1024 * 1024),
        ("1.5G", 1536),
        ("1P", 1024**3),
        ("2048K", 2),
        ("1k", 1),
    ],
)
def test_a_size_means_what_it_says(text: str, meaning_mb: int) -> None:
    assert megabytes(text) == meaning_mb


@pytest.mark.parametrize("text", ["lots", "-5", "0", "0 GB", "", "2.5", "2XB", "2 GB free", "1 000", "9999 PB", "٣"])
def test_what_cannot_be_a_size_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"2048|more than"):
        megabytes(text)


def test_no_disk_space_can_be_asked_for() -> None:
    assert megabytes("0", zero=True) == 0


@pytest.mark.parametrize("text", ["-1", "1.5", "x", "", "101", "9" * 30])
def test_a_number_has_bounds(text: str) -> None:
    with pytest.raises(ValueError, match="is not a whole number from 0 to 100"):
        natural(text, 100)


@given(st.text(alphabet="0123456789 wdhmsPT:-.,aeoinutr", max_size=12))
def test_what_arc_reads_means_the_same(text: str) -> None:
    """Where ARC sees no fault and we see no mistake, both find the same."""
    arc = read_period(text, MINUTE)
    try:
        ours = seconds(text, MINUTE)
    except ValueError:
        return
    assert arc.fault or arc.seconds == ours


def test_only_users_get_these_forms() -> None:
    """A service of ARC reads what clients write."""
    text = '&(executable=/bin/true)(walltime="01:30:00")(memory=2GB)'
    (user,) = parse(text, DescriptionDialect.USER)
    (service,) = parse(text, DescriptionDialect.GRIDMANAGER)

    assert (user.resources.walltime_s, user.resources.memory_mb) == (5400, 2048)
    assert (service.resources.walltime_s, service.resources.memory_mb) == (0, 2)
    assert user.warnings == ()
    assert [remark.error for remark in service.warnings] == ["", ""]
