"""The grid manager's records of jobs in memory: one record for each job, in one dict."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from arex.clock import Timer
from arex.gm.context import KnownJob
from arex.gm.steps import Answer, AskCancel, AskStage, AskSubmit
from arex.model.ids import JobId
from arex.model.report import Report
from arex.model.state import State


@dataclass(slots=True)
class Tracked:
    """The facts about one job that are not on disk."""

    id: JobId
    job: KnownJob | None = None  #: as of its last turn; None: not adopted
    queued: bool = False  #: waits for a worker
    busy: bool = False  #: a worker drives it
    publishing: bool = False  #: its ``.xml`` is being written
    again: bool = False  #: woken while it was busy or being published
    admitted: bool = False  #: counts in the first limit of ``maxjobs``, but has not had a turn yet
    waiting: bool = False  #: stays in ``accepting/`` because of the first limit of ``maxjobs``
    unpublished: bool = False  #: its ``.xml`` does not have the latest phase yet
    answer: Answer | None = None  #: for the next turn
    asked: AskSubmit | AskCancel | AskStage | None = None  #: request without an answer so far
    timer: Timer | None = None  #: wakes the job
    due: float = 0.0  #: when the timer does, monotonic seconds
    failures: int = 0  #: turns in a row that ended with an exception
    bugs: int = 0  #: those among them whose exception is a bug of arex
    trouble: str = ""  #: the last exception, until a turn succeeds
    told: str = ""  #: the exception that the job's log shows
    entered: tuple[State, ...] = ()  #: states since the last turn that succeeded, not reported yet
    failure: str = ""  #: see ``JobContext``; of a turn that ended with an exception
    left: bool = False  #: the batch system has reported its end
    phase: str = ""  #: letter of its phase in the batch system
    report: Report | None = None  #: of the batch system, not on disk yet
    staging: asyncio.Task[None] | None = None

    def recovered(self) -> None:
        """A turn has succeeded."""
        self.failures, self.bugs, self.trouble, self.told = 0, 0, "", ""
        self.entered, self.failure = (), ""

    @property
    def awaits_answer(self) -> bool:
        """Whether the job waits for an answer of the batch system, which will wake it."""
        return isinstance(self.asked, AskSubmit | AskCancel) and self.answer is None

    @property
    def needed(self) -> bool:
        """Whether the record still holds information."""
        return bool(
            self.job or self.queued or self.busy or self.publishing or self.again or self.admitted or self.waiting
            or self.answer or self.timer or self.staging
        )  # fmt: skip


class Tracking:
    """The records of all jobs. Event loop only."""

    def __init__(self) -> None:
        self._records: dict[JobId, Tracked] = {}
        self._line: dict[JobId, None] = {}  #: waiting jobs in order
        self._unpublished: dict[JobId, None] = {}  #: jobs to publish in order
        self._admitted = 0
        self.queued = 0  #: jobs that wait for a worker
        self.counts: Counter[State] = Counter()  #: adopted jobs
        self.phases: Counter[str] = Counter()  #: jobs in INLRMS by the letter of their phase

    def get(self, job: JobId) -> Tracked | None:
        return self._records.get(job)

    def of(self, job: JobId) -> Tracked:
        """The record of a job, created if necessary; call ``release`` if it remains empty."""
        if (record := self._records.get(job)) is None:
            record = self._records[job] = Tracked(job)
        return record

    def release(self, record: Tracked) -> None:
        """Remove the record if it is not needed any more. Only this method removes records."""
        if not record.needed:
            self._records.pop(record.id, None)

    def adopted(self) -> Iterator[tuple[Tracked, KnownJob]]:
        """The jobs that have not ended, as of their last turns."""
        return ((record, record.job) for record in self._records.values() if record.job is not None)

    @property
    def active(self) -> int:
        """Number of jobs for the first limit of ``maxjobs``."""
        return self.counts.total() - self.counts[State.CANCELING] + self._admitted

    # --- adopted jobs ---

    def keep(self, record: Tracked, job: KnownJob) -> None:
        """Store the job as of its latest turn."""
        self._count(record, -1)
        record.job = job
        self._count(record, 1)

    def _count(self, record: Tracked, step: int) -> None:
        if record.job is not None:
            self.counts[record.job.state] += step
            if record.job.state is State.INLRMS:
                self.phases[record.phase] += step

    def in_phase(self, record: Tracked, phase: str) -> None:
        """Note the phase of a job in the batch system."""
        self._count(record, -1)
        record.phase = phase
        self._count(record, 1)

    def drop(self, record: Tracked) -> bool:
        """Clear the facts about a job that has ended or was removed. Returns whether the job had been adopted."""
        adopted = record.job is not None
        self._count(record, -1)
        record.job = None
        self.published(record)
        record.phase, record.report, record.asked = "", None, None
        record.left = False
        record.recovered()
        return adopted

    # --- the first limit of maxjobs ---

    def admit(self, record: Tracked) -> None:
        if not record.admitted:
            record.admitted = True
            self._admitted += 1

    def driven(self, record: Tracked) -> None:
        """Note that the job has had its turn: from now on, it counts by its state."""
        if record.admitted:
            record.admitted = False
            self._admitted -= 1

    def wait(self, record: Tracked) -> None:
        """Append the job to the waiting jobs, unless it already waits."""
        record.waiting = True
        self._line.setdefault(record.id)

    def wait_no_more(self, record: Tracked) -> None:
        record.waiting = False
        self._line.pop(record.id, None)

    @property
    def line(self) -> Iterable[JobId]:
        """New jobs that wait because of ``maxjobs``, in order."""
        return self._line.keys()

    @property
    def waiting(self) -> int:
        return len(self._line)

    # --- publishing ---

    def to_publish(self, record: Tracked) -> None:
        record.unpublished = True
        self._unpublished.setdefault(record.id)

    def published(self, record: Tracked) -> None:
        record.unpublished = False
        self._unpublished.pop(record.id, None)

    def publishable(self, most: int) -> list[Tracked]:
        """The next jobs to publish, without busy and queued ones, which are published after their turn."""
        records = (self._records[job] for job in self._unpublished)
        return list(itertools.islice((each for each in records if not (each.busy or each.queued)), most))
