"""What the grid manager knows of its jobs: one record a job, in one dict, made and removed in one place."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from arex.clock import Timer
from arex.gm.context import Job
from arex.gm.steps import Answer, AskCancel, AskStage, AskSubmit
from arex.model.ids import JobId
from arex.model.report import Report
from arex.model.state import State


@dataclass(slots=True)
class Tracked:
    """Everything about one job that is not on disk."""

    id: JobId
    job: Job | None = None  #: as its last move left it; None: not adopted
    queued: bool = False  #: waits for a worker
    busy: bool = False  #: a worker drives it
    publishing: bool = False  #: its document is being written
    again: bool = False  #: woken while it was busy or being published
    admitted: bool = False  #: counted under n1 of ``maxjobs``, and not driven yet
    waiting: bool = False  #: kept in ``accepting/`` by n1 of ``maxjobs``
    unpublished: bool = False  #: its document does not show the latest phase yet
    answer: Answer | None = None  #: for its next turn
    asked: AskSubmit | AskCancel | AskStage | None = None  #: the answer is on its way
    timer: Timer | None = None  #: wakes it
    failures: int = 0  #: turns in a row that ended with an exception
    phase: str = ""  #: letter of its state inside the batch system
    report: Report | None = None  #: of the batch system, not on disk yet
    staging: asyncio.Task[None] | None = None

    @property
    def awaits_answer(self) -> bool:
        """Whether an answer of the batch system is on its way: it wakes the job, nothing else has to."""
        return isinstance(self.asked, AskSubmit | AskCancel) and self.answer is None

    @property
    def needed(self) -> bool:
        """Whether anything of this record would be missed."""
        return bool(
            self.job or self.queued or self.busy or self.publishing or self.again or self.admitted or self.waiting
            or self.answer or self.timer or self.staging
        )  # fmt: skip


class Tracking:
    """The records of all jobs. Event loop only."""

    def __init__(self) -> None:
        self._records: dict[JobId, Tracked] = {}
        self._line: dict[JobId, None] = {}  #: those that wait, in their order
        self._unpublished: dict[JobId, None] = {}  #: those to publish, in their order
        self._admitted = 0
        self.queued = 0  #: jobs that wait for a worker
        self.counts: Counter[State] = Counter()  #: adopted jobs

    def get(self, job: JobId) -> Tracked | None:
        return self._records.get(job)

    def of(self, job: JobId) -> Tracked:
        """The record of a job; an empty one if there was none: ``release`` it when nothing comes of it."""
        if (record := self._records.get(job)) is None:
            record = self._records[job] = Tracked(job)
        return record

    def release(self, record: Tracked) -> None:
        """Drop the record if nothing of it is needed any more. No other place removes one."""
        if not record.needed:
            self._records.pop(record.id, None)

    def adopted(self) -> Iterator[tuple[Tracked, Job]]:
        """The jobs that have not ended, as their last moves left them."""
        return ((record, record.job) for record in self._records.values() if record.job is not None)

    @property
    def active(self) -> int:
        """Jobs that count against n1 of ``maxjobs``."""
        return self.counts.total() - self.counts[State.CANCELING] + self._admitted

    # --- a job comes and goes ---

    def keep(self, record: Tracked, job: Job) -> None:
        """The job as its latest move left it."""
        if record.job is not None:
            self.counts[record.job.state] -= 1
        self.counts[job.state] += 1
        record.job = job

    def drop(self, record: Tracked) -> bool:
        """The job has ended or is gone: forget what belongs to it. Whether it had been adopted."""
        adopted = record.job is not None
        if record.job is not None:
            self.counts[record.job.state] -= 1
            record.job = None
        self.published(record)
        record.phase, record.report, record.asked, record.failures = "", None, None, 0
        return adopted

    # --- n1 of maxjobs ---

    def admit(self, record: Tracked) -> None:
        if not record.admitted:
            record.admitted = True
            self._admitted += 1

    def driven(self, record: Tracked) -> None:
        """It has had its turn: from now on it counts as what it has become."""
        if record.admitted:
            record.admitted = False
            self._admitted -= 1

    def wait(self, record: Tracked) -> None:
        """At the end of the line, unless it stands there already."""
        record.waiting = True
        self._line.setdefault(record.id)

    def wait_no_more(self, record: Tracked) -> None:
        record.waiting = False
        self._line.pop(record.id, None)

    @property
    def line(self) -> Iterable[JobId]:
        """New jobs that ``maxjobs`` keeps out, in their order."""
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
        """The next jobs to publish; those that are in the middle of something come after it."""
        records = (self._records[job] for job in self._unpublished)
        return list(itertools.islice((each for each in records if not (each.busy or each.queued)), most))
