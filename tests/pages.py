"""
Pages of the documentation, typed in: their commands, and what these must print. There are two kinds of pages:

- ``pasted``: a ``sh`` block is typed as a whole. An ``output`` block after it is what must be printed; so is a comment
  ``<!-- prints: TEXT -->``, which readers do not see, where the output differs between terminals and pipes.
- ``sessions``: in a ``console`` block, a line that begins with ``$`` is typed, ``>`` continues it; the next lines must
  be printed. Other blocks of such a page are not typed.

Printed lines come in this order, with anything between them and in the place of ``…``. A block with ``/path/to/`` has
to be completed by the reader, and is not typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_PASTED: Final = re.compile(r"^```(sh|output)\n(.*?)^```$|^<!-- prints: (.*?) -->$", re.MULTILINE | re.DOTALL)
_SESSION: Final = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HERE: Final = re.compile(r"<<'?(\w+)'?")
#: What only the reader can complete.
GAP: Final = "/path/to/"
MARK: Final = "=-=-= "


@dataclass
class Typed:
    """One command of a page, or one block of commands, and what it must print."""

    page: str
    line: int
    text: str
    printed: list[str] = field(default_factory=list)

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def pasted(page: Path, *, heading: str = "") -> list[Typed]:
    """All blocks of a page, or of the section with a heading of the second level."""
    text = page.read_text(encoding="utf-8")
    start, end = section(text, heading) if heading else (0, len(text))
    found: list[Typed] = []
    for block in _PASTED.finditer(text, start, end):
        line = text.count("\n", 0, block.start()) + 1
        if block[1] == "sh":
            found.append(Typed(page.name, line, block[2].rstrip()))
            continue
        assert found, f"{page.name}:{line}: nothing is typed before this output"
        found[-1].printed += [each for each in (block[2] or block[3]).splitlines() if each.strip()]
    return [typed for typed in found if GAP not in typed.text]


def sessions(page: Path) -> list[Typed]:
    """All commands of the sessions on a page."""
    text = page.read_text(encoding="utf-8")
    return [
        typed
        for block in _SESSION.finditer(text)
        for typed in block_commands(page.name, text.count("\n", 0, block.start(1)) + 1, block[1].splitlines())
    ]


def section(text: str, heading: str) -> tuple[int, int]:
    found = re.search(rf"^## {re.escape(heading)}$.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no section {heading!r}"
    return found.span()


def block_commands(page: str, first: int, lines: list[str]) -> Iterator[Typed]:
    current: Typed | None = None
    for number, line in enumerate(lines, first):
        if current is not None and in_here_document(current.text):
            current.text += f"\n{'' if line == '>' else line.removeprefix('> ')}"
        elif line.startswith("$ "):
            if current is not None:
                yield current
            current = Typed(page, number, line[2:])
        elif current is None:
            raise AssertionError(f"{page}:{number}: a console block begins with a command")
        elif line.startswith("> ") or line == ">":
            current.text += f"\n{line[2:]}"
        elif line.strip():
            current.printed.append(line)
    if current is not None:
        yield current


def in_here_document(text: str) -> bool:
    """Whether the next line belongs to a here-document that the first line opens."""
    first, *more = text.split("\n")
    opened = _HERE.search(first)
    return opened is not None and opened[1] not in more


def script(typed: list[Typed], *start: str) -> str:
    """A script for one shell that types all of it after ``start``, with marks between the outputs."""
    lines = ["set -u", *start]
    for number, one in enumerate(typed):
        lines += [f"echo '{MARK}{number}'", one.text, "code=$?", f"echo; echo '{MARK}end' $code"]
    return "\n".join(lines) + "\n"


def check(typed: list[Typed], said: str) -> None:
    """Every command has succeeded and has printed what its page says."""
    found = re.findall(rf"^{MARK}\d+\n(.*?)^{MARK}end (\d+)$", said, re.MULTILINE | re.DOTALL)
    assert len(typed) == len(found), said
    for one, (printed, code) in zip(typed, found, strict=True):
        assert code == "0", f"{one.where}\nexit code {code}\n{printed}"
        assert prints(one.printed, printed), f"{one.where}\nprinted\n{printed}\nand not\n" + "\n".join(one.printed)


def prints(wanted: list[str], printed: str) -> bool:
    pattern = ".*?".join(".*".join(map(re.escape, line.strip().split("…"))) for line in wanted)
    return re.search(pattern, printed, re.DOTALL) is not None
