"""Scans of the control directory while the service runs: they find what events and messages have missed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from arex.aio import WakeUp
from arex.gm import scan
from arex.gm.context import Services
from arex.gm.turns.tracking import Tracked, Tracking
from arex.model.ids import JobId
from arex.model.state import State

log = logging.getLogger(__name__)

#: States that a job leaves only after a wake-up; they are not polled.
_EVENT_DRIVEN: Final = frozenset({State.ACCEPTED, State.PREPARING, State.FINISHING})


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanIntervals:
    """Seconds between the scans of the control directory."""

    wakeup_s: float = 180.0  #: full scan, with the heartbeat
    accepting_s: float | None = None  #: scan of ``accepting/`` only, where no events arrive


@dataclass(frozen=True, slots=True)
class FoundJobs:
    """What the grid manager does about jobs that a scan finds."""

    arrived: Callable[[JobId], None]  #: a job is on disk, and may be new
    look: Callable[[JobId], None]  #: something may have changed
    vanished: Callable[[Tracked, bool], None]  #: the status file of an adopted job was removed; whether ``.local`` too
    admit_waiting: Callable[[], None]  #: the scan has ended: ``maxjobs`` may allow new jobs


class DiskScanner:
    """Compares memory with the disk periodically. Event loop only."""

    def __init__(self, services: Services, tracking: Tracking, found: FoundJobs, intervals: ScanIntervals) -> None:
        self._services = services
        self._store = services.store
        self._tracking = tracking
        self._found = found
        self._intervals = intervals
        self._now = WakeUp(services.clock)
        self._changed = WakeUp(services.clock)
        self.scanned = asyncio.Event()  #: set when every job on disk at start is known

    def rescan(self) -> None:
        """Start a full scan now, without waiting for the next period."""
        self._now.set()

    def poll_accepting(self, seconds: float | None) -> None:
        """Scan ``accepting/`` this often from now on; None: events arrive, no scan is needed."""
        self._intervals = replace(self._intervals, accepting_s=seconds)
        self._changed.set()

    async def run(self) -> None:
        """Scan everything periodically until cancelled."""
        while True:
            try:
                await self._scan()
                self.scanned.set()
            except OSError as exc:
                log.warning("cannot scan the control directory: %s", exc, extra={"event": "scan.failed"})
            await self._now.wait(self._intervals.wakeup_s)

    async def run_accepting(self) -> None:
        """Scan ``accepting/`` periodically until cancelled, if that is needed."""
        while True:
            await self._changed.wait(self._intervals.accepting_s)
            if self._intervals.accepting_s is not None:
                await self._scan_accepting()

    async def _scan(self) -> None:
        """Adopt jobs that are only on disk, drop jobs that are only in memory."""
        waiting = list(self._tracking.line)
        found = await asyncio.to_thread(scan.everything, self._store)
        on_disk = set(found.jobs)
        for job in found.jobs:
            self._found.arrived(job)
        for job in (*found.marked, *self._resting(), *self._services.limits.heads()):
            self._found.look(job)
        for record in [record for record, _ in self._tracking.adopted() if record.id not in on_disk]:
            if not record.busy and await asyncio.to_thread(self._store.read_status, record.id) is None:
                has_local = await asyncio.to_thread(self._store.exists, record.id, "local")
                self._found.vanished(record, not has_local)
        for job in waiting:
            if job not in on_disk and (gone := self._tracking.get(job)) is not None:
                self._tracking.wait_no_more(gone)
                self._tracking.release(gone)
        self._found.admit_waiting()

    def _resting(self) -> list[JobId]:
        """Jobs that depend on a wake-up; each scan wakes them too, in case a wake-up was lost."""
        return [
            record.id
            for record, job in self._tracking.adopted()
            if job.state in _EVENT_DRIVEN and not job.status.pending and record.asked is None
        ]

    async def _scan_accepting(self) -> None:
        try:
            found = await asyncio.to_thread(scan.accepting, self._store)
        except OSError as exc:
            log.warning("cannot scan for new jobs: %s", exc, extra={"event": "scan.failed"})
            return
        for job in found.jobs:
            self._found.arrived(job)
        for job in found.marked:
            self._found.look(job)
