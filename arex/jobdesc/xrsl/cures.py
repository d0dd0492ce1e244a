"""What to write instead of relations that cannot be parsed, in messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from arex.jobdesc.times import UNIT_WORDS
from arex.suggest import closest

_PERIODS: Final = frozenset({"walltime", "cputime", "gridtime", "lifetime"})
_PAIRS: Final = frozenset({"environment", "rslsubstitution"})
_LONGEST: Final = 80


def in_quotes(name: str, words: Sequence[str]) -> str:
    """For several values in the place of one."""
    text = " ".join(_corrected(word) if name in _PERIODS else word for word in words)
    return f': quote it: ({name}="{text}")' if words and _fits(text) else ""


def _corrected(word: str) -> str:
    return (closest(word, UNIT_WORDS) if word.isalpha() else "") or word


def as_row(name: str, word: str) -> str:
    """For a bare value in the place of a list."""
    if not _fits(word):
        return ""
    if name not in _PAIRS:
        return f': write ({name}=("{word}" ""))'
    variable, _, value = word.partition("=")
    return f": write ({name}=({variable} {_quoted(value or 'VALUE')}))"


def of_equals(name: str, value: str, rest: str) -> str:
    """For an operator behind the value of a relation, as in ``(environment=A=b)``."""
    if not (_fits(value) and _fits(rest)):
        return ": quote values that contain operators"
    if name in _PAIRS:
        return f": write ({name}=({value} {_quoted(rest)}))"
    return f': quote it: ({name}="{value}={rest}")'


def _quoted(word: str) -> str:
    return word if word.isalnum() else f'"{word}"'


def _fits(text: str) -> bool:
    return 0 < len(text) <= _LONGEST and '"' not in text and text.isprintable()
