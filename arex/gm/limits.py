"""
Limits: ``maxjobs``, and the slots of a backend without a queue.

The classes are safe to use from the event loop and from worker threads. Waiting jobs are ordered by priority, then by
arrival. No job overtakes a large job at the head of the queue, because otherwise the large job might never run.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from arex.config.values import MaxJobs
from arex.model.ids import JobId

#: Maximum number of jobs of one queue that are woken together.
_AT_ONCE: Final = 16


class Gate:
    """A number of slots, and the jobs that wait for them."""

    def __init__(self, slots: int | None, *, weighs: bool = True) -> None:
        self.slots = slots
        self.taken: Final[dict[JobId, int]] = {}  #: jobs and the slots that they need
        self.used = 0
        self._weighs = weighs  #: a job counts as the number of its slots; if False, it counts as one
        self._waiting: Final[dict[JobId, tuple[int, int, int]]] = {}  #: priority, turn, slots
        self._queue: list[tuple[int, int, JobId]] = []
        self._serial: Final = itertools.count()

    def enter(self, job: JobId, need: int, priority: int) -> bool:
        """Take slots if the job is among the next, otherwise wait for them; a job that already has slots keeps them."""
        if job in self.taken:
            return True
        if job not in self._waiting:
            ticket = (-priority, next(self._serial))
            self._waiting[job] = (*ticket, need)
            heapq.heappush(self._queue, (*ticket, job))
        if job not in self.heads():
            return False
        self.force(job, need)
        return True

    def waits(self, job: JobId) -> bool:
        """Whether the job waits, and is not among the next to enter."""
        return job in self._waiting and job not in self.heads()

    def force(self, job: JobId, need: int) -> None:
        """Take slots for a running job, even above the limit."""
        self._leave_line(job)
        if job not in self.taken:
            self.taken[job] = need
            self.used += self._weight(need)

    def leave(self, job: JobId) -> None:
        """Release the slots, or stop waiting."""
        self._leave_line(job)
        if (need := self.taken.pop(job, None)) is not None:
            self.used -= self._weight(need)

    def change(self, slots: int | None, *, weighs: bool = True) -> None:
        """Change the number of slots or the way to count; jobs keep their slots."""
        self.slots, self._weighs = slots, weighs
        self.used = sum(map(self._weight, self.taken.values()))

    def heads(self, most: int = _AT_ONCE) -> list[JobId]:
        """The first waiting jobs for which there are slots."""
        found: list[tuple[int, int, JobId]] = []
        used = self.used
        while len(found) < most and (entry := self._first()) is not None:
            weight = self._weight(self._waiting[entry[2]][2])
            # a job that needs more than all slots runs alone; the batch system or the limits of the queue may refuse it
            if self.slots is not None and used + weight > self.slots and used > 0:
                break
            used += weight
            found.append(heapq.heappop(self._queue))
        for entry in found:
            heapq.heappush(self._queue, entry)
        return [job for _, _, job in found]

    def places(self, most: int) -> dict[JobId, int]:
        """The first ``most`` waiting jobs with their places, from 1."""
        first = heapq.nsmallest(most, self._waiting, key=lambda job: self._waiting[job][:2])
        return {job: place for place, job in enumerate(first, 1)}

    @property
    def is_idle(self) -> bool:
        return not self.taken and not self._waiting

    def _weight(self, need: int) -> int:
        return need if self._weighs else 1

    def _leave_line(self, job: JobId) -> None:
        self._waiting.pop(job, None)

    def _first(self) -> tuple[int, int, JobId] | None:
        """The head of the queue; jobs that have left it are skipped."""
        while self._queue and self._waiting.get(self._queue[0][2], ())[:2] != self._queue[0][:2]:
            heapq.heappop(self._queue)
        return self._queue[0] if self._queue else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotUsage:
    """How much of the limits is in use, and who waits."""

    slots: int | None  #: None: no limit
    used: int
    counts_jobs: bool  #: the limit is the second number of ``maxjobs``; otherwise, the slots of the backend
    line: Mapping[JobId, int]  #: places of the first jobs, from 1
    owner_line: Mapping[JobId, int]  #: the same for the limits of owners


class Limits:
    """All limits of one grid manager."""

    def __init__(self, maxjobs: MaxJobs, slots: int | None = None) -> None:
        self.maxjobs = maxjobs
        self._slots = slots
        self._running = Gate(None)
        self._count_running()
        self._owners: dict[str, Gate] = {}
        self._lock = threading.Lock()

    def change(self, maxjobs: MaxJobs) -> None:
        """Change the limits; jobs keep their slots."""
        with self._lock:
            self.maxjobs = maxjobs
            self._count_running()
            for gate in self._owners.values():
                gate.change(maxjobs.per_owner)

    def _count_running(self) -> None:
        """The second limit of ``maxjobs`` counts jobs; without it, the slots of the backend count."""
        limit = self.maxjobs.running
        self._running.change(self._slots if limit is None else limit, weighs=limit is None)

    def may_run(self, job: JobId, slots: int, priority: int) -> bool:
        """Whether the job can be submitted now; if not, it is woken when it is next."""
        with self._lock:
            return self._running.enter(job, slots, priority)

    def waits_to_run(self, job: JobId) -> bool:
        """Whether the job waits to be submitted and is not among the next."""
        with self._lock:
            return self._running.waits(job)

    def runs(self, job: JobId, slots: int) -> None:
        """Count a job that was found in SUBMIT or INLRMS."""
        with self._lock:
            self._running.force(job, slots)

    def may_start(self, job: JobId, owner: str, priority: int) -> bool:
        """Whether the limit of the owner allows one more job between PREPARING and FINISHING."""
        with self._lock:  # also count without a limit, because one may be set later
            return self._gate_of(owner).enter(job, 1, priority)

    def started(self, job: JobId, owner: str) -> None:
        """Count a job after ACCEPTED, even above the limit."""
        with self._lock:
            self._gate_of(owner).force(job, 1)

    def left_batch(self, job: JobId) -> None:
        """The job no longer needs its slots."""
        with self._lock:
            self._running.leave(job)

    def left(self, job: JobId, owner: str) -> None:
        """The job is FINISHED or gone."""
        with self._lock:
            self._running.leave(job)
            gate = self._owners.get(owner)
            if gate is not None:
                gate.leave(job)
                if gate.is_idle:
                    del self._owners[owner]

    def next(self, owner: str) -> list[JobId]:
        """
        Jobs that can continue now.

        Args:
            owner: the owner whose number of jobs has changed.
        """
        with self._lock:
            gates = (self._running, self._owners.get(owner))
            return [job for gate in gates if gate is not None for job in gate.heads()]

    def heads(self) -> list[JobId]:
        """Jobs that can continue now under any limit, after a change of the limits."""
        with self._lock:
            return [job for gate in (self._running, *self._owners.values()) for job in gate.heads()]

    def usage(self, most: int) -> SlotUsage:
        """The slots for running jobs, and the first ``most`` jobs of each line."""
        with self._lock:
            gate = self._running
            owners = {job: place for each in self._owners.values() for job, place in each.places(most).items()}
            return SlotUsage(
                slots=gate.slots, used=gate.used, counts_jobs=self.maxjobs.running is not None,
                line=gate.places(most), owner_line=dict(itertools.islice(owners.items(), most)),
            )  # fmt: skip

    @property
    def running(self) -> int:
        return len(self._running.taken)

    @property
    def owners(self) -> int:
        """Number of owners with counted or waiting jobs."""
        return len(self._owners)

    def _gate_of(self, owner: str) -> Gate:
        return self._owners.setdefault(owner, Gate(self.maxjobs.per_owner))
