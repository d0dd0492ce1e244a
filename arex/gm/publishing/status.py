"""Writes ``arex.status``, which ``arex status`` shows, whenever something in it has changed, and once a minute."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from arex import __version__, daemon, logs
from arex.clock import Clock
from arex.controldir import codec
from arex.gm.batch.client import BatchClient
from arex.gm.manager import GridManager
from arex.ports import Stager
from arex.taskkeeper import TaskKeeper

log = logging.getLogger(__name__)

_LOOK_S: Final = 2.0
#: Interval of writing if nothing has changed, so that a status that is much older shows a service that hangs.
_PERIOD_S: Final = 60.0
_MOST_JOBS: Final = 10


class StatusWriter:
    """Collects the figures of all parts of the service."""

    def __init__(
        self,
        clock: Clock,
        keeper: TaskKeeper,
        manager: GridManager,
        clients: Mapping[str, BatchClient],
        stager: Stager,
        controldir: Path,
    ) -> None:
        self._clock = clock
        self._keeper = keeper
        self._manager = manager
        self._clients = clients
        self._stager = stager
        self._controldir = controldir
        self._started = codec.iso_time(clock.now())

    async def run(self, wakeups: Callable[[], str], orphans: Callable[[], int]) -> None:
        """Run until cancelled; if the file cannot be written, log a warning and keep the old one."""
        last: daemon.Snapshot | None = None
        written = float("-inf")
        while True:
            now = self._clock.monotonic()
            snapshot = self._snapshot(wakeups(), orphans())
            if snapshot != last or now - written >= _PERIOD_S:
                last, written = snapshot, now
                await asyncio.to_thread(self._write, snapshot)
            await self._clock.sleep(_LOOK_S)

    def _snapshot(self, wakeups: str, orphans: int) -> daemon.Snapshot:
        clients = self._clients
        troubled = {**self._manager.troubled}
        for client in clients.values():
            troubled |= client.stuck
        recent = self._keeper.recent()
        return daemon.Snapshot(
            pid=os.getpid(),
            started=self._started,
            updated="",
            version=__version__,
            controldir=str(self._controldir),
            wakeups=wakeups,
            states=dict(self._manager.counts),
            complete=self._manager.scanned.is_set(),
            waiting=self._manager.waiting_outside,
            lrms={name: client.summary() for name, client in clients.items()},
            calls={name: dict(client.backend.figures()) for name, client in clients.items()},
            unsure={name: client.unsure for name, client in clients.items() if client.unsure},
            staging=dict(self._stager.figures()),
            faults={
                name: {"count": each.count, "at": each.at, "message": each.message, "recent": name in recent}
                for name, each in self._keeper.faults.items()
            },
            troubled=dict(itertools.islice(troubled.items(), _MOST_JOBS)),
            troubled_count=len(troubled),
            log_trouble=logs.trouble(),
            strays=orphans,
        )

    def _write(self, snapshot: daemon.Snapshot) -> None:
        try:
            daemon.write_snapshot(self._controldir, replace(snapshot, updated=codec.iso_time(self._clock.now())))
        except OSError as exc:
            log.warning("cannot write the status file: %s", exc, extra={"event": "status.failed"})
