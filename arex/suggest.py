"""Suggests the name that was probably meant ("did you mean"): options, blocks, commands, attributes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_LONGEST: Final = 80


def closest(name: str, known: Iterable[str], alike: float = 0.75) -> str:
    """
    The known name that looks most like this one, whatever its case; empty if none does.

    ``alike``: how alike they must be, 0 to 1; lower, and names that have nothing to do with it are suggested.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - only mistakes pay for it

    if len(name) > _LONGEST:
        return ""
    plain = {one.lower(): one for one in known}
    if name.lower() in plain:
        return plain[name.lower()]
    found = get_close_matches(name.lower(), plain, n=1, cutoff=alike)
    return plain[found[0]] if found else ""
