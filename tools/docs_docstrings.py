"""
For the API reference: ``Raises:`` sections that only name exceptions get descriptions.

Our docstrings may say ``NoSuchJob, NotYourJob`` where the names say it all; the parser of the reference wants a
description after each of them, and gets the first sentence of the exception. ``mkdocs.yml`` names this file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import griffe

from arex import errors

_SECTION: Final = re.compile(r"(?m)^Raises:\n((?:    .*(?:\n|\Z))+)")
_NAMES: Final = re.compile(r"    [A-Z]\w+(?:, [A-Z]\w+)*")
_REFERENCE: Final = re.compile(r"    as ``\w+``\.?")


def readable(text: str) -> str:
    return _SECTION.sub(_described, text)


def _described(section: re.Match[str]) -> str:
    if _REFERENCE.fullmatch(section[1].rstrip("\n")):
        return f"**Raises:** {section[1].strip()}\n"
    return "Raises:\n" + "".join(f"{line}\n" for each in section[1].splitlines() for line in _lines(each))


def _lines(line: str) -> Iterator[str]:
    if _NAMES.fullmatch(line) is None:
        yield line
        return
    for name in line.strip().split(", "):
        about = getattr(errors, name).__doc__ or ""
        yield f"    {name}: {' '.join(about.split('. ')[0].split()).rstrip('.')}."


class ListedExceptions(griffe.Extension):
    """Rewrites the docstring of each object before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        if obj.docstring is not None:
            obj.docstring.value = readable(obj.docstring.value)
