"""Whole numbers as ARC reads them: blanks in front and a sign are fine, what follows the digits matters sometimes."""

from __future__ import annotations

import re
from typing import Final

#: Blanks of C, and no more digits than could matter once zeros in front are gone.
_NUMBER: Final = re.compile(r"[ \t\n\v\f\r]*([+-]?)0*([0-9]*)", re.ASCII)
_BLANK: Final = re.compile(r"[ \t\n\v\f\r]*[+-]?[0-9]", re.ASCII)
_MOST_DIGITS: Final = 20

INT: Final = 32
LONG: Final = 64


def whole_number(text: str, bits: int = INT, *, signed: bool = True) -> int:
    """
    The number that a text is, and nothing more.

    Unsigned, a minus sign counts down from the top, as in C.

    Raises:
        ValueError: it is none, or does not fit.
    """
    number, end = _read(text, bits, signed=signed)
    if end != len(text):
        raise ValueError(f"not a whole number: {text[:80]!r}")
    return number


def leading_number(text: str) -> int:
    """
    The number that a text starts with.

    Raises:
        ValueError: it starts with none, or with one that does not fit.
    """
    return _read(text, INT, signed=True)[0]


def wrap(number: int, bits: int = INT) -> int:
    """What is left of a number in so many bits, the highest of which is the sign."""
    half = 1 << (bits - 1)
    return (number + half) % (2 * half) - half


def _read(text: str, bits: int, *, signed: bool) -> tuple[int, int]:
    match = _NUMBER.match(text)
    if match is None or _BLANK.match(text) is None:
        raise ValueError(f"not a whole number: {text[:80]!r}")
    if len(match[2]) > _MOST_DIGITS:
        raise ValueError(f"number too large: {text[:80]!r}")
    number = int(match[2] or "0")
    minus = match[1] == "-"
    top = 1 << (bits - 1 if signed else bits)
    if number > top - (not (signed and minus)):
        raise ValueError(f"number too large: {text[:80]!r}")
    if not minus:
        return number, match.end()
    return (-number if signed else -number % top), match.end()
