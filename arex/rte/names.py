"""Names of runtime environments: relative paths of letters that lead nowhere else."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Collection, Iterable

_LONGEST = 255


def is_name(text: str) -> bool:
    """Whether a text can be the name of an environment: it may hold slashes, and is a place below a directory."""
    parts = text.split("/")
    return text.isprintable() and all(part not in {"", ".", ".."} and len(part) <= _LONGEST for part in parts)


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """The name itself, or the names that a pattern of ``*``, ``?``, ``[...]`` fits, sorted; ``*`` takes slashes."""
    known = sorted(names)
    return [pattern] if pattern in known else [name for name in known if fnmatch.fnmatchcase(name, pattern)]


def nearest(name: str, names: Collection[str]) -> str:
    """The name that was probably meant; empty: none."""
    folded = {each.lower(): each for each in sorted(names)}
    tails = {each.rpartition("/")[2].lower(): each for each in sorted(names)}
    for known in (folded, tails):
        if near := difflib.get_close_matches(name.lower(), known, n=1):
            return known[near[0]]
    return ""
