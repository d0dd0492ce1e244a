"""
Periods and sizes as people type them, with what can only be a mistake refused.

What ARC reads means the same here; what ARC takes for something else, such as ``01:30:00`` or ``2 GB``, means what it
says.
"""

from __future__ import annotations

import re
from typing import Final

from arex.jobdesc.times import UNIT_WORDS, read_period
from arex.model.numbers import leading_number

_SECONDS: Final = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
#: The unit of a bare number after another unit.
_SMALLER: Final = {"w": 86400, "d": 3600, "h": 60, "m": 1}
#: SLURM's forms: ``hours:minutes:seconds``, and ``days-hours:minutes:seconds``, in which the last parts may be missing.
_CLOCK: Final = re.compile(r"(?:([0-9]{1,6})-)?([0-9]{1,6})(?::([0-5]?[0-9]))?(?::([0-5]?[0-9]))?", re.ASCII)
_SHORT_CLOCK: Final = re.compile(r"([0-9]+):([0-9]+)", re.ASCII)
_COUNTED: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)[ \t]*([A-Za-z]*)[ \t,]*", re.ASCII)
_SIZE: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)[ \t]*(?:([kmgtp])(?:i?b)?)?", re.ASCII | re.IGNORECASE)
_KILOBYTES: Final = {"k": 1, "m": 1024, "g": 1024**2, "t": 1024**3, "p": 1024**4}
_MOST: Final = 2**31 - 1
PERIOD_FORMS: Final = 'write 90, "1 hour 30 minutes" or 01:30:00'
SIZE_FORMS: Final = "write 2048, 2GB or 512M"


def seconds(text: str, unit_s: int) -> int:
    """
    A period in seconds; a bare number counts units of ``unit_s`` seconds.

    Raises:
        ValueError: it is not a period longer than zero, or its meaning is not clear.
    """
    text = text.strip(" \t")
    total = _period(text, unit_s)
    if total <= 0:
        raise ValueError(f"{text[:80]!r} is no time at all; leave it out, or {PERIOD_FORMS}")
    if total > _MOST:
        raise ValueError(f"{text[:80]!r} is longer than 68 years")
    return total


def _period(text: str, unit_s: int) -> int:
    if text.startswith("-"):
        raise ValueError(f"{text[:80]!r} is negative; {PERIOD_FORMS}")
    if (match := _SHORT_CLOCK.fullmatch(text)) is not None:
        first, second = match.groups()
        raise ValueError(
            f"{text[:80]!r} is ambiguous: write {first}:{second}:00 for hours and minutes, or 00:{first}:{second} for "
            "minutes and seconds"
        )
    if (match := _CLOCK.fullmatch(text)) is not None and ("-" in text or ":" in text):
        days, hours, minutes, rest = (int(part or 0) for part in match.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + rest
    if text.startswith("P"):
        found = read_period(text, unit_s)
        if found.fault:
            raise ValueError(f"{found.fault}; {PERIOD_FORMS}")
        return found.seconds
    return _words(text, unit_s)


def _words(text: str, unit_s: int) -> int:
    total, at, implied = 0.0, 0, unit_s
    while (match := _COUNTED.match(text, at)) is not None and implied:
        number, word = match.groups()
        letter = _unit(word) if word else ""
        total += float(number) * (_SECONDS[letter] if letter else implied)
        implied = _SMALLER.get(letter, 0)
        at = match.end()
    if at == 0 or at < len(text):
        raise ValueError(f"{text[:80]!r} is not a period of time; {PERIOD_FORMS}")
    return round(total)


def _unit(word: str) -> str:
    word = word.lower()
    if word in _SECONDS or word in UNIT_WORDS:
        return word[0]
    raise ValueError(f"{word[:80]!r} is not a unit of time; write weeks, days, hours, minutes or seconds")


def megabytes(text: str, *, zero: bool = False) -> int:
    """
    A size in MB (2**20 bytes); a bare number counts MB. Less than one MB is one.

    Raises:
        ValueError: it is not a size, or it is zero and that is not allowed.
    """
    text = text.strip(" \t")
    match = _SIZE.fullmatch(text)
    if match is None or ("." in text and match[2] is None):
        raise ValueError(f"{text[:80]!r} is not a size in MB; {SIZE_FORMS}")
    size = -int(-float(match[1]) * _KILOBYTES[(match[2] or "m").lower()] // 1024)
    if size <= 0 and not zero:
        raise ValueError(f"{text[:80]!r} is no memory at all; leave it out, or {SIZE_FORMS}")
    if size > _MOST:
        raise ValueError(f"{text[:80]!r} is more than {_MOST} MB")
    return size


def natural(text: str, most: int = _MOST) -> int:
    """
    A whole number from zero to ``most``, and nothing after it.

    Raises:
        ValueError: it is something else.
    """
    text = text.strip(" \t")
    try:
        number = leading_number(text) if re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII) else -1
    except ValueError:
        number = -1
    if not 0 <= number <= most:
        raise ValueError(f"{text[:80]!r} is not a whole number from 0 to {most}")
    return number
