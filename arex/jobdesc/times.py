"""Periods and points in time as users write them and as ARC reads and prints them."""

from __future__ import annotations

import calendar
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from arex.model.numbers import LONG, leading_number, whole_number, wrap

MINUTE: Final = 60
#: Of a text that is a period, in characters; ARC reads any.
_LONGEST: Final = 100_000
_HOUR: Final = 3600
_DAY: Final = 86400
_WEEK: Final = 7 * _DAY
_ISO_UNITS: Final = {"Y": 365 * _DAY, "W": _WEEK, "D": _DAY, "H": _HOUR, "S": 1}
_ISO: Final = re.compile(r"P(?:T|[0-9]+[YWDHMS])*", re.ASCII)
_ISO_PART: Final = re.compile(r"(T)|([0-9]+)([YWDHMS])", re.ASCII)
#: Seconds of a unit, and of the one that a bare number after it means.
_UNITS: Final = {
    "w": (_WEEK, _DAY),
    "d": (_DAY, _HOUR),
    "h": (_HOUR, MINUTE),
    "m": (MINUTE, 1),
    "s": (1, 0),
}
#: Digits, among which there may be blanks, and what follows them.
_COUNTED: Final = re.compile(r"[0-9][0-9 ]*([^0-9 ]?)", re.ASCII)
#: Words whose meaning the first letter alone gives.
UNIT_WORDS: Final = (
    *("weeks", "week", "days", "day", "hours", "hour", "hrs", "hr"),
    *("minutes", "minute", "mins", "min", "seconds", "second", "secs", "sec"),
)


class Period(NamedTuple):
    """A length of time, and what is wrong with its text; ARC accepts any text as a period."""

    seconds: int
    fault: str = ""  #: empty: nothing


def read_period(text: str, unit_s: int = 1) -> Period:
    """
    Seconds in ``PT10M``, ``1 hour 30 minutes``, ``2h`` or a bare number of ``unit_s`` seconds.

    Of a word only the first letter counts, and a number after it has the next smaller unit. An invalid text is zero
    seconds. Source: behaviour of ARC 6.17.
    """
    if len(text) > _LONGEST:
        return Period(0, f"a period of time in more than {_LONGEST} characters")
    if text.startswith("P"):
        return _iso_period(text)
    total, at = 0, 0
    while (match := _COUNTED.search(text, at)) is not None:
        unit = _UNITS.get(match[1].lower())
        if match[1] and unit is None:
            return Period(0, f"{match[1]!r} is not a unit of time: w, d, h, m or s")
        digits = _as_arc_counts(match[0].removesuffix(match[1]))
        if unit is None:
            return _with_rest(total, digits, unit_s, text)
        total += _product(digits, unit[0])
        unit_s, at = unit[1], match.end()
    fault = "" if total or "0" in text else f"not a period of time: {text[:80]!r}"
    return Period(wrap(total, LONG), fault)


def _as_arc_counts(counted: str) -> str:
    """ARC keeps as many characters as there are digits, from the first on, whatever is between them."""
    return counted[: sum(map(str.isdigit, counted))]


def _product(digits: str, unit_s: int) -> int:
    try:
        return wrap(leading_number(digits) * unit_s)
    except ValueError:
        return 0


def _with_rest(total: int, digits: str, unit_s: int, text: str) -> Period:
    try:
        rest = whole_number(digits, LONG, signed=False)
    except ValueError:
        return Period(wrap(total, LONG), f"not a period of time: {text[:80]!r}")
    return Period(wrap(total + (rest * unit_s if unit_s else rest // 1000), LONG))


def _iso_period(text: str) -> Period:
    if _ISO.fullmatch(text) is None:
        return Period(0, f"not a period of time: {text[:80]!r}")
    total, clock = 0, False
    for tee, digits, unit in _ISO_PART.findall(text):
        if tee:
            clock = True
            continue
        if unit == "M":
            total += _product(digits, MINUTE if clock else 30 * _DAY)
        else:
            total += _product(digits, _ISO_UNITS[unit])
        clock = clock or unit in "WDHM"
    return Period(wrap(total, LONG), "" if len(text) > 1 else "not a period of time: 'P'")


def format_period(seconds: int) -> str:
    """The way ARC prints a period: hours, minutes and seconds that are not zero; ``PT0S`` for none."""
    hours, rest = divmod(seconds, 3600)
    parts = [f"{number}{unit}" for number, unit in ((hours, "H"), (rest // 60, "M"), (rest % 60, "S")) if number]
    return f"PT{''.join(parts) or '0S'}"


# --- points in time -------------------------------------------------------------------------------------------------

#: ARC's value for "no time", in seconds since 1970.
_NO_TIME: Final = -1
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FIELD: Final = re.compile(r"[ \t\n\v\f\r]*", re.ASCII)
_SIGNED: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
_FRACTION: Final = re.compile(r"\.[0-9]*", re.ASCII)
#: Words and numbers as C's ``scanf`` reads them: blanks, then as much as matches, including a sign.
_NAME: Final = r"\s*+(\S{1,3}+)"
_TWO: Final = r"\s*+([+-][0-9]|[0-9]{1,2}+)"
_FOUR: Final = r"\s*+([+-][0-9]{1,3}+|[0-9]{1,4}+)"
_C_TIME: Final = re.compile(f"{_NAME}{_NAME}{_TWO}{_TWO}:{_TWO}:{_TWO}{_FOUR}", re.ASCII)
_MAIL_TIME: Final = re.compile(f"{_NAME},{_TWO}{_NAME}{_FOUR}{_TWO}:{_TWO}:{_TWO}", re.ASCII)


def parse_time(text: str) -> datetime:
    """
    A point in time, as UTC; without a zone it is local time. A thirteenth month is the first of the next year.

    Raises:
        ValueError: it is not a time in a format that ARC knows.
    """
    text = text.encode("utf-8", "surrogateescape").decode("latin-1")  # ARC counts bytes
    if "0" <= text[:1] <= "9":
        return _numeric_time(text)
    if len(text) == 24 and (match := _C_TIME.match(text)):
        month = _month(match[2])
        return _moment((int(match[7]), month, *(int(match[number]) for number in (3, 4, 5, 6))), None, text)
    if len(text) == 29 and (match := _MAIL_TIME.match(text)):
        month = _month(match[3])
        return _moment((int(match[4]), month, *(int(match[number]) for number in (2, 5, 6, 7))), 0, text)
    raise _no_time(text)


def _no_time(text: str) -> ValueError:
    return ValueError(f"not a time, such as 2026-11-20T08:49:00Z: {text[:80]!r}")


def _month(name: str) -> int:
    if name not in _MONTHS:
        raise ValueError(f"not a month: {name!r}")
    return _MONTHS.index(name) + 1


def _numeric_time(text: str) -> datetime:
    """Dates with or without dashes, times with or without colons, and nothing, ``Z`` or an offset."""
    if date := _scan(text[:10], "4-2-2"):
        at = 10
    elif date := _scan(text[:8], "422"):
        at = 8
    else:
        raise _no_time(text)
    at += text[at : at + 1] in {"T", " "}
    if clock := _scan(text[at : at + 8], "2:2:2"):
        at += 8
    elif clock := _scan(text[at : at + 6], "222"):
        at += 6
    else:
        raise _no_time(text)
    if fraction := _FRACTION.match(text, at):
        at = fraction.end()
    # what follows is ignored, as ARC does
    return _moment((*date, *clock), _offset(text, at), text)


def _offset(text: str, at: int) -> int | None:
    """Seconds east of Greenwich; None for local time."""
    sign = text[at : at + 1]
    if sign == "Z":
        return 0
    if sign not in {"+", "-"}:
        return None
    zone = _scan(text[at + 1 : at + 6], "2:2") or _scan(text[at + 1 : at + 5], "22")
    if not zone:
        raise _no_time(text)
    return (1 if sign == "+" else -1) * (zone[0] * 3600 + zone[1] * 60)


def _scan(text: str, form: str) -> tuple[int, ...]:
    """Numbers of at most so many characters each, in C's manner; nothing if they are not there."""
    numbers, at = [], 0
    for mark in form:
        if not mark.isdigit():
            if text[at : at + 1] != mark:
                return ()
            at += 1
            continue
        blank = _FIELD.match(text, at)
        at = at if blank is None else blank.end()
        match = _SIGNED.match(text, at, at + int(mark))
        if match is None:
            return ()
        numbers.append(int(match[0]))
        at = match.end()
    return tuple(numbers)


def _moment(fields: tuple[int, ...], offset: int | None, text: str) -> datetime:
    """
    A point in time from year, month, day, hour, minute and second, any of which may run over.

    Raises:
        ValueError: there is no such date.
    """
    year, month, day, hour, minute, second = fields
    try:
        if offset is None:
            seconds = int(time.mktime((year, month, day, hour, minute, second, 0, 0, -1)))
        else:
            first = calendar.timegm((year + (month - 1) // 12, (month - 1) % 12 + 1, 1, 0, 0, 0))
            seconds = first + (day - 1) * _DAY + hour * 3600 + minute * 60 + second - offset
        when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except (OverflowError, ValueError) as exc:
        raise ValueError(f"no such date or time: {text[:80]!r}") from exc
    if seconds == _NO_TIME:
        raise ValueError(f"1969-12-31T23:59:59 UTC cannot be used, because it means 'no time is set': {text[:80]!r}")
    return when


def format_mds(when: datetime) -> str:
    """``20270101000000Z``, always UTC."""
    when = when.astimezone(UTC)
    return f"{when.year:04}{when.month:02}{when.day:02}{when.hour:02}{when.minute:02}{when.second:02}Z"
