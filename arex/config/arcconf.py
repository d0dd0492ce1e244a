"""
Parse the syntax of ``arc.conf``, blocks of ``option = value`` lines, and keep the line numbers.

Options can be repeated, and their order matters. Quotes are part of a value. ``#`` starts a comment only at the
beginning of a line.
Source: ARC 6.17, notes on syntax at the beginning of the arc.conf reference; the behaviour of its parser.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from arex.errors import Fault

_BRACKETS: Final = frozenset("[]")


class Entry(NamedTuple):
    """One option as written in the file."""

    name: str
    value: str
    line: int


class Section(NamedTuple):
    """One block: ``kind`` and ``name`` of ``[kind:name]``, and its options."""

    kind: str
    name: str | None
    line: int
    entries: list[Entry]

    @property
    def header(self) -> str:
        return self.kind if self.name is None else f"{self.kind}:{self.name}"


def unprintable(text: str) -> bool:
    """Whether the text contains control characters, or bytes that were not valid UTF-8."""
    return not text.isprintable() and any(
        (each < " " and each != "\t") or each == "\x7f" or "\ud800" <= each <= "\udfff" for each in text
    )


def decode(data: bytes) -> str:
    """Decode a file and normalize line breaks; invalid UTF-8 is kept as surrogates, since it is allowed in comments."""
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="surrogateescape")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for at, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield at, stripped


def is_name(text: str) -> bool:
    """Whether the text is one word without brackets."""
    return len(text.split()) == 1 and _BRACKETS.isdisjoint(text)


def _header(line: str) -> tuple[str, str | None] | None:
    """Parse ``[kind]`` or ``[kind: name ]``; None if the line is neither."""
    if not line.endswith("]"):
        return None
    kind, colon, name = (part.strip() for part in line[1:-1].partition(":"))
    if not is_name(kind) or (colon and not is_name(name)):
        return None
    return kind, name or None


def parse(text: str, file: Path) -> tuple[list[Section], list[Fault]]:
    """All blocks in file order, and one fault for each line that is not a block, an option or a comment."""
    sections: list[Section] = []
    faults: list[Fault] = []
    for at, line in _lines(text):
        name, _, value = (part.strip() for part in line.partition("="))
        if unprintable(line):
            faults.append(Fault("the line is not valid UTF-8 text", file, at))
        elif line.startswith("["):
            if header := _header(line):
                sections.append(Section(*header, at, []))
            else:
                faults.append(Fault("invalid block header", file, at, cure="write [keyword] or [keyword:name]"))
        elif not is_name(name):
            faults.append(Fault("the line is neither a block nor an option", file, at, cure="write option = value"))
        elif not sections:
            faults.append(Fault("option before the first block", file, at, name, "put it under its [block]"))
        else:
            sections[-1].entries.append(Entry(name, value, at))
    return sections, faults
