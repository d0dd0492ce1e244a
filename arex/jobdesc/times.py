"""Periods and points in time as users write them and as ARC prints them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

_ISO: Final = re.compile(
    r"P(?:(\d{1,9})Y)?(?:(\d{1,9})M)?(?:(\d{1,9})W)?(?:(\d{1,9})D)?"
    r"(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})S)?)?",
    re.ASCII | re.IGNORECASE,
)
_ISO_SECONDS: Final = (365 * 86400, 30 * 86400, 604800, 86400, 3600, 60, 1)
_WORD: Final = re.compile(r"(\d{1,15})(?!\d)\s*([A-Za-z]*)[\s,]*", re.ASCII)
_WORDS: Final = {
    "w": 604800,
    "week": 604800,
    "weeks": 604800,
    "d": 86400,
    "day": 86400,
    "days": 86400,
    "h": 3600,
    "hour": 3600,
    "hours": 3600,
    "m": 60,
    "min": 60,
    "mins": 60,
    "minute": 60,
    "minutes": 60,
    "s": 1,
    "sec": 1,
    "secs": 1,
    "second": 1,
    "seconds": 1,
}

_MDS: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(Z?)", re.ASCII)
_STAMP: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?(Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)


def parse_period(text: str, unit_s: int = 1) -> int:
    """
    Seconds in ``PT10M``, ``1 hour 30 minutes``, ``2h`` or a bare number of ``unit_s`` seconds.

    Raises:
        ValueError: it is no period.
    """
    text = text.strip()
    iso = _ISO.fullmatch(text)
    if iso is not None and any(iso.groups()):
        return sum(int(number) * seconds for number, seconds in zip(iso.groups(), _ISO_SECONDS, strict=True) if number)
    total, at = 0, 0
    while at < len(text) and (word := _WORD.match(text, at)) is not None:
        unit = unit_s if not word[2] else _WORDS.get(word[2].lower())
        if unit is None:
            break
        total, at = total + int(word[1]) * unit, word.end()
    if not text or at < len(text):
        raise ValueError(f"not a period of time: {text[:80]!r}")
    return total


def format_period(seconds: int) -> str:
    """The way ARC prints a period: hours, minutes and seconds that are not zero; ``PT0S`` for none."""
    hours, rest = divmod(seconds, 3600)
    parts = [f"{number}{unit}" for number, unit in ((hours, "H"), (rest // 60, "M"), (rest % 60, "S")) if number]
    return f"PT{''.join(parts) or '0S'}"


def parse_time(text: str) -> datetime:
    """
    A point in time, as UTC; without a zone it is local time.

    Raises:
        ValueError: it is no time in a format that ARC knows.
    """
    text = text.strip()
    match = _MDS.fullmatch(text) or _STAMP.fullmatch(text)
    if match is None:
        raise ValueError(f"not a time: {text[:80]!r}")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    if not 1970 <= year < 9000:  # near the ends of what a datetime can hold, a zone or a period leads beyond
        raise ValueError(f"not a time between 1970 and 9000: {text[:80]!r}")
    return datetime(year, month, day, hour, minute, second, tzinfo=_zone(match[7] or "")).astimezone(UTC)


def _zone(text: str) -> timezone | None:
    if not text:
        return None
    if text == "Z":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)


def format_mds(when: datetime) -> str:
    """``20270101000000Z``, always UTC."""
    when = when.astimezone(UTC)
    return f"{when.year:04}{when.month:02}{when.day:02}{when.hour:02}{when.minute:02}{when.second:02}Z"
