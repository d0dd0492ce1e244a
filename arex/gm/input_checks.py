"""Checksums of uploaded inputs, computed in parts: a file may have terabytes, and other jobs must not wait for it."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from arex.clock import Clock
from arex.controldir import confined_fs
from arex.controldir.cksum import Cksum
from arex.model.ids import JobId

#: How long one part may take, seconds.
_PART_S: Final = 0.2
_PIECE: Final = 1 << 20
#: How many computations are kept; the oldest are of jobs that have gone on.
_MOST: Final = 1000


@dataclass(slots=True)
class _Check:
    """A computation that has come to ``offset``; it stays when it is complete, as the job may have other inputs."""

    version: tuple[int, int, int, int]  #: device, inode, size and modification time
    offset: int = 0
    complete: bool = False
    crc: Cksum = field(default_factory=Cksum)


class InputChecks:
    """Any thread may use it; one at a time computes, so that others remain for other jobs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._checks: dict[tuple[JobId, str], _Check] = {}

    def cksum(self, job: JobId, session: Path, pfn: str) -> int | None:
        """
        The checksum of a file as ``cksum(1)`` computes it; None: it is not known yet, ask again.

        Raises:
            UnsafePath: the name leads out of the session directory.
            OSError: the file cannot be read.
        """
        if not self._lock.acquire(blocking=False):
            return None
        try:
            fd = confined_fs.open_file(session, pfn)
            try:
                return self._part((job, pfn), fd)
            finally:
                os.close(fd)
        finally:
            self._lock.release()

    def _part(self, key: tuple[JobId, str], fd: int) -> int | None:
        info = os.fstat(fd)
        version = (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns)
        check = self._checks.pop(key, None)
        if check is None or check.version != version:
            check = _Check(version)
        self._checks[key] = check
        if len(self._checks) > _MOST:
            del self._checks[next(iter(self._checks))]
        until = self._clock.monotonic() + _PART_S
        while not check.complete:
            piece = os.pread(fd, _PIECE, check.offset)
            check.crc.update(piece)
            check.offset += len(piece)
            check.complete = not piece
            if self._clock.monotonic() > until:
                break
        return check.crc.number() if check.complete else None
