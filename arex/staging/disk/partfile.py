"""
The local side of a download: bytes are collected, checked and written to a part file, never to the final name.

A small file whose size is known stays in memory, so it is written only once, when it is put in its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from arex.aio import in_thread, settled
from arex.staging.checksum import Checksum, Digest, digest
from arex.staging.meter import Meter
from arex.staging.movers.base import ErrorKind, FileInfo, TransferError, from_os, must_fit

#: Files up to this size are kept in memory during the download.
SMALL: Final = 64 * 1024
_PIECE: Final = 4 * 1024 * 1024
_READ: Final = 1024 * 1024
#: Most buffers for one system call.
_MOST_PIECES: Final = 1024
_HOLD_S: Final = 0.2


@dataclass(slots=True, kw_only=True)
class ExpectedContent:
    """Size and checksum from the job description."""

    size: int | None = None
    checksum: Checksum | None = None
    algorithm: str | None = None  #: which of the server's checksums counts; None: all


@dataclass(slots=True)
class Part:
    """
    One download in progress; a sink for a mover.

    ``begun`` is called before the first byte of new content is written to disk. After ``finish`` the whole content is
    in ``body``, or else in the part file.
    """

    path: str
    wanted: ExpectedContent
    meter: Meter
    begun: Callable[[FileInfo], Awaitable[None]]
    facts: FileInfo = field(default_factory=FileInfo)
    size: int = 0  #: bytes so far, with those of earlier attempts
    body: bytes | None = None
    in_memory: bool = True  #: whether small content may be kept in memory
    durable: bool = True  #: whether the complete part file is flushed to disk
    _pieces: list[bytes] = field(default_factory=list)
    _gathered: int = 0
    _fd: int = -1
    _writing: asyncio.Task[None] | None = None
    _broken: bool = False  #: a write has failed, so later data must not follow what the part file has
    _digests: list[tuple[Checksum, Digest]] = field(default_factory=list)
    _small: bool = False
    _due: float = 0.0  #: time of the next write of buffered data

    async def begin(self, facts: FileInfo, start: int) -> None:
        """See the protocol of sinks."""
        await self._pause()
        if self.wanted.size is not None and facts.size is not None and facts.size != self.wanted.size:
            raise TransferError(
                ErrorKind.CORRUPT,
                f"the size is {facts.size} bytes, but {self.wanted.size} are announced",
                cure=_ANNOUNCED,
            )
        self.facts, self.size, self._pieces, self._gathered, self._broken = facts, start, [], 0, False
        self.meter.size, self.meter.skipped, self.meter.moved = facts.size, start, 0
        self._digests = [(each, digest(each.algorithm)) for each in self._to_check()]
        self._small = self.in_memory and facts.size is not None and facts.size <= SMALL and not start
        if not self._small:
            self._due = asyncio.get_running_loop().time() + _HOLD_S
            await self._open(start)

    def _to_check(self) -> list[Checksum]:
        mine = [] if self.wanted.checksum is None else [self.wanted.checksum]
        named = self.wanted.algorithm
        theirs = [each for each in self.facts.checksums if each not in mine and named in {None, each.algorithm}]
        return mine + theirs

    async def _open(self, start: int) -> None:
        await self._close()
        try:
            await in_thread(_look_for_room, self.path, self.facts.size, start)
            await in_thread(self._hold, start)
            if not start:  # the old part file is removed, so that it is not mistaken for a part of this file
                await self.begun(self.facts)
            if start and self._digests:
                await in_thread(_catch_up, self.path, start, [each for _, each in self._digests])
        except OSError as exc:
            raise from_os(exc) from exc

    async def write(self, data: bytes) -> None:
        """See the protocol of sinks; waits for the disk, so that memory stays limited."""
        self._pieces.append(data)
        self._gathered += len(data)
        self.size += len(data)
        self.meter.moved += len(data)
        if self._small:
            if self._gathered > SMALL:
                raise TransferError(ErrorKind.CORRUPT, f"more than the {self.facts.size} bytes that were announced")
        elif self._gathered >= _PIECE or asyncio.get_running_loop().time() >= self._due:
            await self._pause()
            self._due = asyncio.get_running_loop().time() + _HOLD_S
            self._writing = asyncio.ensure_future(self._write(self._take()))

    def _take(self) -> list[bytes]:
        pieces, self._pieces, self._gathered = self._pieces, [], 0
        return pieces

    async def _write(self, pieces: list[bytes]) -> None:
        digests = [each for _, each in self._digests]
        checking = asyncio.ensure_future(asyncio.to_thread(_update, digests, pieces)) if digests else None
        try:
            await asyncio.to_thread(_append, self._fd, pieces, soon=self.durable)
        except OSError as exc:
            self._broken = True
            raise from_os(exc) from exc
        finally:
            if checking is not None:
                await checking

    async def _pause(self) -> None:
        """Wait for the write in progress. Raises TransferError if it has failed."""
        if (writing := self._writing) is not None:
            self._writing = None
            await settled(writing)

    async def finish(self) -> None:
        """
        Check the content after the end of the answer, and flush it to disk.

        Raises:
            TransferError: it is not what was announced (then it is removed), or the disk is full.
        """
        if self._small:
            self.body = b"".join(self._take())
            _update([each for _, each in self._digests], [self.body])  # cheap for a small body
        else:
            await self._pause()
            if self._pieces:
                await settled(self._write(self._take()))
            if self.durable:
                await self._sync()
            await self._close()
        if objection := self._objection():
            await self.drop()
            raise TransferError(ErrorKind.CORRUPT, objection, cure=_ANNOUNCED)

    async def _sync(self) -> None:
        try:
            await in_thread(os.fsync, self._fd)
        except OSError as exc:
            raise from_os(exc) from exc

    def _objection(self) -> str:
        for size, whose in ((self.facts.size, "by the server"), (self.wanted.size, "in its URL")):
            if size is not None and size != self.size:
                return f"received {self.size} bytes, but {size} are announced {whose}"
        for announced, computed in self._digests:
            if announced.value != computed.value():
                return f"checksum {announced.algorithm} is {computed.value()}, but {announced.value} is announced"
        return ""

    async def stop(self) -> None:
        """End the attempt; received data is kept in the part file for the next one."""
        try:
            if self._writing is not None or self._pieces:
                with contextlib.suppress(TransferError):
                    await self._pause()
                    if self._fd >= 0 and self._pieces and not self._broken:
                        await settled(self._write(self._take()))
        finally:
            await self._close()

    async def drop(self) -> None:
        """Remove the part file."""
        await self._close()
        self._pieces, self._gathered, self.body, self.size = [], 0, None, 0
        await in_thread(Path(self.path).unlink, missing_ok=True)

    def _hold(self, start: int) -> None:
        """Runs in the thread, so that a cancellation does not lose the open file."""
        self._fd = _open_part(self.path, start)

    async def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            await in_thread(os.close, fd)


_ANNOUNCED: Final = "the file has changed, or the announcement is wrong"


def _open_part(path: str, start: int) -> int:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    os.ftruncate(fd, start)
    os.lseek(fd, start, os.SEEK_SET)
    return fd


def _look_for_room(path: str, size: int | None, start: int) -> None:
    if size is None:
        return
    above = Path(path).parent
    facts = os.statvfs(above)
    must_fit(size - start, facts.f_bavail * facts.f_frsize, os.path.realpath(above))


def _catch_up(path: str, size: int, digests: list[Digest]) -> None:
    with Path(path).open("rb", buffering=0) as stream:
        left = size
        while left and (data := stream.read(min(_READ, left))):
            _update(digests, [data])
            left -= len(data)


def _append(fd: int, pieces: list[bytes], *, soon: bool) -> None:
    """
    Write pieces without copying them.

    ``soon``: start writing them to disk now, so that the flush at the end is short. Linux does so for pages that are
    declared as not needed; it keeps those that are not on disk yet in memory.
    """
    for first in range(0, len(pieces), _MOST_PIECES):
        views = [memoryview(piece) for piece in pieces[first : first + _MOST_PIECES] if piece]
        while views:
            written = os.writev(fd, views)
            if not written:
                raise OSError(errno.EIO, "the file system writes nothing, and reports no error")
            while views and written >= len(views[0]):
                written -= len(views.pop(0))
            if written:
                views[0] = views[0][written:]
    if soon:
        end = os.lseek(fd, 0, os.SEEK_CUR)
        size = sum(map(len, pieces))
        os.posix_fadvise(fd, end - size, size, os.POSIX_FADV_DONTNEED)


def _update(digests: list[Digest], pieces: list[bytes]) -> None:
    for each in digests:
        for data in pieces:
            each.update(data)
