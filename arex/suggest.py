"""Suggests a similar name ("did you mean") for misspelt options, blocks, commands and attributes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_LONGEST: Final = 80


def closest(name: str, known: Iterable[str], alike: float = 0.75) -> str:
    """
    The most similar known name, ignoring case; empty if there is none.

    ``alike`` is the minimum similarity from 0 to 1; low values suggest unrelated names.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - needed only after a mistake

    if len(name) > _LONGEST:
        return ""
    plain = {one.lower(): one for one in known}
    if name.lower() in plain:
        return plain[name.lower()]
    found = get_close_matches(name.lower(), plain, n=1, cutoff=alike)
    return plain[found[0]] if found else ""
