"""The ``flock`` locks of this host. Unlike a pid in a file, other processes of the same account cannot forge them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
_FIELDS: Final = 6
#: Characters of a list that the kernel gives in one piece.
_ONE_PIECE: Final = 2048


@dataclass(frozen=True, slots=True)
class FileLock:
    """A lock, and the process that took it; that may have left it to others, and ended."""

    pid: int
    exclusive: bool
    file: str  #: device and inode as the kernel writes them

    @property
    def inode(self) -> str:
        return self.file.rpartition(":")[2]


def file_locks(proc: Path = PROC) -> list[FileLock]:
    """
    All ``flock`` locks whose process is visible here; empty if the kernel does not show them.

    A long list is read twice: between its pieces, the kernel skips an entry if an earlier one has gone meanwhile.
    """
    path = proc / "locks"
    try:
        text = path.read_text(encoding="ascii", errors="replace")
        if len(text) > _ONE_PIECE:
            text += path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return []
    return [*dict.fromkeys(lock for line in text.splitlines() if (lock := _lock(line.split())) is not None)]


def _lock(fields: list[str]) -> FileLock | None:
    """None for locks of other kinds, and for a process that waits for a lock (``1: -> FLOCK ...``)."""
    if len(fields) < _FIELDS or fields[1] != "FLOCK" or not fields[4].isdigit() or fields[4] == "0":
        return None
    return FileLock(int(fields[4]), fields[3] == "WRITE", fields[5])


def kernel_name(info: os.stat_result) -> str:
    """How the kernel names a file in its list of locks."""
    return f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino}"
