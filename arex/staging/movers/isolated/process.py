"""The daemon's side of a mover in a separate process: one process, from its start to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final, Self

from arex.staging.movers.base import ErrorKind, MoverSettings, TransferError, cancelled
from arex.staging.movers.isolated.codec import means_word
from arex.staging.movers.isolated.request import Broke, Request
from arex.staging.movers.isolated.wire import LARGEST, BrokenWire, Credit, Kind, Wire

log = logging.getLogger(__name__)

_START_S: Final = 60.0
_PING_S: Final = 15.0
_MOST_PINGS: Final = 4
#: How long a cancelled transfer may take to clean up at its server.
_PARTING_S: Final = 10.0
_CLOSE_S: Final = 5.0
#: Limits for what the process prints.
_MOST_LINES: Final = 100
_LONGEST_LINE: Final = 500
_QUERY: Final = re.compile(r"\?\S+")
# isolated, so that it runs this arex, and no other from a directory, a PYTHON variable or an installation;
# sys.path is sent over the socket
_CODE: Final = (
    f"import sys; sys.path.append({str(Path(__file__).resolve().parents[4])!r}); "
    "from arex.staging.movers.isolated.child import main; main()"
)


class Unloadable(Exception):
    """The mover cannot be created; the message has the reason."""


class Process:
    """
    A running mover. Create one with ``start``.

    It is ``alive`` until it ends, violates the protocol, or does not answer requests for a minute. Then all requests
    get a TransferError, ``died`` is called, and ``buried`` is set when the process is gone.
    """

    def __init__(self, called: str, died: Callable[[], None]) -> None:
        self._called, self._died = called, died
        self.alive = True
        self._closing = False
        self.buried = asyncio.Event()
        self._requests: dict[int, Request] = {}
        self._number = 0
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unanswered = 0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._wire: Wire
        self._process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def start(cls, name: str, called: str, means: MoverSettings, died: Callable[[], None]) -> Self:
        """
        A process with the mover ``name``, a ``module:Class``.

        Raises:
            Unloadable: there is no such mover, or a package is missing.
            TransferError: the process did not start.
        """
        made = cls(called, died)
        ours, theirs = socket.socketpair()
        try:
            # not arex.process.run: this process stays, and communicates over a socket
            made._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", "-c", _CODE, str(theirs.fileno())),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except OSError as exc:
            ours.close()
            raise TransferError(ErrorKind.TEMPORARY, f"{called} could not be started: {exc.strerror}") from exc
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        made._wire = Wire(ours, word=made._word, data=made._data, ended=made._end)
        made._tasks.append(asyncio.create_task(made._listen(), name=f"words of {called}"))
        await made._hello(name, means)
        return made

    async def _hello(self, name: str, means: MoverSettings) -> None:
        path = [each for each in sys.path if each.startswith("/")]
        self._wire.put(Kind.HELLO, 0, [path, name, means_word(means)])
        try:
            async with asyncio.timeout(_START_S):
                await asyncio.shield(self._ready)
        except TimeoutError:
            self._end(f"it did not start within {_START_S:.0f} s")
            await self._ready
        finally:
            if not self._is_ready():
                self._ready.cancel()  # nothing waits for it any more
                await self.close()
        log.debug("%s started, pid %d", self._called, self.pid)

    def _is_ready(self) -> bool:
        return self._ready.done() and not self._ready.cancelled() and self._ready.exception() is None

    # --- requests -----------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def asked(self, kind: Kind, *words: object, offset: int = 0) -> AsyncIterator[Request]:
        """
        Send a request. It is cancelled if the block is left before its end.

        Then wait until the process has finished it, with a time limit.
        """
        self._number += 1
        request = self._requests[self._number] = Request(self._wire, kind, self._number, offset)
        try:
            self._wire.put(kind, request.number, words)
            self._watch()
            yield request
        finally:
            request.leave()
            if not request.over.is_set():
                self._wire.put(Kind.CANCEL, request.number)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_PARTING_S):
                        await request.over.wait()

    def start_again(self, request: Request) -> None:
        """Send the file from its start again; earlier bytes do not count."""
        self._wire.put(Kind.START, request.number)

    async def send(self, request: Request, data: bytes, credit: Credit) -> None:
        """Send bytes of a file, as soon as there is credit."""
        view = memoryview(data)
        for first in range(0, len(view), LARGEST):
            piece = view[first : first + LARGEST]
            await credit.take(len(piece))
            await self._wire.room()
            self._wire.put_data(request.number, piece)

    def sent_all(self, request: Request) -> None:
        self._wire.put(Kind.END, request.number)

    def _word(self, kind: Kind, number: int, word: Any) -> None:  # noqa: ANN401
        self._unanswered = 0
        if kind is Kind.PONG:
            return
        if kind in {Kind.READY, Kind.UNLOADABLE}:
            self._started(kind, word)
            return
        request = self._known(number)
        request.hear(kind, word)
        if request.over.is_set():
            del self._requests[number]

    def _data(self, number: int, piece: bytes, price: int, _last: bool) -> None:
        self._unanswered = 0
        self._known(number).came(piece, price)

    def _known(self, number: int) -> Request:
        if number not in self._requests:
            raise BrokenWire("unexpected answer")
        return self._requests[number]

    def _started(self, kind: Kind, word: Any) -> None:  # noqa: ANN401
        if self._ready.done():
            raise BrokenWire("duplicate start message")
        if kind is Kind.READY:
            self._ready.set_result(None)
        else:
            self._ready.set_exception(Unloadable(str(word)[:_LONGEST_LINE]))

    # --- life and death -----------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Check that the process answers while it has requests."""
        if self._timer is None and self.alive:
            self._timer = asyncio.get_running_loop().call_later(_PING_S, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._requests:
            self._unanswered = 0
        elif self._unanswered >= _MOST_PINGS:
            self._end("it does not answer")
        else:
            self._unanswered += 1
            self._wire.put(Kind.PING)
            self._watch()

    def _end(self, why: str) -> None:
        """End the process after its socket was closed, it violated the protocol, or it did not answer in time."""
        if self._closing:
            self._stop()
        elif self.alive:
            self._stop()
            self._tasks.append(asyncio.create_task(self._bury(why), name=f"end of {self._called}"))

    def _stop(self) -> None:
        self.alive = False
        self._wire.close()
        if self._timer is not None:
            self._timer.cancel()

    async def _bury(self, why: str) -> None:
        what = f"has been stopped: {why}" if why else "has crashed"
        trouble = TransferError(ErrorKind.TEMPORARY, f"{self._called} {what}")
        try:
            self._kill()
            code = await self._gone()
            if not why:
                trouble = TransferError(ErrorKind.TEMPORARY, f"{self._called} has crashed ({_how(code)})")
            facts = {"event": "mover.crashed"}
            log.warning("%s; transfers in progress: %d", trouble, len(self._requests), extra=facts)
            self._died()
        finally:
            if not self._ready.done():
                self._ready.set_exception(trouble)
            self._give_up(trouble)

    def _kill(self) -> None:
        if self._process.returncode is None:
            # not Process.kill, which would take the exit code from the task that waits for it
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    async def _gone(self) -> int:
        """Wait for the end of the process; returns its exit code."""
        try:
            async with asyncio.timeout(_CLOSE_S):
                return await self._process.wait()
        except TimeoutError:
            # asyncio waits for the end of a pipe that another process holds
            self._kill()
            self._process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001
            return await self._process.wait()

    async def close(self) -> None:
        """Ask the process to end, and kill it if it does not; active requests get a TransferError."""
        if self.alive and not self._closing:
            self._closing = True
            self._wire.put(Kind.CLOSE)
            try:
                await self._gone()
            finally:
                self._kill()
                self._stop()
                self._give_up(cancelled())
        await asyncio.gather(*self._tasks)

    def _give_up(self, trouble: TransferError) -> None:
        requests, self._requests = self._requests, {}
        for request in requests.values():
            request.tell(Broke(TransferError(trouble.verdict, trouble.text)))
        self.buried.set()

    async def _listen(self) -> None:
        """Log what the process prints, up to a limit."""
        assert self._process.stderr is not None
        rest, lines = b"", 0
        while data := await self._process.stderr.read(1 << 14):
            *whole, rest = (rest + data).split(b"\n")
            rest = rest[:_LONGEST_LINE]
            for line in whole:
                lines += 1
                if lines <= _MOST_LINES:
                    self._said(line)
        if rest and lines < _MOST_LINES:
            self._said(rest)
        if lines > _MOST_LINES:
            log.info(
                "%s: %d more lines of output omitted", self._called, lines - _MOST_LINES, extra={"event": "mover.said"}
            )

    def _said(self, line: bytes) -> None:
        text = _QUERY.sub("?...", line.decode(errors="replace"))[:_LONGEST_LINE]
        log.info("%s: %s", self._called, text, extra={"event": "mover.said"})


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
