"""
Reads and writes files in session directories. The payload may have put links there, so all access goes through
``confined_fs``.

Files of one job that arrive at about the same time are put in their places together, with one call in a thread and
one write to the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from arex.aio import WakeUp, in_thread, settle, settled
from arex.clock import Clock, Timer
from arex.controldir import atomic, confined_fs, trees
from arex.errors import UnsafePath
from arex.staging.disk import journal
from arex.staging.disk.journal import Journal
from arex.staging.meter import Meter
from arex.staging.movers.base import ErrorKind, TransferError, from_os

_READ: Final = 1024 * 1024
#: Small files are collected for this time, up to this number and this total size.
_GATHER_S: Final = 0.5
_MOST_GATHERED: Final = 4000
_MOST_BYTES: Final = 8 * 1024 * 1024


@dataclass(slots=True, eq=False)
class ReceivedFile:
    """A file that was received: its content, or None if it is in the part file."""

    pfn: str
    url: str
    body: bytes | None
    executable: bool
    durable: bool  #: the part file was forced to disk
    placed: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class SessionWriter:
    """
    Puts the files of one job into its session directory; ``run`` does the work, in a task of the caller.

    Small files are collected for a moment, or until ``left()`` says that no more are expected: a thread that creates
    files one by one beside a busy event loop slows both down.
    """

    def __init__(
        self, session: Path, journal: Journal, left: Callable[[], int], clock: Clock, *, durable: bool
    ) -> None:
        self._session, self._journal, self._left, self._durable = session, journal, left, durable
        self._clock = clock
        self._files: list[ReceivedFile] = []
        self._gathered = 0
        self._in_hand = 0
        self._wake = WakeUp(clock)
        self._timer: Timer | None = None

    @property
    def has_room(self) -> bool:
        """Whether more files may be collected: a slow disk must not fill the memory."""
        return self._gathered < _MOST_BYTES

    async def put(self, file: ReceivedFile) -> None:
        """
        Put a file in its place, together with others that were received meanwhile.

        Raises:
            OSError, UnsafePath: the file could not be put there.
        """
        self._files.append(file)
        self._gathered += len(file.body or b"")
        many = len(self._files) >= _MOST_GATHERED or self._gathered >= _MOST_BYTES
        if file.body is None or many or len(self._files) + self._in_hand >= self._left():
            self.flush()
        elif self._timer is None:
            self._timer = self._clock.call_later(_GATHER_S, self.flush)
        await settled(file.placed)

    def flush(self) -> None:
        """Write the collected files now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake.set()

    async def run(self) -> None:
        """Run until cancelled; then no task waits in ``put`` any more."""
        batch: list[ReceivedFile] = []
        try:
            while True:
                await self._wake.wait()
                batch, self._files, self._gathered = self._files, [], 0
                self._in_hand = len(batch)
                for file, outcome in zip(batch, await in_thread(self._outcomes, batch), strict=True):
                    settle(file.placed, outcome)
                self._in_hand = 0
        finally:
            for file in (*batch, *self._files):
                file.placed.cancel()  # no effect on those that are placed

    def _outcomes(self, batch: list[ReceivedFile]) -> list[Exception | None]:
        """The outcome of each file; every file has one, also after an exception."""
        try:
            return self._place(batch)
        except Exception as exc:  # noqa: BLE001 - each transfer of the batch raises it
            return [exc] * len(batch)

    def _place(self, batch: list[ReceivedFile]) -> list[Exception | None]:
        outcomes: list[Exception | None] = [None] * len(batch)
        facts: dict[int, journal.Fact] = {}
        for number, file in enumerate(batch):
            try:
                facts[number] = self._ready(file)
            except OSError as exc:
                outcomes[number] = exc
        try:
            if facts:
                self._journal.add(facts.values(), durable=self._durable)
        except OSError as exc:
            return [outcome or exc for outcome in outcomes]
        self._rename({number: batch[number] for number in facts}, outcomes)
        return outcomes

    def _rename(self, ready: Mapping[int, ReceivedFile], outcomes: list[Exception | None]) -> None:
        """Rename to the final names by directory, so that each directory is opened once."""
        directories: dict[str, list[int]] = {}
        for number, file in ready.items():
            directories.setdefault(file.pfn.rpartition("/")[0], []).append(number)
        for numbers in directories.values():
            try:
                with confined_fs.parent_of(self._session, ready[numbers[0]].pfn, create=True) as (fd, _):
                    for number in numbers:
                        outcomes[number] = _renamed(self._journal.part_of(ready[number].pfn), ready[number].pfn, fd)
            except (OSError, UnsafePath) as exc:
                for number in numbers:
                    outcomes[number] = exc

    def _ready(self, file: ReceivedFile) -> journal.Fact:
        """Complete the part file and set its final mode."""
        mode = 0o700 if file.executable else 0o600
        path = self._journal.part_of(file.pfn)
        if file.body is None:
            os.chmod(path, mode)  # noqa: PTH101 - thousands of files a second
            info = os.stat(path)  # noqa: PTH116 - the same
            return journal.whole(file.pfn, file.url, info.st_size, info.st_mtime_ns, durable=file.durable)
        _write(path, file.body, mode)
        return journal.whole(file.pfn, file.url, len(file.body), None, durable=False)


def _renamed(part: str, pfn: str, directory: int) -> Exception | None:
    try:
        os.rename(part, confined_fs.parts_of(pfn)[-1], dst_dir_fd=directory)
    except (OSError, UnsafePath) as exc:
        return exc
    return None


def _write(path: str, body: bytes, mode: int) -> None:
    """Create a small file with few system calls, as these take most of the time."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    fd = os.open(path, flags, mode)
    try:
        if body:
            atomic.write_all(fd, body)
    except OSError:
        os.unlink(path)  # noqa: PTH108 - the same
        raise
    finally:
        os.close(fd)


def into_place(session: Path, pfn: str, part: Path) -> None:
    """
    Rename a part file to its final name; directories above it are made.

    Raises:
        UnsafePath: a link on the way.
        OSError: a directory has the name.
    """
    with confined_fs.parent_of(session, pfn, create=True) as (fd, last):
        os.rename(part, last, dst_dir_fd=fd)


def link(session: Path, pfn: str, target: Path) -> None:
    """Create a symbolic link, replacing an existing file; raises UnsafePath and OSError."""
    with confined_fs.parent_of(session, pfn, create=True) as (fd, last):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(last, dir_fd=fd)
        os.symlink(target, last, dir_fd=fd)


def clear(session: Path, pfn: str) -> None:
    """Remove whatever has the name of a file that is about to be received; raises UnsafePath and OSError."""
    with contextlib.suppress(FileNotFoundError), confined_fs.parent_of(session, pfn) as (fd, last):
        if obstacles := trees.remove_in(fd, last):
            raise UnsafePath(f"{pfn!r} is in the way and cannot be removed: {obstacles}")


def found(session: Path, pfn: str) -> os.stat_result | None:
    """A regular file of that name, or None."""
    try:
        with confined_fs.parent_of(session, pfn) as (fd, last):
            info = os.stat(last, dir_fd=fd, follow_symlinks=False)
    except (FileNotFoundError, UnsafePath):
        return None
    return info if stat.S_ISREG(info.st_mode) else None


class SessionReader:
    """An output file in a session directory, as the source for a mover."""

    def __init__(self, fd: int, meter: Meter) -> None:
        # no file object: each read has its offset, so an upload can start again
        self._fd, self._meter = fd, meter
        self.size = meter.size = os.fstat(fd).st_size

    async def chunks(self) -> AsyncIterator[bytes]:
        """The whole content, from the start."""
        self._meter.moved = offset = 0
        while offset < self.size:
            try:
                data = await in_thread(os.pread, self._fd, min(_READ, self.size - offset), offset)
            except OSError as exc:
                raise from_os(exc) from exc
            if not data:
                raise TransferError(ErrorKind.TEMPORARY, f"the file has become shorter than {self.size} bytes")
            offset += len(data)
            self._meter.moved = offset
            yield data
