"""Checks that plugins, lrms and infoprovider belong to arex: other packages may have the same names."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

_PARTS: Final = ("plugins", "lrms", "infoprovider")


def shadowed_packages(home: Path) -> list[str]:
    """Packages of our names that would be imported from elsewhere; looked up without running them."""
    found = []
    for name in _PARTS:
        spec = importlib.util.find_spec(name)
        origin = None if spec is None or spec.origin is None else Path(spec.origin).resolve()
        if origin != home / name / "__init__.py":
            found.append(f"{name} from {origin or 'nowhere'}")
    return found


def refusal(foreign: list[str]) -> str:
    """The sentence for a user whose directory holds a package of our names."""
    return (
        f"another package hides a part of arex: {', '.join(foreign)}. "
        "Start it with 'python -I -m arex' or from another directory."
    )
