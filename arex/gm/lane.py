"""
One batch system: what it is asked, in bulk, and what becomes of its answers.

Nothing here guesses. A call without an answer makes its jobs unsure, and an unsure job is looked up by its tag
before it is submitted again. A job that is missing from an answer is asked about again before it counts as lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from arex.clock import Clock
from arex.errors import BatchUnavailable, SubmitRejected
from arex.gm.case import Answer, AskCancel, AskStatus, AskSubmit, CancelTaken, Ended, Refused, Submitted
from arex.model.ids import JobId, LocalId, Tag
from arex.model.report import EndCause, Phase, Report
from arex.ports import Backend, LocalJob, Submission

log = logging.getLogger(__name__)

_BACKOFF_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
#: Ends told of jobs that we do not watch (yet); the oldest are forgotten, the regular look finds them.
_MOST_EARLY: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often and how much a batch system is asked."""

    poll_s: float = 10.0
    first_look_s: float = 1.0  #: after submission, to tell running from queued
    absence_s: float = 15.0  #: a job must be missing for this long, in more than one answer, before it is lost
    batch: int = 200  #: jobs in one call to submit or cancel


class Lane:
    """Talks to one backend for all its jobs."""

    def __init__(
        self,
        backend: Backend,
        clock: Clock,
        pace: Pace,
        answered: Callable[[JobId, Answer], None],
        phase_changed: Callable[[JobId, Phase], None],
    ) -> None:
        self.backend = backend
        self.down_since: str | None = None  #: ISO time and reason, while the batch system does not answer
        self._clock = clock
        self._pace = pace
        self._answered = answered
        self._phase_changed = phase_changed
        self._to_submit: dict[Tag, AskSubmit] = {}
        self._to_cancel: dict[LocalId, AskCancel] = {}
        self._inside: dict[LocalId, LocalJob] = {}
        self._claims: dict[JobId, float] = {}  #: jobs whose local id another job has, and since when
        self._phases: dict[LocalId, Phase] = {}
        self._absent: dict[LocalId, float] = {}
        self._urgent: set[LocalId] = set()
        self._early: dict[LocalId, None] = {}
        self._submit_now = asyncio.Event()
        self._cancel_now = asyncio.Event()
        self._look_now = asyncio.Event()

    # --- what the grid manager asks ---

    def submit(self, ask: AskSubmit) -> None:
        self._to_submit.setdefault(ask.submission.tag, ask)
        self._submit_now.set()

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
        else:
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
        asyncio.get_running_loop().call_later(self._pace.first_look_s, self.watch, ask)

    def cancel(self, ask: AskCancel) -> None:
        known = self._inside.get(ask.job.localid)
        if known is not None and known.job != ask.job.job:
            self._answered(ask.job.job, CancelTaken(f"job {known.job} has the same local id"))
            return
        self._inside[ask.job.localid] = ask.job
        self._to_cancel[ask.job.localid] = ask
        self._cancel_now.set()

    def forget(self, localid: LocalId, job: JobId) -> None:
        """The job is not asked about any more."""
        self._claims.pop(job, None)
        if (known := self._inside.get(localid)) is None or known.job != job:
            return
        del self._inside[localid]
        self._phases.pop(localid, None)
        self._absent.pop(localid, None)

    @property
    def inside(self) -> int:
        return len(self._inside)

    # --- its life ---

    async def run(self) -> None:
        """Until cancelled; the backend has been started."""
        async with asyncio.TaskGroup() as tasks:
            name = self.backend.name
            tasks.create_task(self._submitting(), name=f"{name}: submit")
            tasks.create_task(self._cancelling(), name=f"{name}: cancel")
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

    # --- submitting ---

    async def _submitting(self) -> None:
        failures = 0
        while True:
            await self._submit_now.wait()
            self._submit_now.clear()
            while self._to_submit:
                batch = list(self._to_submit.values())[: self._pace.batch]
                try:
                    unsure = await self._submit_batch(batch)
                except BatchUnavailable as exc:
                    self._no_answer(exc)
                    unsure = batch
                else:
                    failures = 0
                    self._answers_again()
                for ask in unsure:
                    self._to_submit[ask.submission.tag] = AskSubmit(ask.lrms, ask.submission, sure=False)
                if unsure:
                    await self._clock.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                    failures += 1

    async def _submit_batch(self, batch: list[AskSubmit]) -> list[AskSubmit]:
        """Submit what is not there yet; returns those about which nothing was learned."""
        doubtful = [ask.submission for ask in batch if not ask.sure]
        known = dict(await self.backend.find(doubtful)) if doubtful else {}
        fresh = [ask.submission for ask in batch if ask.submission.tag not in known]
        answers: dict[Tag, LocalId | SubmitRejected] = {**known}
        if fresh:
            answers.update(await self._submit_fresh(fresh, known))
        for ask in batch:
            if (answer := answers.get(ask.submission.tag)) is not None:
                del self._to_submit[ask.submission.tag]
                self._tell(ask.submission, answer)
        return [ask for ask in batch if ask.submission.tag not in answers]

    async def _submit_fresh(
        self, fresh: list[Submission], known: dict[Tag, LocalId]
    ) -> dict[Tag, LocalId | SubmitRejected]:
        try:
            return dict(await self.backend.submit(fresh))
        except BatchUnavailable as exc:
            if not known:
                raise
            self._no_answer(exc)  # what was found by its tag is certain all the same
            return {}

    def _tell(self, submission: Submission, answer: LocalId | SubmitRejected) -> None:
        if isinstance(answer, SubmitRejected):
            log.info("job refused: %s", answer, extra={"event": "submit.rejected", "job": submission.job})
            self._answered(submission.job, Refused(str(answer)))
        else:
            self._answered(submission.job, Submitted(answer))

    # --- cancelling ---

    async def _cancelling(self) -> None:
        failures = 0
        while True:
            await self._cancel_now.wait()
            self._cancel_now.clear()
            while self._to_cancel:
                batch = list(self._to_cancel.values())[: self._pace.batch]
                try:
                    refusals = await self.backend.cancel([ask.job for ask in batch])
                except BatchUnavailable as exc:
                    self._no_answer(exc)
                    await self._clock.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                    failures += 1
                    continue
                failures = 0
                self._answers_again()
                for ask in batch:
                    self._to_cancel.pop(ask.job.localid, None)
                    self._answered(ask.job.job, CancelTaken(refusals.get(ask.job.localid, "")))

    # --- looking ---

    async def _polling(self) -> None:
        due = self._clock.monotonic() + self._pace.poll_s
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, due - self._clock.monotonic())):
                    await self._look_now.wait()
            self._look_now.clear()
            if self._clock.monotonic() >= due:
                jobs = list(self._inside.values())
                due = self._clock.monotonic() + self._pace.poll_s
                self._urgent.clear()
            else:
                jobs = [self._inside[localid] for localid in self._urgent if localid in self._inside]
                self._urgent.clear()
            if jobs:
                await self._look(jobs)

    async def _look(self, jobs: list[LocalJob]) -> None:
        try:
            reports = await self.backend.status(jobs)
        except BatchUnavailable as exc:
            self._no_answer(exc)
            return
        self._answers_again()
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
        return Report(phase=Phase.ENDED, cause=EndCause.LOST, message="the batch system no longer knows the job")

    def _reported(self, job: LocalJob, report: Report) -> None:
        if report.phase is Phase.ENDED:
            if job.localid in self._inside:
                self.forget(job.localid, job.job)
                self._answered(job.job, Ended(report))
        elif self._phases.get(job.localid) is not report.phase:
            self._phases[job.localid] = report.phase
            self._phase_changed(job.job, report.phase)

    # --- whether it answers ---

    def _no_answer(self, exc: BatchUnavailable) -> None:
        if self.down_since is None:
            self.down_since = f"{self._clock.now():%Y-%m-%dT%H:%M:%SZ}: {exc}"
            log.warning("%s does not answer: %s", self.backend.name, exc, extra={"event": "lrms.down"})

    def _answers_again(self) -> None:
        if self.down_since is not None:
            log.warning("%s answers again", self.backend.name, extra={"event": "lrms.up"})
            self.down_since = None
