"""
The process of a mover: it creates the requested mover, and serves the daemon over one socket.

It ends as soon as the daemon ends, and has the environment of the daemon.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import os
import signal
import site
import socket
import sys
import traceback
from collections.abc import AsyncIterator, Coroutine
from functools import partial
from pkgutil import resolve_name
from typing import Any, Final, cast

from arex.staging.movers.base import FileInfo, Mover, Sink, Source, TransferError
from arex.staging.movers.isolated.codec import facts_word, means_of, place_of, resume_of, trouble_word
from arex.staging.movers.isolated.wire import LARGEST, BrokenWire, Credit, Debt, Kind, Wire, cost

#: Longest wait for cancelled transfers.
_PARTING_S: Final = 3.0
_PR_SET_PDEATHSIG: Final = 1
_LONGEST_TRACE: Final = 8000


def main() -> None:
    """Serve the socket that is file descriptor ``argv[1]`` until its other side closes."""
    fd = int(sys.argv[1])
    site.main()  # for a virtual environment; not earlier, because an arex installed there would come before ours
    os.set_inheritable(fd, False)
    # also while the library blocks the event loop
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # these go to all processes of a service, but the daemon decides when this one ends
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    faulthandler.enable()
    asyncio.run(_serve(socket.socket(fileno=fd)))


async def _serve(sock: socket.socket) -> None:
    _Servant(sock)
    await asyncio.Event().wait()


def _leave(why: str = "") -> None:
    """Exit without the exit handlers of libraries, because some of them hang."""
    if why:
        sys.stderr.write(f"invalid data from the daemon: {why}\n")
        sys.stderr.flush()
    os._exit(70 if why else 0)


class _Servant:
    """Serves the requests of the daemon."""

    def __init__(self, sock: socket.socket) -> None:
        self._wire = Wire(sock, word=self._word, data=self._data, ended=_leave)
        self._tasks: dict[int, asyncio.Task[object]] = {}
        self._sinks: dict[int, _Sink] = {}
        self._sources: dict[int, _Source] = {}
        self._mover: Mover | None = None
        self._closing: asyncio.Task[None] | None = None

    def _word(self, kind: Kind, number: int, word: Any) -> None:  # noqa: ANN401
        match kind:
            case Kind.HELLO:
                self._hello(*word)
            case Kind.STAT | Kind.FETCH | Kind.SEND:
                self._begin(kind, number, *word)
            case Kind.CANCEL:
                if (task := self._tasks.get(number)) is not None:
                    task.cancel()
            case Kind.CREDIT:
                if (sink := self._sinks.get(number)) is not None:
                    sink.credit.give(word)
            case Kind.START | Kind.END:
                if (source := self._sources.get(number)) is not None:
                    source.told(kind)
            case _:
                self._told(kind)

    def _told(self, kind: Kind) -> None:
        if kind is Kind.PING:
            self._wire.put(Kind.PONG)
        elif kind is Kind.CLOSE:
            self._closing = asyncio.ensure_future(self._close())
        else:
            raise BrokenWire(f"unexpected message {kind.name}")

    def _data(self, number: int, piece: bytes, _price: int, last: bool) -> None:
        if (source := self._sources.get(number)) is not None:
            source.came(piece, last=last)

    def _hello(self, path: list[str], name: str, means: object) -> None:
        sys.path[:] = path  # modules are found where the daemon finds them
        try:
            self._mover = cast("Mover", resolve_name(name)(means_of(means)))
        except Exception as exc:  # noqa: BLE001 - the daemon reports every failure
            self._wire.put(Kind.UNLOADABLE, 0, str(exc)[:_LONGEST_TRACE])
        else:
            self._wire.put(Kind.READY)

    # --- requests -----------------------------------------------------------------------------------------------

    def _begin(self, kind: Kind, number: int, place: object, *more: Any) -> None:  # noqa: ANN401
        assert self._mover is not None
        where = place_of(place)
        work: Coroutine[object, object, object]
        if kind is Kind.STAT:
            work = self._mover.stat(where)
        elif kind is Kind.FETCH:
            sink = self._sinks[number] = _Sink(self._wire, number)
            work = self._mover.fetch(where, sink, resume_of(more[0]))
        else:
            source = self._sources[number] = _Source(self._wire, number, more[0])
            work = self._mover.send(where, source, overwrite=more[1])
        task = self._tasks[number] = asyncio.ensure_future(work)
        task.add_done_callback(partial(self._ended, number))

    def _ended(self, number: int, task: asyncio.Task[object]) -> None:
        """Send the last frame about a request, with its outcome."""
        for each in (self._tasks, self._sinks, self._sources):
            cast("dict[int, object]", each).pop(number, None)
        if task.cancelled():
            self._wire.put(Kind.GONE, number)
        elif (exc := task.exception()) is None:
            facts = task.result()
            self._wire.put(Kind.DONE, number, facts_word(facts) if isinstance(facts, FileInfo) else None)
        elif isinstance(exc, TransferError):
            self._wire.put(Kind.TROUBLE, number, trouble_word(exc))
        else:
            trace = "".join(traceback.format_exception(exc))
            self._wire.put(Kind.BUG, number, [repr(exc)[:1000], trace[-_LONGEST_TRACE:]])

    async def _close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        try:
            async with asyncio.timeout(_PARTING_S):
                if self._tasks:
                    await asyncio.wait(self._tasks.values())
                if self._mover is not None:
                    await self._mover.close()
        finally:
            _leave()


class _Sink:
    """The daemon's sink, as the mover sees it."""

    def __init__(self, wire: Wire, number: int) -> None:
        self._wire, self._number = wire, number
        self.credit = Credit()

    async def begin(self, facts: FileInfo, start: int) -> None:
        self._wire.put(Kind.BEGIN, self._number, [facts_word(facts), start])

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        for first in range(0, len(view), LARGEST):
            piece = view[first : first + LARGEST]
            await self.credit.take(len(piece))
            self._wire.put_data(self._number, piece)


class _Source:
    """The daemon's source, as the mover sees it."""

    def __init__(self, wire: Wire, number: int, size: int) -> None:
        self._wire, self._number, self.size = wire, number, size
        self._awaited = 0  #: START frames that were requested and not received yet
        self._pieces: list[bytes] = []
        self._whole: asyncio.Queue[bytes] = asyncio.Queue()

    def told(self, kind: Kind) -> None:
        if kind is Kind.START:
            self._awaited -= 1
        elif not self._awaited:
            self._whole.put_nowait(b"")

    def came(self, piece: bytes, *, last: bool) -> None:
        """Join the frames of one piece, so that the mover gets pieces as the daemon has read them."""
        self._pieces.append(piece)
        if last:
            data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces = []
            if not self._awaited:
                self._whole.put_nowait(data)

    async def chunks(self) -> AsyncIterator[bytes]:
        self._awaited += 1
        whole = self._whole = asyncio.Queue[bytes]()
        debt = Debt(lambda size: self._wire.put(Kind.CREDIT, self._number, size))
        self._wire.put(Kind.PULL, self._number)
        while data := await whole.get():
            yield data
            debt.taken(cost(len(data)))


_: tuple[type[Sink], type[Source]] = (_Sink, _Source)
