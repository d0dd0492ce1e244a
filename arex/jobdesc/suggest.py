"""Which name was meant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

#: How alike two names must be; lower, and what has nothing to do with it is suggested.
_ALIKE: Final = 0.75
_LONGEST: Final = 60


def closest(name: str, known: Iterable[str]) -> str:
    """The known name that looks most like this one; empty if none does."""
    from difflib import get_close_matches  # noqa: PLC0415 - only mistakes pay for it

    if len(name) > _LONGEST:
        return ""
    plain = {one.lower(): one for one in known}
    if name.lower() in plain:
        return plain[name.lower()]
    found = get_close_matches(name.lower(), plain, n=1, cutoff=_ALIKE)
    return plain[found[0]] if found else ""
