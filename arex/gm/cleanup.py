"""
Lifetimes of FINISHED and DELETED jobs, and what could not be removed when jobs ended.

The lifetimes of jobs that finish while the service runs are known. Older jobs are read from disk in small parts, so
that a hundred thousand of them do not delay the start.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from arex.clock import Clock
from arex.controldir import temporary, unfinished
from arex.controldir.delegations import store_directory
from arex.controldir.layout import Place
from arex.controldir.session import discard, orphan_siblings, retry_removals
from arex.controldir.store import ControlDir
from arex.errors import CorruptFile, UnsafePath
from arex.gm.context import Services
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.state import State

log = logging.getLogger(__name__)

_PER_LOOK: Final = 8
_LOOK_S: Final = 1.0
_WALK_AGAIN: Final = timedelta(hours=6)
_ROUND_S: Final = 3600.0
#: The pause between two sweeps, compared with the time that a sweep takes.
_PAUSE_FACTOR: Final = 100


class Lifetimes:
    """Wakes a finished job at the end of its lifetime."""

    def __init__(self, services: Services, look: Callable[[JobId], None]) -> None:
        self._services = services
        self._look = look
        self._due: list[tuple[datetime, JobId]] = []
        self._known: set[JobId] = set()
        self._noted: set[JobId] = set()  #: since the begin of the last walk, which may not have seen them

    def note(self, job: JobId, state: State, local: JobLocal) -> None:
        """Schedule the next turn of a FINISHED or DELETED job."""
        self._known.add(job)
        self._noted.add(job)
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
            self._noted.clear()
            names = await asyncio.to_thread(self._names)
            self._known &= self._noted.union(names)
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
        if self._services.clock_check.was_set():
            return
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


class Leftovers:
    """
    Removes every hour what has been left: in session roots by jobs (see ``controldir.session.discard``) and by a real
    A-REX that cleaned jobs of arex, in the control directory by submissions that were killed.
    """

    def __init__(self, store: ControlDir, roots: Sequence[Path], clock: Clock) -> None:
        self._store = store
        self._roots = tuple(roots)
        self._clock = clock

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await self.round()
            await self._clock.sleep(_ROUND_S)

    async def round(self) -> int:
        """Returns the number of trees in session roots that still cannot be removed."""
        try:
            await asyncio.to_thread(unfinished.sweep, self._store, self._clock.now())
        except OSError as exc:
            log.warning("cannot sweep the control directory: %s", exc, extra={"event": "scan.failed"})
        left = 0
        for root in self._roots:
            try:
                left += await asyncio.to_thread(self._clean_root, root)
            except (OSError, UnsafePath) as exc:
                log.warning("cannot remove what jobs have left in %s: %s", root, exc, extra={"event": "session.left"})
        return left

    def _clean_root(self, root: Path) -> int:
        for orphan in orphan_siblings(root, self._clock.now()):
            if not self._store.knows(JobId(orphan.stem)):
                for text in discard(orphan):
                    log.warning("%s", text, extra={"event": "session.left"})
        return retry_removals(root)


async def sweep_temporary(store: ControlDir, clock: Clock, period_s: float) -> None:
    """
    Remove the temporary files that killed processes have left in the control directory, until cancelled.

    In a directory of a million files that takes long, so the pause is also at least a hundred times as long as the
    work.
    """
    while True:
        start = clock.monotonic()
        try:
            if swept := await asyncio.to_thread(_sweep_temporary, store.root, clock.now()):
                log.info("removed %d temporary files of killed processes", swept, extra={"event": "recover.swept"})
        except OSError as exc:
            log.warning("cannot sweep the control directory: %s", exc, extra={"event": "scan.failed"})
        await clock.sleep(max(period_s, _PAUSE_FACTOR * (clock.monotonic() - start)))


def _sweep_temporary(controldir: Path, now: datetime) -> int:
    trees = (controldir / "jobs", store_directory(controldir))
    flat = (controldir, *map(controldir.joinpath, Place))
    directories = itertools.chain(flat, *map(temporary.directories_below, trees))
    return sum(temporary.sweep(directory, now.timestamp()) for directory in directories)
