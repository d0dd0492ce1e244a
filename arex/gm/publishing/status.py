"""Writes ``arex.status``, which ``arex status`` shows, whenever something in it has changed, and twice a minute."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from arex import __version__, daemon, logs
from arex.aio import WakeUp
from arex.config.model import Configuration, QueueBlock
from arex.controldir import codec
from arex.gm.batch.client import BatchClient
from arex.gm.context import Services
from arex.gm.manager import GridManager
from arex.ports import Stager

log = logging.getLogger(__name__)

_LOOK_S: Final = 2.0
#: Interval of writing if nothing has changed, so that a status that is much older shows a service that hangs.
_PERIOD_S: Final = 30.0
_MOST_JOBS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFacts:
    """What the service itself contributes to its status."""

    config: Configuration
    wakeups: str  #: how it detects changes
    orphans: int = 0
    reload: Mapping[str, object] = field(default_factory=dict)  #: see ``daemon.Snapshot``


class StatusWriter:
    """Collects the figures of all parts of the service."""

    def __init__(
        self,
        services: Services,
        manager: GridManager,
        clients: Mapping[str, BatchClient],
        stager: Stager,
        facts: Callable[[], ServiceFacts],
    ) -> None:
        self._clock = services.clock
        self._keeper = services.keeper
        self._services = services
        self._manager = manager
        self._clients = clients
        self._stager = stager
        self._controldir = services.store.root
        self._facts = facts
        self._started = codec.iso_time(self._clock.now())
        self._code = ""
        self._look_now = WakeUp(self._clock)

    async def run(self) -> None:
        """Run until cancelled; if the file cannot be written, log a warning and keep the old one."""
        self._code = self._code or await asyncio.to_thread(daemon.fingerprint)
        last: daemon.Snapshot | None = None
        written = float("-inf")
        while True:
            now = self._clock.monotonic()
            snapshot = self._snapshot(self._facts())
            if snapshot != last or now - written >= _PERIOD_S:
                last, written = snapshot, now
                await asyncio.to_thread(self._write, snapshot)
            await self._look_now.wait(_LOOK_S)

    def look(self) -> None:
        """Write the file now if something has changed."""
        self._look_now.set()

    async def stopped(self) -> None:
        """Write the last status of a service that stops as it should."""
        try:
            await asyncio.to_thread(self._write, replace(self._snapshot(self._facts()), stopped=True))
        except Exception as exc:  # noqa: BLE001 - it is logged, and must not keep the service from its end
            self._keeper.note("status file", exc)

    def _snapshot(self, facts: ServiceFacts) -> daemon.Snapshot:
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
            wakeups=facts.wakeups,
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
            strays=facts.orphans,
            config=str(facts.config.source or ""),
            served={**daemon.served(facts.config)},
            code=self._code,
            phases=self._manager.phases,
            ended=self._services.endings.numbers(),
            kept=self._manager.kept,
            slots={"used": self._services.limits.used, "total": self._services.limits.total},
            queues={name: _queues(facts.config, client) for name, client in clients.items()},
            answered={name: client.health.last_answer for name, client in clients.items()},
            reload=facts.reload,
        )

    def _write(self, snapshot: daemon.Snapshot) -> None:
        config = snapshot.config and str(Path(snapshot.config).resolve())
        now = codec.iso_time(self._clock.now())
        try:
            daemon.write_snapshot(self._controldir, replace(snapshot, config=config, updated=now))
        except OSError as exc:
            log.warning("cannot write the status file: %s", exc, extra={"event": "status.failed"})


def _queues(config: Configuration, client: BatchClient) -> dict[str, dict[str, int | str | None]]:
    """The queues of a batch system: their limits, and whether arex submits into them."""
    queues: dict[str, dict[str, int | str | None]] = {
        queue.name: {"state": "open", **_limits(queue)} for queue in config.queues
    }
    for name, pause in client.facts().paused.items():
        facts: dict[str, int | str | None] = {"state": "paused", "reason": pause.why}
        facts |= {"since": _iso(pause.since), "next_try": _iso(pause.next_try)}
        queues[name] = {**queues.get(name, {}), **facts}
    return queues


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else codec.iso_time(moment)


def _limits(queue: QueueBlock) -> dict[str, int | str | None]:
    """Times in seconds; a limit that is not set is missing."""
    limits = {
        "maxwalltime_s": None if queue.maxwalltime is None else int(queue.maxwalltime.total_seconds()),
        "maxcputime_s": None if queue.maxcputime is None else int(queue.maxcputime.total_seconds()),
        "maxslotsperjob": queue.maxslotsperjob,
    }
    return {name: value for name, value in limits.items() if value is not None}
