"""
Lifetimes of FINISHED and DELETED jobs.

The lifetimes of jobs that finish while the service runs are known. Older jobs are read from disk in small parts, so
that a hundred thousand of them do not delay the start.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from arex.controldir.layout import Place
from arex.errors import CorruptFile
from arex.gm.context import Services
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.state import State

log = logging.getLogger(__name__)

_PER_LOOK: Final = 8
_LOOK_S: Final = 1.0
_WALK_AGAIN: Final = timedelta(hours=6)


class Lifetimes:
    """Wakes a finished job at the end of its lifetime."""

    def __init__(self, services: Services, look: Callable[[JobId], None]) -> None:
        self._services = services
        self._look = look
        self._due: list[tuple[datetime, JobId]] = []
        self._known: set[JobId] = set()

    def note(self, job: JobId, state: State, local: JobLocal) -> None:
        """Schedule the next turn of a FINISHED or DELETED job."""
        self._known.add(job)
        if local.cleanuptime is None and state is State.FINISHED:
            return  # the job is kept without a time limit
        due = local.cleanuptime or self._services.clock.now()
        if state is State.DELETED:
            due += self._services.settings.ttr
        heapq.heappush(self._due, (due, job))

    @property
    def known(self) -> int:
        """Number of jobs whose lifetime is known."""
        return len(self._known)

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            names = await asyncio.to_thread(self._names)
            self._known &= set(names)
            self._due = [entry for entry in self._due if entry[1] in self._known]
            heapq.heapify(self._due)
            until = self._services.clock.now() + _WALK_AGAIN
            unread = [job for job in names if job not in self._known]
            while self._services.clock.now() < until:
                part, unread = unread[:_PER_LOOK], unread[_PER_LOOK:]
                if part:
                    for job, state, local in await asyncio.to_thread(self._read, part):
                        self.note(job, state, local)
                self._wake_due()
                await self._services.clock.sleep(_LOOK_S if unread or self._soon() else 10 * _LOOK_S)

    def _soon(self) -> bool:
        return bool(self._due) and self._due[0][0] - self._services.clock.now() < timedelta(seconds=20)

    def _wake_due(self) -> None:
        now = self._services.clock.now()
        while self._due and self._due[0][0] <= now:
            _, job = heapq.heappop(self._due)
            self._known.discard(job)
            self._look(job)

    def _names(self) -> list[JobId]:
        return list(self._services.store.scan_names(Place.FINISHED))

    def _read(self, jobs: list[JobId]) -> list[tuple[JobId, State, JobLocal]]:
        found = []
        for job in jobs:
            try:
                status, local = self._services.store.read_status(job), self._services.store.read_local(job)
            except (CorruptFile, OSError) as exc:
                log.warning(
                    "cannot parse the files of a finished job; arex keeps the job: %s",
                    exc,
                    extra={"event": "cleanup.unreadable", "job": job},
                )
                continue
            if status is not None and status.status is not None and local is not None:
                found.append((job, status.status.state, local))
        return found
