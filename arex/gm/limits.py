"""
Who may go on: ``maxjobs`` and the slots of a backend that does not queue by itself.

Used from the event loop and from worker threads alike. A job that waits keeps its turn: higher priority first,
then first come, first served; a large job at the head is not overtaken, or it would never run.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from typing import Final

from arex.config.values import MaxJobs
from arex.model.ids import JobId

#: Jobs of one line that are sent off together.
_AT_ONCE: Final = 16


class Gate:
    """A number of slots, and the jobs that wait for some."""

    def __init__(self, slots: int | None, *, weighs: bool = True) -> None:
        self.slots = slots
        self.taken: Final[dict[JobId, int]] = {}  #: jobs and the slots they said they need
        self.used = 0
        self._weighs = weighs  #: a job counts for the slots it needs, not for one
        self._waiting: Final[dict[JobId, tuple[int, int, int]]] = {}  #: priority, turn, slots
        self._queue: list[tuple[int, int, JobId]] = []
        self._serial: Final = itertools.count()

    def enter(self, job: JobId, need: int, priority: int) -> bool:
        """Take slots, or stand in line; a job that is in already stays in."""
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
        """Whether it stands in line, and not so far ahead that it may enter."""
        return job in self._waiting and job not in self.heads()

    def force(self, job: JobId, need: int) -> None:
        """A job found running takes its slots, limit or not."""
        self._leave_line(job)
        if job not in self.taken:
            self.taken[job] = need
            self.used += self._weight(need)

    def leave(self, job: JobId) -> None:
        """Give slots or the place in the line back."""
        self._leave_line(job)
        if (need := self.taken.pop(job, None)) is not None:
            self.used -= self._weight(need)

    def change(self, slots: int | None, *, weighs: bool = True) -> None:
        """Another number, or another way to count; who is in stays in."""
        self.slots, self._weighs = slots, weighs
        self.used = sum(map(self._weight, self.taken.values()))

    def heads(self, most: int = _AT_ONCE) -> list[JobId]:
        """The first in line, as many as there is room for: they shall look again, in any order."""
        found: list[tuple[int, int, JobId]] = []
        used = self.used
        while len(found) < most and (entry := self._first()) is not None:
            weight = self._weight(self._waiting[entry[2]][2])
            # a job larger than all there is runs alone: refusing it is the batch system's or the queue's business
            if self.slots is not None and used + weight > self.slots and used > 0:
                break
            used += weight
            found.append(heapq.heappop(self._queue))
        for entry in found:
            heapq.heappush(self._queue, entry)
        return [job for _, _, job in found]

    @property
    def is_idle(self) -> bool:
        return not self.taken and not self._waiting

    def _weight(self, need: int) -> int:
        return need if self._weighs else 1

    def _leave_line(self, job: JobId) -> None:
        self._waiting.pop(job, None)

    def _first(self) -> tuple[int, int, JobId] | None:
        """The head of the line; who has left it is passed over."""
        while self._queue and self._waiting.get(self._queue[0][2], ())[:2] != self._queue[0][:2]:
            heapq.heappop(self._queue)
        return self._queue[0] if self._queue else None


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
        """Other numbers, from now on; jobs that are in stay in."""
        with self._lock:
            self.maxjobs = maxjobs
            self._count_running()
            for gate in self._owners.values():
                gate.change(maxjobs.per_owner)

    def _count_running(self) -> None:
        """n2 counts jobs; without it, what the backend has counts, and that is slots."""
        limit = self.maxjobs.running
        self._running.change(self._slots if limit is None else limit, weighs=limit is None)

    def may_run(self, job: JobId, slots: int, priority: int) -> bool:
        """Whether the job may go to the batch system now; if not, it is woken when its turn comes."""
        with self._lock:
            return self._running.enter(job, slots, priority)

    def waits_to_run(self, job: JobId) -> bool:
        """Whether the job stands in line for the batch system, and its turn has not come."""
        with self._lock:
            return self._running.waits(job)

    def runs(self, job: JobId, slots: int) -> None:
        """The job was found in SUBMIT or INLRMS."""
        with self._lock:
            self._running.force(job, slots)

    def may_start(self, job: JobId, owner: str, priority: int) -> bool:
        """Whether the owner has room for one more job between PREPARING and FINISHING."""
        with self._lock:  # counted without a limit too: one may be set while we run
            return self._gate_of(owner).enter(job, 1, priority)

    def started(self, job: JobId, owner: str) -> None:
        """The job is past ACCEPTED, whether or not there was room."""
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
        Who may go on now.

        Args:
            owner: whose limit may have changed.
        """
        with self._lock:
            gates = (self._running, self._owners.get(owner))
            return [job for gate in gates if gate is not None for job in gate.heads()]

    def heads(self) -> list[JobId]:
        """Who may go on now under any limit: for when the limits themselves have changed."""
        with self._lock:
            return [job for gate in (self._running, *self._owners.values()) for job in gate.heads()]

    @property
    def running(self) -> int:
        return len(self._running.taken)

    @property
    def owners(self) -> int:
        """Owners of whose jobs something is remembered."""
        return len(self._owners)

    def _gate_of(self, owner: str) -> Gate:
        return self._owners.setdefault(owner, Gate(self.maxjobs.per_owner))
