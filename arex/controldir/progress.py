"""
Progress of the staging of one job, for clients and people: ``SESSION.staging/progress``.

The file is written about once a second, and only for staging that takes longer than a second.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from arex.controldir import atomic
from arex.errors import CorruptFile

NAME: Final = "progress"
_LARGEST: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """A file that is being transferred."""

    pfn: str
    moved: int  #: bytes transferred, including earlier attempts
    size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Progress of all files in one staging."""

    out: bool
    files: int
    files_done: int
    moved: int  #: bytes
    size: int | None  #: total bytes; None if the size of a file is unknown
    rate: int  #: recent bytes per second
    under_way: tuple[UnderWay, ...] = ()

    def __str__(self) -> str:
        """``3 of 12 files, 41.5 of 300.0 MB, 12.5 MB/s``."""
        total = "" if self.size is None else f" of {self.size / 1e6:.1f}"
        return f"{self.files_done} of {self.files} files, {self.moved / 1e6:.1f}{total} MB, {self.rate / 1e6:.1f} MB/s"


def write(workdir: Path, progress: Progress) -> None:
    """Write the file; on OSError, readers see the old content."""
    atomic.put(str(workdir / NAME), json.dumps(asdict(progress)).encode())


def remove(workdir: Path) -> None:
    atomic.remove(str(workdir / NAME))


def read(workdir: Path) -> Progress | None:
    """
    Progress of the staging; None if no staging is active, or if it has just begun.

    Raises:
        CorruptFile: the file cannot be parsed.
    """
    path = workdir / NAME
    data = atomic.read(str(path), limit=_LARGEST)
    if data is None:
        return None
    try:
        values = json.loads(data)
        under_way = tuple(UnderWay(**each) for each in values.pop("under_way"))
        return Progress(**values, under_way=under_way)
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise CorruptFile(path, f"not a progress record: {exc}") from exc


def rate(marks: Sequence[tuple[float, int]]) -> int:
    """Bytes per second between the first and the last of these (seconds, bytes) samples."""
    (start, before), (end, after) = marks[0], marks[-1]
    return 0 if end <= start else max(0, round((after - before) / (end - start)))
