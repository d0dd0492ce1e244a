"""
Temporary files, which are renamed when they are complete: their names, and which of them killed processes have left.

A name contains the process that writes the file and its host. Several hosts can share a control directory.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MARK: Final = ".~"
_TAIL: Final = re.compile(r"([0-9]+)(?:\.[0-9]+(?:\.(.+))?)?")
_serial: Final = itertools.count()
#: Age in seconds at which a file counts as abandoned if its writer may still exist. It takes milliseconds to write one.
_ABANDONED_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class WriterProcess:
    """The process that writes a temporary file; an empty host is unknown."""

    pid: int
    host: str

    @property
    def is_dead(self) -> bool:
        return self.host == os.uname().nodename and not process_exists(self.pid)


def temporary_name(path: str) -> str:
    """A new name beside the file, for its new content."""
    return f"{path}{_MARK}{os.getpid()}.{next(_serial)}.{os.uname().nodename}"


def writer_of(name: str) -> WriterProcess | None:
    """The process that writes the file of this name; None if it is not a temporary file."""
    _, mark, tail = name.rpartition(_MARK)
    found = _TAIL.fullmatch(tail) if mark else None
    return None if found is None else WriterProcess(int(found[1]), found[2] or "")


def process_exists(pid: int) -> bool:
    """Whether this host has a process with this pid, of any user."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def sweep(directory: Path, now: float) -> int:
    """
    Remove temporary files in a directory whose writer has died on this host, and those that are an hour old.

    ``now`` is in seconds since the epoch. Returns the number of removed files; raises OSError.
    """
    count = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            if _MARK not in entry.name or (writer := writer_of(entry.name)) is None:
                continue
            with contextlib.suppress(FileNotFoundError):
                if writer.is_dead or now - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED_S:
                    os.unlink(entry.path)
                    count += 1
    return count


def directories_below(top: Path) -> Iterator[Path]:
    """A directory of ours and all directories below it; nothing if it does not exist."""
    pending = [top]
    while pending:
        directory = pending.pop()
        try:
            with os.scandir(directory) as entries:
                pending += [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            continue
        yield directory
