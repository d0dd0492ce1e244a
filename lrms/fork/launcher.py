"""The daemon's side of the forkserver: start it, send orders, receive ends, restart it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from arex.errors import BatchUnavailable
from lrms.fork.server import ENDED
from lrms.fork.supervisor import Order

log = logging.getLogger(__name__)

_ANSWER_S: Final = 30.0
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_BUFFER: Final = 65536
# isolated and without site, to start fast and small: every supervisor is a copy of this process
_CODE: Final = (
    f"import sys; sys.path.append({str(Path(__file__).resolve().parents[2])!r}); "
    "from lrms.fork.server import main; main()"
)


class Launcher:
    """
    Starts supervisors through a forkserver; a dead forkserver is started again at the next order.

    Args:
        environment: of the forkserver and so of all jobs.
        ended: called with the pid of each supervisor that has ended.
        orphaned: called with the pids of those that a dead forkserver has left.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        ended: Callable[[int], None],
        orphaned: Callable[[Iterable[int]], None],
    ) -> None:
        self._environment = environment
        self._ended, self._orphaned = ended, orphaned
        self._socket: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()
        self._orders: dict[int, asyncio.Future[int]] = {}
        self._number = 0
        self._children: set[int] = set()
        self._not_before = 0.0
        self._pause_s = _FIRST_PAUSE_S

    @property
    def children(self) -> frozenset[int]:
        """The supervisors whose end the forkserver will report."""
        return frozenset(self._children)

    @property
    def pid(self) -> int | None:
        """The pid of the forkserver."""
        return None if self._process is None else self._process.pid

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
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = (sys.executable, "-I", "-S", "-c", _CODE, str(theirs.fileno()))
        try:
            # not arex.process.run: this process keeps running, and communicates over a socket
            self._process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=dict(self._environment),
                start_new_session=True,
            )
        except OSError as exc:
            ours.close()
            raise BatchUnavailable(f"the forkserver could not be started: {exc}") from exc
        finally:
            theirs.close()
        ours.setblocking(False)
        self._socket = ours
        loop.add_reader(ours.fileno(), self._receive)
        log.debug("forkserver started, pid %d", self._process.pid)

    async def close(self) -> None:
        """End the forkserver; the supervisors that it has started continue."""
        self._drop()
        if (process := self._process) is None:
            return
        self._process = None
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def launch(self, orders: Sequence[Order]) -> Mapping[str, int]:
        """
        Start many supervisors; the answer is tag to pid.

        If another supervisor already has the attempt, the answer is its pid. A missing tag is uncertain.

        Raises:
            BatchUnavailable: there is no forkserver, and nothing was started.
        """
        await self.start()
        pids = await asyncio.gather(*(self._launch(order) for order in orders))
        self._pause_s = _FIRST_PAUSE_S
        return {order.tag: pid for order, pid in zip(orders, pids, strict=True) if pid}

    async def _launch(self, order: Order) -> int:
        loop = asyncio.get_running_loop()
        self._number += 1
        number = self._number
        answer: asyncio.Future[int] = loop.create_future()
        self._orders[number] = answer
        try:
            if self._socket is None:
                return 0
            await loop.sock_sendall(self._socket, json.dumps(order._replace(number=number)).encode())
            async with asyncio.timeout(_ANSWER_S):
                return await answer
        except (OSError, TimeoutError) as exc:
            log.warning("no answer from the forkserver about %s: %r", order.tag, exc)
            return 0
        finally:
            del self._orders[number]

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
                self._ended(pid)
            return
        if why:
            log.warning("a supervisor could not be started: %s", why)
        if pid and pid == sender:
            self._children.add(pid)
        if (answer := self._orders.get(number)) is not None and not answer.done():
            answer.set_result(pid)

    def _died(self) -> None:
        log.error("the forkserver has died; jobs continue", extra={"event": "forkserver.died"})
        orphans = frozenset(self._children)
        self._drop()
        self._orphaned(orphans)

    def _drop(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
        self._children.clear()
        for answer in self._orders.values():
            with contextlib.suppress(asyncio.InvalidStateError):
                answer.set_result(0)
