"""End notices of supervisors that this forkserver has not started: those of earlier daemons and dead forkservers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from typing import Final

from arex.model.ids import LocalId
from lrms import processes
from lrms.fork import signals

#: Seconds between checks on kernels without pidfds (before 5.3), or if there are no descriptors left.
_POLL_S: Final = 1.0


class Watcher:
    """Passes on the ends of supervisors."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[LocalId | None] = asyncio.Queue()  #: None: check ``_polled``
        self._watched: dict[int, int] = {}  #: pid to pidfd
        self._polled: set[int] = set()  #: without a pidfd

    def note_end(self, pid: int) -> None:
        self._events.put_nowait(LocalId(str(pid)))

    def adopt(self, pids: Iterable[int]) -> None:
        """Watch these processes until they end."""
        for pid in pids:
            if pid in self._watched or pid in self._polled:
                continue
            try:
                fd = signals.pidfd(pid)
            except ProcessLookupError:
                self.note_end(pid)
                continue
            if fd is None:
                self._polled.add(pid)
                self._events.put_nowait(None)
                continue
            self._watched[pid] = fd
            asyncio.get_running_loop().add_reader(fd, self._end_of_adopted, pid)

    async def run(self, ended: Callable[[LocalId], None]) -> None:
        """Call ``ended`` for each end; runs until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_POLL_S if self._polled else None):
                    localid = await self._events.get()
            except TimeoutError:
                self._poll()
                continue
            if localid is not None:
                ended(localid)

    def close(self) -> None:
        for pid in tuple(self._watched):
            self._unwatch(pid)

    def _poll(self) -> None:
        gone = {pid for pid in self._polled if not processes.is_alive(pid)}
        self._polled -= gone
        for pid in gone:
            self.note_end(pid)

    def _end_of_adopted(self, pid: int) -> None:
        self._unwatch(pid)
        self.note_end(pid)

    def _unwatch(self, pid: int) -> None:
        fd = self._watched.pop(pid)
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)
