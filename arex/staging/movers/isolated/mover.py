"""
A mover in a separate process: a crash of its library ends that process, and not the service.

The process is started when it is first needed, and again after a crash; active transfers are retried as after any
other temporary error.
"""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import Final

from arex.aio import WakeUp, cancel_and_wait
from arex.staging.movers.base import (
    ErrorKind,
    FileInfo,
    Mover,
    MoverSettings,
    RemoteFile,
    Resume,
    Sink,
    Source,
    TransferError,
    cancelled,
)
from arex.staging.movers.isolated.codec import place_word, resume_word
from arex.staging.movers.isolated.process import Process, Unloadable
from arex.staging.movers.isolated.request import Begun, Broke, Came, Finished, Pulled, Request
from arex.staging.movers.isolated.wire import LARGEST, Credit, Kind

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
#: A crash after this time counts as the first one.
_SOUND_S: Final = 60.0
#: A mover that can't be loaded is tried again after this time: a package may have been installed.
_UNLOADABLE_S: Final = 60.0
#: Longest URL, in characters; each may take six bytes in JSON.
_LONGEST_URL: Final = LARGEST // 16


class SubprocessMover:
    """The mover ``name``, a ``module:Class``; ``called`` is what messages call it."""

    def __init__(self, name: str, called: str, means: MoverSettings) -> None:
        self._name, self._called, self._means, self._clock = name, called, means, means.clock
        self._process: Process | None = None
        self._starting = asyncio.Lock()
        self._crashes = 0  #: in a row, each soon after the start
        self._not_before = self._started_at = 0.0
        self._unloadable: tuple[float, str] | None = None
        self._closed = False
        self._wake = WakeUp(means.clock)

    # --- the protocol of movers ---------------------------------------------------------------------------------

    async def stat(self, place: RemoteFile) -> FileInfo:
        process = await self._running(place)
        async with process.asked(Kind.STAT, place_word(place)) as request:
            event = await request.next()
        if isinstance(event, Finished) and event.facts is not None:
            return event.facts
        raise TransferError(ErrorKind.TEMPORARY, f"{self._called} does not answer")

    async def fetch(self, place: RemoteFile, sink: Sink, resume: Resume | None) -> None:
        process = await self._running(place)
        offset = 0 if resume is None else resume.offset
        async with process.asked(Kind.FETCH, place_word(place), resume_word(resume), offset=offset) as request:
            while not isinstance(event := await request.next(), Finished):
                if isinstance(event, Begun):
                    await sink.begin(event.facts, event.start)
                elif isinstance(event, Came):
                    if event.data:
                        await sink.write(event.data)
                    request.taken(event)

    async def send(self, place: RemoteFile, source: Source, *, overwrite: bool) -> None:
        process = await self._running(place)
        pumps: list[asyncio.Task[None]] = []  #: one at most
        async with process.asked(Kind.SEND, place_word(place), source.size, overwrite) as request:
            try:
                while isinstance(event := await request.next(), Pulled):
                    await cancel_and_wait(*pumps)
                    process.start_again(request)
                    work = _pump(process, request, source, event.credit)
                    pumps = [asyncio.create_task(work, name=f"bytes for {self._called}")]
            finally:
                await cancel_and_wait(*pumps)

    async def close(self) -> None:
        """End the process; callers that wait for a start get a TransferError."""
        self._closed = True
        self._wake.set()
        process, self._process = self._process, None
        if process is not None:
            await process.close()

    # --- its process --------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int | None:
        """The pid of the process, if there is one."""
        return None if self._process is None or not self._process.alive else self._process.pid

    async def _running(self, place: RemoteFile) -> Process:
        """The running process; raises TransferError if it cannot be started."""
        url = place.url
        if sum(map(len, (url.authority, url.path, *chain.from_iterable(url.options)))) > _LONGEST_URL:
            raise TransferError(ErrorKind.PERMANENT, "invalid URL")
        async with self._starting:
            if self._process is None or not self._process.alive:
                self._process = await self._started(url.scheme)
            return self._process

    async def _started(self, scheme: str) -> Process:
        if self._unloadable is not None and self._clock.monotonic() < self._unloadable[0]:
            raise _unloadable(scheme, self._unloadable[1])
        if (before := self._process) is not None:
            await before.buried.wait()
            self._process = None
            await before.close()
        self._must_be_open()
        if (pause := self._not_before - self._clock.monotonic()) > 0:
            await self._wake.wait(pause)
            self._must_be_open()
        self._started_at = self._clock.monotonic()
        try:
            process = await Process.start(self._name, self._called, self._means, self._died)
        except Unloadable as exc:
            self._unloadable = (self._clock.monotonic() + _UNLOADABLE_S, str(exc))
            raise _unloadable(scheme, str(exc)) from exc
        try:
            self._must_be_open()
        except TransferError:
            await process.close()
            raise
        return process

    def _must_be_open(self) -> None:
        if self._closed:
            raise cancelled()

    def _died(self) -> None:
        """Restart at once after a first crash, and with growing pauses after more of them."""
        now = self._clock.monotonic()
        self._crashes = 1 if now - self._started_at > _SOUND_S else self._crashes + 1
        if self._crashes > 1:
            self._not_before = now + min(_FIRST_PAUSE_S * 2.0 ** min(self._crashes - 2, 10), _LONGEST_PAUSE_S)


def _unloadable(scheme: str, why: str) -> TransferError:
    return TransferError(ErrorKind.PERMANENT, f"the transfer method for {scheme}: cannot be loaded: {why}")


async def _pump(process: Process, request: Request, source: Source, credit: Credit) -> None:
    try:
        async for data in source.chunks():
            await process.send(request, data, credit)
        process.sent_all(request)
    except Exception as exc:  # noqa: BLE001 - it is for who waits for the request, as it is
        request.add(Broke(exc))


_: type[Mover] = SubprocessMover
