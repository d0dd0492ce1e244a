"""The descriptions in ``tests/data/descriptions/corpus``. Source: its README."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

CORPUS: Final = Path(__file__).parents[1] / "data/descriptions/corpus"
_HEAD: Final = (
    b'<ActivityDescription xmlns="http://www.eu-emi.eu/es/2010/12/adl"'
    b' xmlns:ng="http://www.nordugrid.org/es/2011/12/nordugrid-adl">\n'
)
_ESCAPE: Final = re.compile(rb"\\(?:x([0-9a-f]{2})|([ntrvf\\]))")
_LETTERS: Final = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f", b"\\": b"\\"}


def corpus() -> dict[str, bytes]:
    """All descriptions by topic and name."""
    return {name: text for path in sorted(CORPUS.glob("*.txt")) for name, text in cases(path)}


def inside(body: bytes) -> bytes:
    """A whole document of ADL around this."""
    return _HEAD + body + b"</ActivityDescription>\n"


def cases(path: Path) -> Iterator[tuple[str, bytes]]:
    """The descriptions of one file."""
    for block in path.read_text().removeprefix("%% ").split("\n%% "):
        title, _, text = block.partition("\n")
        name, *flags = title.split(" | ")
        data = text.removesuffix("\n").encode() if block.endswith("\n") else text.encode()
        if "escaped" in flags:
            data = _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]) if match[1] else _LETTERS[match[2]], data)
        yield f"{path.stem}: {name}", inside(data) if "body" in flags else data
