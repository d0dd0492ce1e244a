"""Writes ``arex.waiting``, from which clients learn what their jobs wait for, whenever something in it has changed."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Final

from arex.diagnosis import facts
from arex.diagnosis.facts import MOST_JOBS, WaitingFacts
from arex.gm.batch.client import BatchClient
from arex.gm.context import Services
from arex.gm.manager import GridManager
from arex.model.ids import JobId
from arex.model.reason import Reason
from arex.ports import Stager

log = logging.getLogger(__name__)

_LOOK_S: Final = 1.0
#: Interval of writing if nothing has changed; readers ignore a file that is much older.
_PERIOD_S: Final = 60.0


class WaitingWriter:
    """Collects what all parts of the service know about waiting jobs."""

    def __init__(
        self, services: Services, manager: GridManager, clients: Mapping[str, BatchClient], stager: Stager
    ) -> None:
        self._services = services
        self._manager = manager
        self._clients = clients
        self._stager = stager

    async def run(self) -> None:
        """Run until cancelled; if the file cannot be written, log a warning and keep the old one."""
        last: WaitingFacts | None = None
        written = float("-inf")
        clock = self._services.clock
        while True:
            now = clock.monotonic()
            current = self.facts()
            if not current.same(last) or now - written >= _PERIOD_S:
                last, written = current, now
                await asyncio.to_thread(self._write, current)
            await clock.sleep(_LOOK_S)

    def facts(self) -> WaitingFacts:
        limits = self._services.limits
        usage = limits.usage(MOST_JOBS)
        name = "running jobs (maxjobs)" if usage.counts_jobs else f"slots of {self._services.settings.lrms}"
        return WaitingFacts(
            updated=self._services.clock.now(),
            pid=os.getpid(),
            batch={lrms: client.facts() for lrms, client in self._clients.items()},
            slots=usage.slots,
            slots_used=usage.used,
            limit=name,
            line=usage.line,
            owner_limit=limits.maxjobs.per_owner,
            owner_line=usage.owner_line,
            most_jobs=limits.maxjobs.tracked,
            outside=self._manager.waiting_outside,
            jobs=dict(islice(self._reasons(), MOST_JOBS)),
        )

    def _reasons(self) -> Iterator[tuple[JobId, Reason]]:
        clients = (client.reasons() for client in self._clients.values())
        return chain(self._manager.reasons(), self._stager.reasons(), *clients)

    def _write(self, current: WaitingFacts) -> None:
        try:
            facts.write(self._services.store.root, current)
        except OSError as exc:
            log.warning("cannot write the reasons of waiting jobs: %s", exc, extra={"event": "waiting.failed"})
