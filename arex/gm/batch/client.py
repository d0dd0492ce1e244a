"""
One batch system: what it is asked, in bulk, and what becomes of its answers.

Nothing here guesses. A job that is missing from an answer is asked about again before it counts as lost, and the
time that an answer takes decides how soon the next is wanted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Final

from arex.clock import Clock
from arex.errors import BatchUnavailable
from arex.gm.batch.health import Health, backoff_s
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
from arex.model.ids import JobId, LocalId
from arex.model.report import EndCause, Evidence, Phase, Report, Witness
from arex.ports import Backend, LocalJob

#: Between looks at a job that was cancelled.
_LEAVING_S: Final = 1.0
#: Ends told of jobs that we do not watch (yet); the oldest are forgotten, the regular look finds them.
_MOST_EARLY: Final = 10_000


class BatchClient:
    """Talks to one backend for all its jobs."""

    def __init__(
        self,
        backend: Backend,
        clock: Clock,
        pace: PollingPolicy,
        answered: Callable[[JobId, Answer], None],
        reported: Callable[[JobId, Report], None],
    ) -> None:
        self.backend = backend
        self.health = Health(backend.name, clock)
        self._clock = clock
        self._pace = pace
        self._answered = answered
        self._tell = reported
        self._submitter = Submitter(backend, clock, pace, self.health, answered)
        self._cancels = BulkRequests(backend.cancel, self._cancelled, clock, self.health, pace.batch)
        self._holds = BulkRequests(backend.hold, self._held, clock, self.health, pace.batch)
        self._releases = BulkRequests(backend.release, self._released, clock, self.health, pace.batch)
        self._inside: dict[LocalId, LocalJob] = {}
        self._claims: dict[JobId, float] = {}  #: jobs whose local id another job has, and since when
        self._reports: dict[LocalId, Report] = {}  #: the last one of each, as far as anybody is told
        self._absent: dict[LocalId, float] = {}
        self._urgent: set[LocalId] = set()
        self._early: dict[LocalId, None] = {}
        self._leaving: set[LocalId] = set()  #: cancelled, and looked at until they have gone
        self._wanted: set[LocalId] = set()  #: the batch system itself has to be asked about these
        self._look_now = asyncio.Event()
        self._ask_now = asyncio.Event()
        self._asked = float("-inf")  #: when the batch system was last asked about jobs, monotonic seconds
        self._due = 0.0
        self._failures = 0

    # --- what the grid manager asks ---

    def submit(self, ask: AskSubmit) -> None:
        self._submitter.put(ask)

    def watch(self, ask: AskStatus) -> None:
        """Tell when this job has ended; asked again, it changes nothing."""
        localid = ask.job.localid
        if (known := self._inside.get(localid)) is not None:
            if known.job != ask.job.job:
                self._taken_twice(known, ask)
            return
        self._claims.pop(ask.job.job, None)
        self._inside[localid] = ask.job
        if localid in self._early:
            del self._early[localid]
            self._look_at(localid)
        elif self._pace.first_look_s is not None:
            asyncio.get_running_loop().call_later(self._pace.first_look_s, self._look_at, localid)

    def _taken_twice(self, known: LocalJob, ask: AskStatus) -> None:
        """A batch system may give an id again as soon as its job has left; any other second owner is mistaken."""
        since = self._claims.setdefault(ask.job.job, self._clock.monotonic())
        if self._clock.monotonic() - since >= self._pace.absence_s:
            del self._claims[ask.job.job]
            why = f"job {known.job} has the same local id"
            self._answered(ask.job.job, Ended(Report(phase=Phase.ENDED, cause=EndCause.LOST, message=why)))
            return
        self._look_at(ask.job.localid)
        asyncio.get_running_loop().call_later(self._pace.first_look_s or 1.0, self.watch, ask)

    def cancel(self, ask: AskCancel) -> None:
        known = self._inside.get(ask.job.localid)
        if known is not None and known.job != ask.job.job:
            self._answered(ask.job.job, CancelTaken(f"job {known.job} has the same local id"))
            return
        self._inside[ask.job.localid] = ask.job
        self._cancels.put(ask.job)

    def hold(self, ask: AskHold) -> None:
        """Keep a queued job from starting, or let it start again."""
        (self._releases if ask.release else self._holds).put(ask.job)

    def forget(self, localid: LocalId, job: JobId) -> None:
        """The job is not asked about any more."""
        self._claims.pop(job, None)
        if (known := self._inside.get(localid)) is None or known.job != job:
            return
        del self._inside[localid]
        self._reports.pop(localid, None)
        self._leaving.discard(localid)
        self._absent.pop(localid, None)

    @property
    def inside(self) -> int:
        return len(self._inside)

    @property
    def unsure(self) -> int:
        """Submissions that may have arrived: they are being looked up."""
        return len(self._submitter.unsure)

    def words(self) -> str:
        """``ok``, or what is wrong with this batch system and since when."""
        return self.health.words()

    # --- its life ---

    async def run(self) -> None:
        """Until cancelled; the backend has been started."""
        async with asyncio.TaskGroup() as tasks:
            name = self.backend.name
            tasks.create_task(self._submitter.run(), name=f"{name}: submit")
            tasks.create_task(self._cancels.run(), name=f"{name}: cancel")
            tasks.create_task(self._holds.run(), name=f"{name}: hold")
            tasks.create_task(self._releases.run(), name=f"{name}: release")
            tasks.create_task(self._listening(), name=f"{name}: listen")
            tasks.create_task(self._polling(), name=f"{name}: poll")
            tasks.create_task(self.backend.watch(self._ended), name=f"{name}: watch")

    def _look_at(self, localid: LocalId) -> None:
        self._urgent.add(localid)
        self._look_now.set()

    def _ended(self, localid: LocalId) -> None:
        """A short job may have ended before its move to INLRMS is on disk."""
        if localid in self._inside:
            self._look_at(localid)
        else:
            self._early[localid] = None
            if len(self._early) > _MOST_EARLY:
                del self._early[next(iter(self._early))]

    # --- requests ---

    def _cancelled(self, job: LocalJob, refusal: str) -> None:
        if not refusal:
            self._leaving.add(job.localid)
            self._look_at(job.localid)
        self._answered(job.job, CancelTaken(refusal))

    def _held(self, job: LocalJob, refusal: str) -> None:
        self._look_at(job.localid)
        self._answered(job.job, HoldTaken(release=False, refusal=refusal))

    def _released(self, job: LocalJob, refusal: str) -> None:
        self._look_at(job.localid)
        self._answered(job.job, HoldTaken(release=True, refusal=refusal))

    # --- looking ---

    async def _listening(self) -> None:
        """Ends that records tell of are seen at once, also while the batch system takes its time over a question."""
        while True:
            await self._look_now.wait()
            self._look_now.clear()
            jobs = [self._inside[localid] for localid in self._urgent if localid in self._inside]
            self._urgent.clear()
            if jobs and (open_ones := self._settle(jobs, await self.backend.recorded(jobs))):
                self._wanted.update(job.localid for job in open_ones)
                self._ask_now.set()

    async def _polling(self) -> None:
        self._due = self._clock.monotonic() + self._pace.poll_s
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._due - self._clock.monotonic())):
                    await self._ask_now.wait()
            self._ask_now.clear()
            now = self._clock.monotonic()
            everybody = now >= self._due
            if everybody:
                self._due = now + self._pace.poll_s
                jobs = list(self._inside.values())
                jobs = self._settle(jobs, await self.backend.recorded(jobs)) if jobs else []
            else:
                jobs = [self._inside[localid] for localid in self._wanted if localid in self._inside]
            self._wanted.clear()
            if jobs:
                await self._ask(jobs, everybody=everybody)

    def _settle(self, jobs: list[LocalJob], ends: Mapping[LocalId, Report]) -> list[LocalJob]:
        """Those that completion records do not settle."""
        for job in jobs:
            if (report := ends.get(job.localid)) is not None:
                self._reported(job, report)
        return [job for job in jobs if job.localid not in ends]

    async def _ask(self, jobs: list[LocalJob], *, everybody: bool) -> None:
        """Ask now, or with all others as soon as another question may be asked."""
        wait = self._asked + self._pace.gap_s - self._clock.monotonic()
        if not everybody and wait > 0:
            self._due = min(self._due, self._clock.monotonic() + wait)
            return
        if not everybody and self._pace.gap_s:  # one question for all costs the same
            jobs = list(self._inside.values())
        self._asked = self._clock.monotonic()
        await self._look(jobs)
        took = self._clock.monotonic() - self._asked
        if self._pace.gap_s:
            self._due = self._clock.monotonic() + max(self._pace.poll_s, took * self._pace.patience)
        if self._leaving:
            self._due = min(self._due, self._clock.monotonic() + max(self._pace.gap_s, _LEAVING_S))
        if self.health.down_since is not None:
            self._failures += 1
            self._due = max(self._due, self._clock.monotonic() + backoff_s(self._failures))
        else:
            self._failures = 0

    async def _look(self, jobs: list[LocalJob]) -> None:
        try:
            reports = await self.backend.status(jobs)
        except BatchUnavailable as exc:
            self.health.no_answer(exc)
            return
        self.health.answered()
        now = self._clock.monotonic()
        for job in jobs:
            report = reports.get(job.localid) or self._missing(job.localid, now)
            if report is not None:
                self._absent.pop(job.localid, None) if report.cause is not EndCause.LOST else None
                self._reported(job, report)

    def _missing(self, localid: LocalId, now: float) -> Report | None:
        since = self._absent.setdefault(localid, now)
        if now - since < self._pace.absence_s:
            return None
        said = (Evidence(Witness.SCAN, f"not listed for {now - since:.0f} s"),)
        message = "the batch system no longer knows the job"
        return Report(phase=Phase.ENDED, cause=EndCause.LOST, message=message, evidence=said)

    def _reported(self, job: LocalJob, report: Report) -> None:
        if report.phase is Phase.ENDED:
            if job.localid in self._inside:
                self.forget(job.localid, job.job)
                self._answered(job.job, Ended(report))
        elif _visible(self._reports.get(job.localid)) != _visible(report):
            self._reports[job.localid] = report
            self._tell(job.job, report)


def _visible(report: Report | None) -> tuple[object, ...] | None:
    """What is worth a line on disk: times and usage move on with every answer."""
    return None if report is None else (report.phase, report.doubt, report.message)
