"""
All storages that fsspec can reach and the site allows: one thread and one connection for each transfer.

A thread passes on the bytes that it has read, and never opens a file of a job, so it can be abandoned during a call.
"""

from __future__ import annotations

import asyncio
import contextlib
import ftplib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final, ParamSpec, TypeVar

from arex.staging.movers.base import (
    ErrorKind,
    FileInfo,
    MoverSettings,
    RemoteFile,
    Resume,
    Sink,
    Source,
    TransferError,
    start_of,
)
from arex.staging.movers.fsspec.allowed import Grants, Reach
from arex.staging.movers.fsspec.errors import trouble
from arex.staging.movers.fsspec.ftp import FtpStorage, is_ftp, said
from arex.staging.movers.fsspec.storage import Storage, connect
from arex.staging.movers.fsspec.worker import Worker

_P = ParamSpec("_P")
_T = TypeVar("_T")

#: Threads at the same time, including those that hang in an abandoned call.
_MOST: Final = 64
_ANSWER_S: Final = 300.0
_PARTING_S: Final = 3.0
#: Pieces become larger if one takes less than the first time, and smaller if one takes more than the second.
_LEAST_PIECE: Final = 512 * 1024
_MOST_PIECE: Final = 8 * 1024 * 1024
_QUICK_S, _SLOW_S = 1.0, 4.0


class _FilesystemFile:
    """A storage in its thread."""

    storage: Storage  #: after ``connect``

    def __init__(self, worker: Worker, limit: float) -> None:
        self._worker, self._limit = worker, limit
        self._storage: Storage | None = None  #: also if the caller has left

    async def connect(self, what: Reach) -> None:
        self.storage = await self.call(self._connect, what)

    def _connect(self, what: Reach) -> Storage:
        system, path = connect(what)
        self._storage = FtpStorage(system, path) if is_ftp(system) else Storage(system, path)
        return self._storage

    async def call(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        async with asyncio.timeout(self._limit):
            return await self._worker.call(function, *args, **kwargs)

    def leave(self) -> asyncio.Future[None]:
        """End the work at the storage; the future is done when nothing is left there. Callers need not wait for it."""
        return self._worker.leave(self._end)

    def hang_up(self) -> None:
        if self._storage is not None:
            self._storage.hang_up()

    def _end(self) -> None:
        if self._storage is not None:
            self._storage.end()


class FilesystemMover:
    """Connections are not kept."""

    def __init__(self, means: MoverSettings, grants: Grants) -> None:
        self._limit = means.inactivity_s or _ANSWER_S
        self._grants = grants
        self._free = asyncio.Semaphore(_MOST)

    # --- the protocol of movers ---------------------------------------------------------------------------------

    async def stat(self, place: RemoteFile) -> FileInfo:
        async with self.far(place) as far:
            return await far.call(far.storage.look)

    async def fetch(self, place: RemoteFile, sink: Sink, resume: Resume | None) -> None:
        async with self.far(place) as far:
            facts = await far.call(far.storage.look)
            if facts.size is None:
                raise TransferError(ErrorKind.PERMANENT, "the storage does not report the size of the file")
            start = start_of(resume, facts)
            await sink.begin(facts, start)
            await _pour(far, sink, start, facts.size)
            if not facts.agrees(await far.call(far.storage.look)):
                raise TransferError(ErrorKind.TEMPORARY, "the file has changed during the transfer")

    async def send(self, place: RemoteFile, source: Source, *, overwrite: bool) -> None:
        async with self.far(place) as far:
            await far.call(far.storage.create)
            async for data in source.chunks():
                await far.call(far.storage.write, data)
            await far.call(far.storage.finish, source.size, overwrite=overwrite)

    async def close(self) -> None:
        """Nothing is kept."""

    # --- parts --------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def far(self, place: RemoteFile) -> AsyncIterator[_FilesystemFile]:
        """A separate connection for one transfer; a cancelled transfer does not wait for its end."""
        what = await self._grants.reach(place.url)
        await self._free.acquire()
        far = _FilesystemFile(self._worker(), self._limit)
        try:
            with _judged(what):
                await far.connect(what)
                yield far
        except BaseException as exc:
            far.hang_up()
            over = far.leave()
            if isinstance(exc, Exception):  # remove the incomplete file before a retry
                await asyncio.wait([over], timeout=_PARTING_S)
            raise
        else:
            _ = far.leave()

    def _worker(self) -> Worker:
        try:
            return Worker(self._free.release)
        except RuntimeError as exc:
            self._free.release()
            raise TransferError(ErrorKind.TEMPORARY, "too many threads wait for the storage") from exc


async def _pour(far: _FilesystemFile, sink: Sink, start: int, size: int) -> None:
    """Read the bytes up to ``size`` and write them to the sink."""
    loop = asyncio.get_running_loop()
    piece = _LEAST_PIECE
    while start < size:
        began = loop.time()
        data = await far.call(far.storage.read, start, min(piece, size - start))
        took = loop.time() - began
        if not data:
            raise TransferError(ErrorKind.TEMPORARY, "the response is incomplete")
        await sink.write(data)
        start += len(data)
        if took < _QUICK_S:
            piece = min(2 * piece, _MOST_PIECE)
        elif took > _SLOW_S:
            piece = max(piece // 2, _LEAST_PIECE // 8)


@contextlib.contextmanager
def _judged(what: Reach) -> Iterator[None]:
    """Convert exceptions; libraries under fsspec raise any kind."""
    try:
        yield
    except ftplib.Error as exc:
        raise said(exc) from exc
    except Exception as exc:
        found = trouble(exc, what.options)
        if found is exc:
            raise
        raise found from None  # the text of the original may contain secrets
