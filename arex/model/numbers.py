"""Parse integers as ARC does: leading blanks and a sign are allowed; some callers also allow text after the digits."""

from __future__ import annotations

import re
from typing import Final

#: Blanks as in C. Leading zeros are skipped before the digits are counted.
_NUMBER: Final = re.compile(r"[ \t\n\v\f\r]*([+-]?)0*([0-9]*)", re.ASCII)
_BLANK: Final = re.compile(r"[ \t\n\v\f\r]*[+-]?[0-9]", re.ASCII)
_MOST_DIGITS: Final = 20

INT: Final = 32
LONG: Final = 64


def whole_number(text: str, bits: int = INT, *, signed: bool = True) -> int:
    """
    Parse a text that is an integer without anything after it.

    If not ``signed``, a negative number wraps around at the maximum, as in C.

    Raises:
        ValueError: the text is not an integer, or it does not fit into ``bits``.
    """
    number, end = _read(text, bits, signed=signed)
    if end != len(text):
        raise ValueError(f"not a whole number: {text[:80]!r}")
    return number


def leading_number(text: str) -> int:
    """
    Parse the integer at the beginning of a text.

    Raises:
        ValueError: the text does not start with an integer, or it does not fit.
    """
    return _read(text, INT, signed=True)[0]


def wrap(number: int, bits: int = INT) -> int:
    """The value of a number after truncation to a signed integer with this number of bits."""
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
