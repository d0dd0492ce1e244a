"""Checks that plugins, lrms and infoprovider belong to arex: other packages may have the same names."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

_PARTS: Final = ("plugins", "lrms", "infoprovider")


def shadowed_packages(home: Path) -> list[str]:
    """Names of arex's packages that Python would import from elsewhere; the packages are not executed."""
    found = []
    for name in _PARTS:
        spec = importlib.util.find_spec(name)
        origin = None if spec is None or spec.origin is None else Path(spec.origin).resolve()
        if origin != home / name / "__init__.py":
            found.append(f"{name} from {origin or 'nowhere'}")
    return found


def refusal(foreign: list[str]) -> str:
    """The error message if a directory in Python's search path contains a package with such a name."""
    return (
        f"another package hides a part of arex: {', '.join(foreign)}. "
        "Start it with 'python -I -m arex' or from another directory."
    )
