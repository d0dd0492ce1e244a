"""The daemon's side of the forkserver: start it, send orders, receive ends, restart it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from arex import process
from arex.errors import BatchUnavailable
from lrms import rlimits
from lrms.fork.order import Order
from lrms.fork.server import ENDED, FORK_FAILED, REPLACE

log = logging.getLogger(__name__)

_ANSWER_S: Final = 30.0
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_BUFFER: Final = 65536
#: Launches in a row in which the forkserver could start no process at all; then it is replaced.
_MOST_FAILURES: Final = 3
#: How long a forkserver without supervisors may take to end, and the seconds between looks.
_CLOSE_S: Final = 5.0
_CLOSE_STEP_S: Final = 0.02
# isolated and without site, to start fast and small: every supervisor is a copy of this process
_CODE: Final = (
    f"import sys; sys.path.append({str(Path(__file__).resolve().parents[2])!r}); "
    "from lrms.fork.server import main; main()  # the forkserver of arex, for who looks at its command line"
)


class Launcher:
    """
    Starts supervisors through a forkserver. A dead forkserver is started again at the next order, and so is one that
    can start nothing, or whose resource limits another process has lowered.

    Args:
        environment: of the forkserver and so of all jobs.
        ended: called with the pid of each supervisor that has ended, and whether it ended by itself.
        orphaned: called with the pids of those that a dead forkserver has left.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        ended: Callable[[int, bool], None],
        orphaned: Callable[[Iterable[int]], None],
    ) -> None:
        self._environment = environment
        self._ended, self._orphaned = ended, orphaned
        self._socket: socket.socket | None = None
        self._pid: int | None = None
        self._zombies: set[int] = set()  #: forkservers that have ended or are about to
        self._starting = asyncio.Lock()
        self._sending = asyncio.Lock()
        self._writing: asyncio.Timeout | None = None  #: of the order that waits for room in the socket
        self._orders: dict[int, asyncio.Future[int]] = {}
        self._number = 0
        self._children: set[int] = set()
        self._not_before = 0.0
        self._pause_s = _FIRST_PAUSE_S
        self._failed = False  #: the forkserver could not fork
        self._failures = 0  #: launches in a row

    @property
    def children(self) -> frozenset[int]:
        """The supervisors whose end the forkserver will report."""
        return frozenset(self._children)

    @property
    def pid(self) -> int | None:
        """The pid of the forkserver."""
        return self._pid

    async def start(self) -> None:
        """
        Start the forkserver, if there is none.

        Raises:
            BatchUnavailable: it does not start, or died so recently that it is not tried again yet.
        """
        async with self._starting:
            if self._socket is None:
                await self._start()

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() < self._not_before:
            raise BatchUnavailable("the forkserver died and has not been restarted yet")
        self._not_before = loop.time() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        self._reap()
        try:
            ours, self._pid = await asyncio.to_thread(self._fork)
        except (OSError, RuntimeError) as exc:  # RuntimeError: no thread can be started
            raise BatchUnavailable(f"the forkserver could not be started: {exc}") from exc
        self._socket = ours
        loop.add_reader(ours.fileno(), self._receive)
        log.debug("forkserver started, pid %d", self._pid)

    def _fork(self) -> tuple[socket.socket, int]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = (sys.executable, "-I", "-S", "-c", _CODE, str(theirs.fileno()), json.dumps(rlimits.limits()))
        try:
            ours.setblocking(False)
            return ours, process.detach(argv, output=None, keep=theirs.fileno(), env=self._environment)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()

    def _reap(self) -> None:
        """Wait for forkservers that have ended."""
        for pid in tuple(self._zombies):
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG) == (0, 0):
                    continue
            self._zombies.discard(pid)

    async def close(self) -> None:
        """Close the connection. The supervisors continue, and the forkserver until their ends."""
        idle = not self._children
        pid = self._pid
        self._drop()
        if not idle or pid is None:
            return
        loop = asyncio.get_running_loop()
        until = loop.time() + _CLOSE_S
        self._reap()
        while pid in self._zombies:
            if loop.time() > until:
                os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(_CLOSE_STEP_S)
            self._reap()

    async def launch(self, orders: Sequence[Order]) -> Mapping[str, int]:
        """
        Start many supervisors; the answer is tag to pid.

        If another supervisor already has the attempt, the answer is its pid. A missing tag is uncertain.

        Raises:
            BatchUnavailable: there is no forkserver, and nothing was started.
        """
        await self.start()
        answers = await asyncio.gather(*(self._launch(order) for order in orders), return_exceptions=True)
        pids = dict(zip((order.tag for order in orders), answers, strict=True))
        for tag, answer in pids.items():
            if isinstance(answer, BaseException):
                log.error("order %s could not be sent", tag, exc_info=answer, extra={"event": "submit.bug"})
        started = {tag: pid for tag, pid in pids.items() if isinstance(pid, int) and pid}
        if orders:
            self._judge(bool(started))
        return started

    def _judge(self, useful: bool) -> None:
        """Replace a forkserver that could start no process again and again; others of this machine may be able to."""
        if useful:
            self._pause_s = _FIRST_PAUSE_S
        self._failures = self._failures + 1 if self._failed and not useful else 0
        self._failed = False
        if self._failures >= _MOST_FAILURES and self._socket is not None:
            self._replace(f"it could not start a process {self._failures} times in a row")

    async def _launch(self, order: Order) -> int:
        loop = asyncio.get_running_loop()
        self._number += 1
        number = self._number
        answer: asyncio.Future[int] = loop.create_future()
        self._orders[number] = answer
        try:
            async with asyncio.timeout(_ANSWER_S) as limit:
                async with self._sending:  # a socket has one writer at a time
                    if self._socket is None:
                        return 0
                    self._writing = limit
                    try:
                        await loop.sock_sendall(self._socket, json.dumps(order._replace(number=number)).encode())
                    finally:
                        self._writing = None
                return await answer
        except TimeoutError:
            log.warning("no answer from the forkserver about %s", order.tag)
            self._continue()
            return 0
        except OSError as exc:
            log.warning("no answer from the forkserver about %s: %s", order.tag, exc)
            return 0
        finally:
            del self._orders[number]

    def _continue(self) -> None:
        """Continue a forkserver that was stopped."""
        if self._pid is not None:
            os.kill(self._pid, signal.SIGCONT)

    def _receive(self) -> None:
        """Read every message that is there."""
        while self._socket is not None:
            try:
                message = self._socket.recv(_BUFFER)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:
                self._died()
                return
            self._note(*json.loads(message))

    def _note(self, number: int, pid: int, sender: int, why: str) -> None:
        if number == ENDED:
            if pid in self._children:
                self._children.discard(pid)
                self._ended(pid, sender == 0)
            return
        if number == REPLACE:
            self._replace(why)
            return
        if why:
            self._failed |= why.startswith(FORK_FAILED)
            log.warning("a supervisor could not be started: %s", why)
        if pid and pid == sender:
            self._children.add(pid)
        if (answer := self._orders.get(number)) is not None and not answer.done():
            answer.set_result(pid)

    def _died(self) -> None:
        log.error("the forkserver has died; jobs continue", extra={"event": "forkserver.died"})
        self._lose()

    def _replace(self, why: str) -> None:
        """Leave a forkserver alone with its supervisors until the last one has ended. The next order starts another."""
        log.warning("the forkserver is replaced: %s; jobs continue", why, extra={"event": "forkserver.replaced"})
        self._failures = 0
        self._lose()

    def _lose(self) -> None:
        orphans = frozenset(self._children)
        self._drop()
        self._orphaned(orphans)

    def _drop(self) -> None:
        if self._socket is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._socket.fileno())
            loop.remove_writer(self._socket.fileno())
            self._socket.close()
            self._socket = None
        if self._writing is not None:
            self._writing.reschedule(0)  # nothing else would end the wait for room
        if self._pid is not None:
            self._zombies.add(self._pid)
            self._pid = None
        self._children.clear()
        for answer in self._orders.values():
            with contextlib.suppress(asyncio.InvalidStateError):
                answer.set_result(0)
