"""
The client of one batch system: it sends requests, polls jobs in bulk, and passes the answers on.

A job that is missing from an answer is polled again; only the backend decides that a job is lost. The time until the
next poll depends on how long the batch system took to answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from arex.aio import WakeUp
from arex.backoff import backoff_s
from arex.clock import Clock
from arex.diagnosis.facts import BatchFacts
from arex.errors import BatchUnavailable
from arex.gm.batch.guarded import GuardedBackend
from arex.gm.batch.health import Health
from arex.gm.batch.polling import PollingPolicy
from arex.gm.batch.requests import BulkRequests
from arex.gm.batch.submitter import Submitter
from arex.gm.steps import (
    Answer,
    AskCancel,
    AskHold,
    AskStatus,
    AskSubmit,
    CancelTaken,
    Ended,
    HoldTaken,
)
from arex.model.ids import JobId, LocalId, Tag
from arex.model.reason import Reason, ReasonKind
from arex.model.report import EndCause, Phase, Report, Usage
from arex.ports import Backend, LocalJob
from arex.taskkeeper import TaskKeeper

log = logging.getLogger(__name__)

#: Seconds between polls until a cancelled job has left the batch system.
_LEAVING_S: Final = 1.0
#: Maximum number of end notices kept for jobs that are not watched yet. The oldest are dropped; polling finds those
#: jobs.
_MOST_EARLY: Final = 10_000
#: A job that is ending for so many seconds, with a doubt, needs the attention of a person.
_STUCK_S: Final = 300.0
#: Interval at which the resources that a running job has used so far are published, seconds.
_USAGE_S: Final = 300.0


@dataclass(slots=True)
class _Watched:
    """A job in the batch system."""

    job: LocalJob
    report: Report | None = None  #: the last report for the grid manager
    passed_on: float = 0.0  #: when that was, monotonic seconds
    leaving: bool = False  #: cancelled, and polled until it has left


class BatchClient:
    """Sends all requests of the grid manager to one backend."""

    def __init__(
        self,
        backend: Backend,
        clock: Clock,
        policy: PollingPolicy,
        answered: Callable[[JobId, Answer], None],
        reported: Callable[[JobId, Report], None],
        keeper: TaskKeeper,
    ) -> None:
        self.backend = backend = GuardedBackend(backend, clock, keeper)
        self._keeper = keeper
        self.health = Health(backend.name, clock)
        self._clock = clock
        self._policy = policy
        self._answered = answered
        self._pass_on = reported
        self._submitter = Submitter(backend, clock, policy, self.health, answered)
        self._cancels = BulkRequests(backend.cancel, self._cancelled, clock, self.health, policy.batch)
        self._holds = BulkRequests(backend.hold, self._held, clock, self.health, policy.batch)
        self._releases = BulkRequests(backend.release, self._released, clock, self.health, policy.batch)
        self._inside: dict[LocalId, _Watched] = {}
        self._claims: dict[JobId, float] = {}  #: jobs whose local id belongs to another job, and since when
        self._early: dict[LocalId, None] = {}  #: end notices of jobs that are not watched (yet)
        self._urgent: set[LocalId] = set()  #: jobs whose completion records are read next
        self._unsettled: set[LocalId] = set()  #: jobs without a completion record, to be polled
        self._abandoned: set[LocalId] = set()  #: cancelled without an answer to the grid manager
        self._settle_now = WakeUp(clock)
        self._ask_now = WakeUp(clock)
        self._asked = float("-inf")  #: time of the last poll, monotonic seconds
        self._due = 0.0  #: time of the next poll of all jobs
        self._failures = 0

    # --- requests of the grid manager ---

    def submit(self, ask: AskSubmit) -> None:
        self._submitter.put(ask)

    def withdraw(self, tag: Tag) -> bool:
        """Take a submission back; returns whether the batch system certainly does not have it."""
        return self._submitter.withdraw(tag)

    def watch(self, ask: AskStatus) -> None:
        """Start to watch for the end of this job; a repeated call has no effect."""
        localid = ask.job.localid
        if (known := self._inside.get(localid)) is not None:
            if known.job.job != ask.job.job:
                self._taken_twice(known.job, ask)
            return
        self._claims.pop(ask.job.job, None)
        self._inside[localid] = _Watched(ask.job)
        if localid in self._early:
            del self._early[localid]
            self._look_at(localid)
        elif self._policy.first_look_s is not None:
            self._clock.call_later(self._policy.first_look_s, self._look_at, localid)

    def _taken_twice(self, known: LocalJob, ask: AskStatus) -> None:
        """
        Handle a local id that belongs to two jobs.

        A batch system can use an id again after a job has left. If the first job is still there after a while, the
        second job is lost.
        """
        since = self._claims.setdefault(ask.job.job, self._clock.monotonic())
        if self._clock.monotonic() - since >= self._policy.absence_s:
            del self._claims[ask.job.job]
            why = f"job {known.job} has the same local id"
            self._answered(ask.job.job, Ended(Report(phase=Phase.ENDED, cause=EndCause.LOST, message=why)))
            return
        self._look_at(ask.job.localid)
        self._clock.call_later(self._policy.first_look_s or 1.0, self.watch, ask)

    def cancel(self, ask: AskCancel) -> None:
        known = self._inside.setdefault(ask.job.localid, _Watched(ask.job))
        if known.job.job != ask.job.job:
            self._answered(ask.job.job, CancelTaken(f"job {known.job.job} has the same local id"))
            return
        known.job = ask.job
        self._cancels.put(ask.job)

    def hold(self, ask: AskHold) -> None:
        """Hold a queued job, or release it."""
        (self._releases if ask.release else self._holds).put(ask.job)

    def forget(self, localid: LocalId, job: JobId) -> None:
        """Stop polling this job."""
        self._claims.pop(job, None)
        if (known := self._inside.get(localid)) is not None and known.job.job == job:
            del self._inside[localid]

    def abandon(self, localid: LocalId, job: JobId, *, cancel: bool) -> None:
        """
        Stop polling this job; the grid manager has dropped it.

        With ``cancel``, a job that has not left the batch system is cancelled; there is no answer.
        """
        known = self._inside.get(localid)
        self.forget(localid, job)
        if cancel and known is not None and known.job.job == job and not known.leaving:
            log.warning(
                "cancelling the batch job of a job that was given up", extra={"event": "lrms.abandoned", "job": job}
            )
            self._abandoned.add(localid)
            self._cancels.put(known.job)

    def facts(self) -> BatchFacts:
        """Whether the batch system answers, and which queues are paused."""
        return self.health.facts(self._due)

    def reasons(self) -> Iterator[tuple[JobId, Reason]]:
        """What is known about single jobs that wait for this batch system."""
        yield from self._submitter.reasons()
        for each in self._inside.values():
            if each.report is not None and each.report.message and each.report.phase in {Phase.QUEUED, Phase.HELD}:
                yield each.job.job, Reason(ReasonKind.QUEUED, each.report.message.removeprefix("waits: "))

    @property
    def stuck(self) -> Mapping[JobId, str]:
        """Jobs that have ended and whose ends cannot be recorded, and why."""
        before = self._clock.monotonic() - _STUCK_S
        return {
            each.job.job: each.report.doubt
            for each in self._inside.values()
            if each.report is not None and each.report.phase is Phase.EXITING and each.report.doubt
            and each.passed_on < before
        }  # fmt: skip

    def watches(self, localid: LocalId) -> bool:
        """Whether the job is being watched."""
        return localid in self._inside

    @property
    def inside(self) -> int:
        return len(self._inside)

    @property
    def unsure(self) -> int:
        """Number of unsure submissions, which are being looked up."""
        return len(self._submitter.unsure)

    def summary(self) -> str:
        """``ok``, ``not asked yet``, or what is wrong with this batch system and since when."""
        return self.health.summary()

    # --- tasks ---

    async def run(self) -> None:
        """Run until cancelled; the backend must have been started."""
        parts: Mapping[str, Callable[[], Awaitable[None]]] = {
            "submit": self._submitter.run,
            "cancel": self._cancels.run,
            "hold": self._holds.run,
            "release": self._releases.run,
            "settle": self._settling,
            "poll": self._polling,
            "watch": lambda: self.backend.watch(self._ended),
        }
        async with asyncio.TaskGroup() as tasks:
            for part, work in parts.items():
                name = f"{self.backend.name}: {part}"
                tasks.create_task(self._keeper.keep(name, work), name=name)

    def _look_at(self, localid: LocalId) -> None:
        self._urgent.add(localid)
        self._settle_now.set()

    def _ended(self, localid: LocalId) -> None:
        """Handle an end notice; a short job may have ended before its state INLRMS is on disk."""
        if localid in self._inside:
            self._look_at(localid)
        else:
            self._early[localid] = None
            if len(self._early) > _MOST_EARLY:
                del self._early[next(iter(self._early))]

    # --- requests ---

    def _cancelled(self, job: LocalJob, refusal: str) -> None:
        if job.localid in self._abandoned:
            self._abandoned.discard(job.localid)
            return
        if not refusal:
            if (known := self._inside.get(job.localid)) is not None:
                known.leaving = True
            self._look_at(job.localid)
        self._answered(job.job, CancelTaken(refusal))

    def _held(self, job: LocalJob, refusal: str) -> None:
        self._look_at(job.localid)
        self._answered(job.job, HoldTaken(release=False, refusal=refusal))

    def _released(self, job: LocalJob, refusal: str) -> None:
        self._look_at(job.localid)
        self._answered(job.job, HoldTaken(release=True, refusal=refusal))

    # --- polling ---

    async def _settling(self) -> None:
        """Report ends with a completion record at once, also while the batch system answers slowly."""
        while True:
            await self._settle_now.wait()
            jobs = self._jobs(self._urgent)
            self._urgent.clear()
            if jobs and (open_ones := self._settle(jobs, await self._recorded(jobs))):
                self._unsettled.update(job.localid for job in open_ones)
                self._ask_now.set()

    def _jobs(self, localids: Iterable[LocalId]) -> list[LocalJob]:
        return [self._inside[localid].job for localid in localids if localid in self._inside]

    async def _polling(self) -> None:
        self._due = self._clock.monotonic() + self._policy.poll_s
        while True:
            await self._ask_now.wait(self._due - self._clock.monotonic())
            now = self._clock.monotonic()
            everything = now >= self._due
            if everything:
                self._due = now + self._policy.poll_s
                jobs = self._jobs(self._inside)
                jobs = self._settle(jobs, await self._recorded(jobs)) if jobs else []
            else:
                jobs = self._jobs(self._unsettled)
            self._unsettled.clear()
            if jobs:
                await self._ask(jobs, everything=everything)

    async def _recorded(self, jobs: list[LocalJob]) -> Mapping[LocalId, Report]:
        """Ends with a completion record. Records that cannot be read now are read again at the next poll."""
        try:
            return await self.backend.recorded(jobs)
        except BatchUnavailable as exc:
            self.health.no_answer(exc)
            return {}

    def _settle(self, jobs: list[LocalJob], ends: Mapping[LocalId, Report]) -> list[LocalJob]:
        """Report ends with a completion record; returns the other jobs."""
        for job in jobs:
            if (report := ends.get(job.localid)) is not None:
                self._reported(job, report)
        return [job for job in jobs if job.localid not in ends]

    async def _ask(self, jobs: list[LocalJob], *, everything: bool) -> None:
        """Poll now, or poll all jobs as soon as the policy allows another query."""
        wait = self._asked + self._policy.gap_s - self._clock.monotonic()
        if not everything and wait > 0:
            self._due = min(self._due, self._clock.monotonic() + wait)
            return
        if not everything and self._policy.gap_s:  # a query about all jobs costs no more than one about a few
            jobs = self._jobs(self._inside)
        self._asked = self._clock.monotonic()
        await self._poll(jobs)
        self._due = self._next_poll(self._clock.monotonic() - self._asked)

    def _next_poll(self, took_s: float) -> float:
        """Time of the next poll of all jobs, after an answer that took this long."""
        now, due = self._clock.monotonic(), self._due
        if self._policy.gap_s:
            due = now + max(self._policy.poll_s, took_s * self._policy.patience)
        if any(each.leaving for each in self._inside.values()):
            due = min(due, now + max(self._policy.gap_s, _LEAVING_S))
        if self.health.down_since is None:
            self._failures = 0
            return due
        self._failures += 1
        return max(due, now + backoff_s(self._failures))

    async def _poll(self, jobs: list[LocalJob]) -> None:
        try:
            reports = await self.backend.status(jobs)
        except BatchUnavailable as exc:
            self.health.no_answer(exc)
            return
        self.health.answered()
        for job in jobs:
            if (report := reports.get(job.localid)) is not None:
                self._reported(job, report)

    def _reported(self, job: LocalJob, report: Report) -> None:
        if (known := self._inside.get(job.localid)) is None or known.job.job != job.job:
            return
        if report.phase is Phase.ENDED:
            self.forget(job.localid, job.job)
            self._answered(job.job, Ended(report))
        elif _visible(known.report) != _visible(report) or self._is_usage_due(known, report):
            known.report, known.passed_on = report, self._clock.monotonic()
            self._pass_on(job.job, report)

    def _is_usage_due(self, known: _Watched, report: Report) -> bool:
        return report.usage != Usage() and self._clock.monotonic() - known.passed_on >= _USAGE_S


def _visible(report: Report | None) -> tuple[object, ...] | None:
    """The part of a report that is written to disk at once; times and usage change with every answer."""
    return None if report is None else (report.phase, report.doubt, report.message, report.nodes)
