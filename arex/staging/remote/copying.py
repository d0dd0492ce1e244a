"""
Copy files between URLs, this host, and the standard streams.

A file that comes from a server is first written to a part file: beside the target if that is on this host, otherwise
in the directory for temporary files. So an incomplete file never has the final name.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from arex.aio import in_thread
from arex.errors import StagingError
from arex.model.url import Url
from arex.staging.checksum import Checksum, digest
from arex.staging.movers.base import ErrorKind, FileInfo, Mover, RemoteFile, Resume, TransferError, from_os, must_fit
from arex.staging.movers.file import open_regular, publish
from arex.staging.remote.access import RemoteAccess, RemoteError
from arex.staging.remote.base import EntryKind, RemoteEntry, below, is_directory_url
from arex.staging.url import checksum_of, local_path, may_overwrite, size_of

_PIECE: Final = 1024 * 1024
#: Deepest level of a recursive copy; links of servers can lead in circles.
MOST_LEVELS: Final = 100

#: Told how many bytes of a file have been copied, and how many it has if that is known.
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedFile:
    """A file that has been copied; the names are URLs without secrets, or ``-``."""

    source: str
    target: str
    size: int


@dataclass(slots=True)
class Stdio:
    """Standard input or output in place of a URL."""

    shown: str = "-"


Place = Url | Stdio


@dataclass(eq=False)
class _PartFile:
    """The sink for one file; the bytes stay when a try fails, and the next try goes on after them."""

    fd: int
    where: str  #: for messages
    tick: Progress
    facts: FileInfo | None = None
    size: int = 0

    async def begin(self, facts: FileInfo, start: int) -> None:
        try:
            await in_thread(os.ftruncate, self.fd, start)
            if facts.size is not None:
                free = await in_thread(os.fstatvfs, self.fd)
                must_fit(facts.size - start, free.f_bavail * free.f_frsize, self.where)
        except OSError as exc:
            raise from_os(exc) from exc
        self.facts, self.size = facts, start
        self._told()

    async def write(self, data: bytes) -> None:
        try:
            self.size += await in_thread(_write_all, self.fd, data, self.size)
        except OSError as exc:
            raise from_os(exc) from exc
        self._told()

    def _told(self) -> None:
        self.tick(self.size, None if self.facts is None else self.facts.size)

    @property
    def resume(self) -> Resume | None:
        return None if self.facts is None else Resume(self.size, self.facts)


@dataclass(eq=False)
class _OutputStream:
    """The sink for standard output, which cannot begin again."""

    fd: int
    tick: Progress
    facts: FileInfo | None = None
    size: int = 0

    async def begin(self, facts: FileInfo, start: int) -> None:
        if start != self.size:
            raise TransferError(ErrorKind.PERMANENT, "the server cannot continue a transfer to standard output")
        self.facts = facts

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[await in_thread(os.write, self.fd, view) :]
        self.size += len(data)
        self.tick(self.size, None if self.facts is None else self.facts.size)

    @property
    def resume(self) -> Resume | None:
        return None if self.facts is None else Resume(self.size, self.facts)


@dataclass(eq=False)
class _OpenFile:
    """An open file as the source of an upload."""

    fd: int
    size: int
    tick: Progress

    async def chunks(self) -> AsyncIterator[bytes]:
        offset = 0
        while offset < self.size:
            try:
                data = await in_thread(os.pread, self.fd, min(_PIECE, self.size - offset), offset)
            except OSError as exc:
                raise from_os(exc) from exc
            if not data:
                raise TransferError(ErrorKind.PERMANENT, "the file became shorter during the transfer")
            yield data
            offset += len(data)
            self.tick(offset, self.size)


def _write_all(fd: int, data: bytes, offset: int) -> int:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written
    return len(data)


@dataclass(kw_only=True)
class Copier:
    """Copies single files and directories; ``began`` is called for each file, ``progress`` while it is copied."""

    access: RemoteAccess
    overwrite: bool = False
    progress: Progress = lambda _done, _total: None
    began: Callable[[Place], None] = lambda _source: None
    skipped: list[str] = field(default_factory=list)  #: what is neither a file nor a directory

    async def copy(self, source: Place, target: Place) -> CopiedFile:
        """
        Copy one file.

        Raises:
            RemoteError: it has failed; nothing with the final name is left.
        """
        self.began(source)
        for url in (source, target):
            if isinstance(url, Url):
                await self.access.mover(url)  # a wrong scheme is the first error
        if isinstance(target, Url):
            await self._must_be_free(target)
        if isinstance(target, Stdio):
            size = await self._to_stdout(source)
        elif isinstance(source, Url) and source.scheme != "file":
            size = await self._downloaded(source, target)
        else:
            size = await self._uploaded(source, target)
        return CopiedFile(source=source.shown, target=target.shown, size=size)

    async def tree(self, source: Url, target: Url, levels: int) -> AsyncIterator[CopiedFile | RemoteError]:
        """Copy the files in a directory and in so many levels of directories in it; what fails does not stop others."""
        try:
            entries = await self.access.entries(source)
        except RemoteError as exc:
            yield exc
            return
        for entry in entries:
            async for each in self._entry(source, target, entry, levels):
                yield each

    async def _entry(
        self, source: Url, target: Url, entry: RemoteEntry, levels: int
    ) -> AsyncIterator[CopiedFile | RemoteError]:
        inside = entry.kind is EntryKind.DIRECTORY
        here, there = below(source, entry.name, directory=inside), below(target, entry.name, directory=inside)
        if entry.kind is EntryKind.OTHER:
            self.skipped.append(here.shown)
        elif not inside:
            try:
                yield await self.copy(here, there)
            except RemoteError as exc:
                yield exc
        elif levels > 0:
            async for each in self.tree(here, there, levels - 1):
                yield each

    # --- parts --------------------------------------------------------------------------------------------------

    async def _must_be_free(self, target: Url) -> None:
        if self._may_replace(target):
            return
        if target.scheme == "file":
            exists = await in_thread(os.path.lexists, _local(target))
        else:
            mover, place = await self.access.mover(target), self.access.place(target)
            exists = await self.access.tried(target, lambda: self._exists(mover, place))
        if exists:
            raise RemoteError(target.shown, "already exists: use --force to overwrite it")

    def _may_replace(self, target: Url) -> bool:
        return self.overwrite or may_overwrite(target)

    async def _exists(self, mover: Mover, place: RemoteFile) -> bool:
        try:
            async with self._watched():
                await mover.stat(place)
        except TransferError as exc:
            if exc.verdict is ErrorKind.NOT_FOUND:
                return False
            raise
        return True

    async def _to_stdout(self, source: Place) -> int:
        sink = _OutputStream(sys.stdout.fileno(), self.progress)
        sys.stdout.flush()
        if isinstance(source, Stdio):
            raise RemoteError("-", "standard input cannot be copied to standard output")
        await self._fetch(source, sink)
        return sink.size

    async def _downloaded(self, source: Url, target: Url) -> int:
        """From a server, to this host or to another server."""
        if target.scheme != "file":
            with tempfile.TemporaryFile(prefix="arex-") as spool:
                part = _PartFile(spool.fileno(), tempfile.gettempdir(), self.progress)
                await self._fetch(source, part)
                return await self._send(spool.fileno(), target)
        path = _local(target)
        half = path.with_name(f".arex-{secrets.token_hex(8)}.part")
        try:
            await in_thread(lambda: path.parent.mkdir(parents=True, exist_ok=True))
            fd = await in_thread(os.open, half, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            try:
                part = _PartFile(fd, str(path.parent), self.progress)
                await self._fetch(source, part)
                await in_thread(os.fsync, fd)
            finally:
                os.close(fd)
            await in_thread(lambda: publish(half, path, overwrite=self._may_replace(target)))
        except (OSError, TransferError) as exc:
            raise RemoteError(target.shown, str(from_os(exc) if isinstance(exc, OSError) else exc)) from exc
        finally:
            half.unlink(missing_ok=True)
        return part.size

    async def _uploaded(self, source: Place, target: Url) -> int:
        """From this host or standard input."""
        if isinstance(source, Stdio):
            with tempfile.TemporaryFile(prefix="arex-") as spool:
                await in_thread(_spool, sys.stdin.fileno(), spool.fileno())
                return await self._send(spool.fileno(), target)
        try:
            fd = await in_thread(open_regular, _local(source))
        except TransferError as exc:
            raise RemoteError(source.shown, str(exc)) from exc
        try:
            return await self._send(fd, target)
        finally:
            os.close(fd)

    async def _fetch(self, source: Url, sink: _PartFile | _OutputStream) -> None:
        mover, place = await self.access.mover(source), self.access.place(source)

        async def attempt() -> None:
            async with self._watched() as sink.tick:
                await mover.fetch(place, sink, sink.resume)
            if isinstance(sink, _PartFile):
                await in_thread(_verify, sink, source)

        await self.access.tried(source, attempt)

    async def _send(self, fd: int, target: Url) -> int:
        mover, place = await self.access.mover(target), self.access.place(target)
        size = os.fstat(fd).st_size

        async def attempt() -> None:
            async with self._watched() as tick:
                await mover.send(place, _OpenFile(fd, size, tick), overwrite=self._may_replace(target))

        await self.access.tried(target, attempt)
        return size

    @contextlib.asynccontextmanager
    async def _watched(self) -> AsyncIterator[Progress]:
        """Stop a transfer that makes no progress within the time limit."""
        loop, limit = asyncio.get_running_loop(), self.access.timeout_s
        try:
            async with asyncio.timeout(limit) as scope:

                def tick(done: int, total: int | None) -> None:
                    scope.reschedule(loop.time() + limit)
                    self.progress(done, total)

                yield tick
        except TimeoutError as exc:
            text = f"no data within {limit:g} seconds"
            raise TransferError(ErrorKind.TEMPORARY, text, cure="raise --timeout") from exc


def _local(url: Url) -> Path:
    if is_directory_url(url):
        raise RemoteError(url.shown, "names a directory, not a file")
    try:
        return local_path(url)
    except StagingError as exc:
        raise RemoteError(url.shown, str(exc).removeprefix(f"{url.shown}: ")) from exc


def _spool(source: int, target: int) -> None:
    while data := os.read(source, _PIECE):
        _write_all(target, data, os.lseek(target, 0, os.SEEK_END))


def _verify(part: _PartFile, source: Url) -> None:
    """Compare size and checksums with what the URL and the server say."""
    facts = part.facts or FileInfo()
    for expected in (size_of(source), facts.size):
        if expected is not None and expected != part.size:
            text = f"{part.size} bytes were received, {expected} are expected"
            raise TransferError(ErrorKind.CORRUPT, text)
    wanted = checksum_of(source)
    for each in (*facts.checksums, *((wanted,) if wanted else ())):
        if (found := _checksum(part, each)) != each.value:
            part.facts, part.size = None, 0  # the next try begins again
            text = f"checksum mismatch: {each.algorithm} is {found}, expected {each.value}"
            raise TransferError(ErrorKind.CORRUPT, text)


def _checksum(part: _PartFile, wanted: Checksum) -> str:
    found, offset = digest(wanted.algorithm), 0
    while data := os.pread(part.fd, _PIECE, offset):
        found.update(data)
        offset += len(data)
    return found.value()
