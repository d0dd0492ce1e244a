"""Names of runtime environments: relative paths of letters that lead nowhere else."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable

from arex.suggest import closest

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
    tails = {each.rpartition("/")[2]: each for each in sorted(names)}
    return closest(name, sorted(names), 0.6) or tails.get(closest(name, tails, 0.6), "")
