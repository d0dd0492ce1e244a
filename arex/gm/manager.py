"""
The grid manager: it drives jobs after wake-ups, timers, and answers of batch systems and staging.

A wake-up is a job id. One worker at a time drives a job, in a thread; if the job is woken meanwhile, it is driven again
afterwards. Everything in this class runs on the event loop, except ``Turns.run`` and ``Turns.sync``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from arex.aio import settled
from arex.backoff import backoff_s
from arex.clock import time_of_day
from arex.controldir.layout import Mark
from arex.gm.batch.client import BatchClient
from arex.gm.cleanup import Lifetimes
from arex.gm.context import JobContext, KnownJob, Services
from arex.gm.machine import Resting
from arex.gm.publishing.publisher import Publisher
from arex.gm.steps import (
    Answer,
    AskCancel,
    AskHold,
    AskStage,
    AskStatus,
    AskSubmit,
    Ended,
    Forget,
    SubmitTaken,
    Wait,
    Withdrawn,
)
from arex.gm.turns.ready import ReadyQueue
from arex.gm.turns.scanner import DiskScanner, FoundJobs, ScanIntervals
from arex.gm.turns.staging import Transfers
from arex.gm.turns.tracking import Tracked, Tracking
from arex.gm.turns.worker import Turns, is_about_files, log_failure, trouble, unknown
from arex.model.ids import JobId, LocalId
from arex.model.reason import Reason, ReasonKind
from arex.model.report import Phase, Report
from arex.model.state import ACTIVE, RUNNING, State
from arex.ports import Stager

log = logging.getLogger(__name__)

_WORKERS: Final = 4
#: Maximum number of jobs that a worker drives in one call in a thread.
_TOGETHER: Final = 16
#: Maximum number of unknown jobs in the queue; beyond it, a scan is cheaper than looking at each job.
_MOST_UNKNOWN: Final = 5000
#: Seconds until a job whose turn ended with an exception is driven again.
_RETRY_S: Final = (0.5, 2.0, 5.0, 15.0, 60.0)
#: After so many turns in a row that ended with an exception, a job that is not in the batch system loses its slots.
_KEEPS_SLOTS: Final = 3
#: After so many turns in a row that ended with an internal error, a job is given up.
_GIVE_UP: Final = 8
_NEED_BATCH: Final = frozenset({State.SUBMIT, State.INLRMS, State.CANCELING})


class GridManager:
    """All jobs of one control directory."""

    def __init__(
        self, services: Services, clients: Mapping[str, BatchClient], stager: Stager, intervals: ScanIntervals
    ) -> None:
        self._services = services
        self._store = services.store
        self._clients = clients
        self.tracking = Tracking()  #: read-only for others; only the manager and its publisher change it
        self._ready = ReadyQueue()
        self._transfers = Transfers(stager, services.keeper, self._wake, self._after)
        self._publisher = Publisher(services, self.tracking, self._released)
        self._lifetimes = Lifetimes(services, self.look)
        self._tasks: asyncio.TaskGroup | None = None
        found = FoundJobs(self._arrived, self.look, self._vanished, self._admit_waiting)
        self.scanner = DiskScanner(services, self.tracking, found, intervals)

    # --- wake-ups -----------------------------------------------------------------------------------------------

    def look(self, job: JobId) -> None:
        """Drive this job soon, because something may have changed."""
        self._wake(self.tracking.of(job))

    def _wake(self, record: Tracked) -> None:
        if record.busy or record.publishing:
            record.again = True
        elif not record.queued and not record.awaits_answer:  # a mark is handled in the next state
            record.queued = True
            self.tracking.queued += 1
            self._ready.put(record.id, new=record.job is None)
        elif isinstance(record.asked, AskSubmit) and self._tasks is not None:
            self._tasks.create_task(self._withdraw_if_cancelled(record, record.asked), name=f"withdraw {record.id}")

    async def _withdraw_if_cancelled(self, record: Tracked, ask: AskSubmit) -> None:
        """Cancel a job that waits to be submitted, for example because its queue is paused."""
        try:
            marked = await asyncio.to_thread(self._store.has_mark, record.id, Mark.CANCEL)
            client = self._client(ask.lrms)
            if marked and record.asked is ask and client is not None and client.withdraw(ask.submission.tag):
                self.answer(record.id, Withdrawn())
        except Exception as exc:  # noqa: BLE001 - it is logged and counted; the mark is still there
            self._services.keeper.note("withdraw", exc, record.id)

    def _arrived(self, job: JobId) -> None:
        """Handle a job on disk that may be new: admit it, or let it wait because of ``maxjobs``."""
        record = self.tracking.of(job)
        if record.busy:
            self._wake(record)
        elif record.job is None and self._may_adopt():
            self.tracking.admit(record)
            self._wake(record)
        elif record.job is None:
            self.tracking.wait(record)

    def heard(self, job: JobId) -> None:
        """
        Handle a client's message about this job. If there are many unknown ids, they cause one scan, to limit memory
        use.
        """
        if self.tracking.get(job) is not None or max(self.tracking.queued, self.tracking.waiting) < _MOST_UNKNOWN:
            self.look(job)
        else:
            self.rescan()

    def rescan(self) -> None:
        """Start a full scan now, without waiting for the next period."""
        self.scanner.rescan()

    @property
    def scanned(self) -> asyncio.Event:
        """Set when every job on disk at start is known."""
        return self.scanner.scanned

    def answer(self, job: JobId, answer: Answer) -> None:
        """Handle an answer of a batch system or the stager."""
        record = self.tracking.of(job)
        record.asked, record.answer = None, answer
        record.left = record.left or isinstance(answer, Ended)
        self._wake(record)

    def reported(self, job: JobId, report: Report) -> None:
        """Handle the phase of a job that the batch system reports, which is published for the owner."""
        record = self.tracking.get(job)
        if record is not None and record.job is not None:
            self._publisher.note(record, report)
            if report.phase is Phase.EXITING and report.doubt:  # its processes have ended, the record may take a week
                self._services.limits.left_batch(job)
                self._look_at_next(record.job.local.subject or "")

    def _may_adopt(self) -> bool:
        limit = self._services.limits.maxjobs.tracked
        return limit is None or self.tracking.active < limit

    def _admit_waiting(self) -> None:
        while self._may_adopt() and (job := next(iter(self.tracking.line), None)) is not None:
            self.tracking.wait_no_more(self.tracking.of(job))
            self._arrived(job)

    @property
    def jobs(self) -> list[KnownJob]:
        """All jobs that have not ended, as of their last turn."""
        return [job for _, job in self.tracking.adopted()]

    @property
    def counts(self) -> Mapping[str, int]:
        return {str(state): count for state, count in self.tracking.counts.items() if count > 0}

    @property
    def phases(self) -> Mapping[str, int]:
        """Number of jobs in INLRMS by the letter of their phase; empty before the first report."""
        return {letter: count for letter, count in self.tracking.phases.items() if count > 0}

    @property
    def kept(self) -> int:
        """Ended jobs whose files, or traces of them, are in the control directory, as far as they have been read."""
        return self._lifetimes.known

    @property
    def waiting_outside(self) -> int:
        """New jobs that ``maxjobs`` keeps in ``accepting/``."""
        return self.tracking.waiting

    def reasons(self) -> Iterator[tuple[JobId, Reason]]:
        """What the files of single jobs do not say: when waiting jobs are tried again, and missing batch systems."""
        clock, settings = self._services.clock, self._services.settings
        for record, job in self.tracking.adopted():
            if record.timer is not None and job.status.pending:
                yield record.id, Reason(ReasonKind.STEP, "", None, time_of_day(clock, record.due))
            elif job.state in _NEED_BATCH and self._client(name := job.local.lrms or settings.lrms) is None:
                text = f"its batch system {name!r} is not configured here; this service submits to {settings.lrms}"
                yield record.id, Reason(ReasonKind.BACKEND, text, job.changed)

    # --- life ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until cancelled; turns that have begun are finished first."""
        parts: dict[str, Callable[[], Awaitable[None]]] = {
            **{f"worker {number}": self._worker for number in range(1, _WORKERS + 1)},
            "scan": self.scanner.run,
            "scan of accepting": self.scanner.run_accepting,
            "lifetimes": self._lifetimes.run,
            "publisher": self._publisher.run,
            "release": self._transfers.releasing,
        }
        async with asyncio.TaskGroup() as tasks:
            for name, work in parts.items():
                tasks.create_task(self._services.keeper.keep(name, work), name=name)
            self._tasks = tasks
            try:
                await asyncio.Event().wait()
            finally:
                self._tasks = None  # turns that end while the manager stops start nothing more

    async def _worker(self) -> None:
        while True:
            # when many jobs are ready (after a start, in a burst, at the end of arrays), several share one call in a
            # thread
            jobs = await self._ready.take(shared_by=_WORKERS, most=_TOGETHER)
            await settled(self._turns(jobs))

    async def _turns(self, jobs: list[JobId]) -> None:
        turns = Turns([self._begin(self.tracking.of(job)) for job in jobs], self._services.clock)
        turns.watch(self._split_long)
        try:
            await asyncio.to_thread(turns.run)
        finally:
            turns.unwatch()
            for context in turns.withdraw():  # not driven because of an exception
                self._give_back(context)
            self._conclude(turns)

    def _split_long(self, turns: Turns) -> None:
        """One turn takes long: give the jobs after it to other workers, and continue with those before it."""
        for context in turns.withdraw():
            self._give_back(context)
        if turns.any_ended and self._tasks is not None:
            self._tasks.create_task(settled(self._conclude_early(turns)), name="results before a long turn")

    async def _conclude_early(self, turns: Turns) -> None:
        try:
            await asyncio.to_thread(turns.sync)
            self._conclude(turns)
        except Exception as exc:  # noqa: BLE001 - it is logged and counted; the long turn concludes the others
            self._services.keeper.note("worker", exc)

    def _conclude(self, turns: Turns) -> None:
        for context, outcome in turns.results():
            self._end(self.tracking.of(context.job.id), context, outcome)
            self._look_at_next(context.job.local.subject or "")
        self._admit_waiting()

    def _look_at_next(self, owner: str) -> None:
        """Wake the jobs for which a limit has room now."""
        for job in self._services.limits.next(owner):
            self.look(job)

    def _give_back(self, context: JobContext) -> None:
        """The turn of the job has not begun: let it wait for a worker again."""
        record = self.tracking.of(context.job.id)
        record.busy = False
        if record.answer is None:
            record.answer = context.answer
        self._released(record, again=True)

    def _begin(self, record: Tracked) -> JobContext:
        record.queued, record.busy = False, True
        self.tracking.queued -= 1
        self._stop_timer(record)
        if record.job is None and self._may_adopt():
            self.tracking.admit(record)
        room = record.job is not None or record.admitted
        if room:
            self.tracking.wait_no_more(record)
        answer, record.answer = record.answer, None
        job = record.job or unknown(record.id)
        hopeless = record.trouble if record.bugs >= _GIVE_UP else ""
        return JobContext(
            job=job,
            services=self._services,
            answer=answer,
            phase=record.phase,
            trouble=record.trouble,
            told=record.told,
            hopeless=hopeless,
            room=room,
            entered=[*record.entered],
            failure=record.failure,
        )

    def _end(self, record: Tracked, context: JobContext, outcome: Resting | Exception) -> None:
        record.busy = False
        self.tracking.driven(record)
        if isinstance(outcome, Exception):
            self._retry(record, context, outcome)
        else:
            record.recovered()
            if context.entered:
                self._services.entered(context.job, context.entered, context.failure)
            self._rest(record, context.job, outcome)
        self._released(record)

    def _released(self, record: Tracked, *, again: bool = False) -> None:
        """The job is idle again: handle wake-ups that arrived meanwhile."""
        if record.again or again:
            record.again = False
            self._wake(record)
        elif record.unpublished:
            self._publisher.wake()
        self.tracking.release(record)

    def _retry(self, record: Tracked, context: JobContext, exc: Exception) -> None:
        """Drive the job again later; the state on disk is still valid."""
        self.tracking.keep(record, context.job)
        if context.answer is not None and record.answer is None:
            record.answer = context.answer
        pause_s = backoff_s(record.failures, _RETRY_S)
        record.failures += 1
        record.trouble = trouble(exc)
        record.bugs += not is_about_files(exc)
        record.told = context.told
        record.entered, record.failure = tuple(context.entered), context.failure
        never_submitted = context.job.local.localid is None and not isinstance(record.answer, SubmitTaken)
        if record.left or (never_submitted and record.failures >= _KEEPS_SLOTS):
            self._services.limits.left_batch(record.id)
        self._after(record, pause_s)
        log_failure(record.id, exc)

    @property
    def troubled(self) -> Mapping[JobId, str]:
        """Jobs whose last turns ended with an exception, which is repeated, and the exception."""
        return {record.id: record.trouble for record, _ in self.tracking.adopted() if record.trouble}

    # --- after a turn -------------------------------------------------------------------------------------------

    def _rest(self, record: Tracked, job: KnownJob, rest: Resting) -> None:
        """Arrange what wakes the job again after its turn."""
        if not isinstance(rest, AskStage) or (isinstance(record.asked, AskStage) and record.asked.out != rest.out):
            self._transfers.stop(record)
        if isinstance(rest, Forget) or job.state not in ACTIVE:
            self._drop(record, job)
            self._after_the_end(record, job, rest)
            return
        self.tracking.keep(record, job)
        if job.state not in RUNNING and not (job.state is State.PREPARING and job.status.pending):
            self._services.limits.left_batch(job.id)
        if job.state is State.FINISHING:  # it leaves the queue of its owner if it was cancelled there
            self._services.limits.started(job.id, job.local.subject or "")
        self._wait_for(record, rest)

    def _after_the_end(self, record: Tracked, job: KnownJob, rest: Resting) -> None:
        """A job that is FINISHED, DELETED or not adopted may still need later turns."""
        if isinstance(rest, Forget):
            return
        if isinstance(rest, Wait) and rest.seconds is not None:
            self._after(record, rest.seconds)
        elif job.state is not State.UNDEFINED:
            self._lifetimes.note(job.id, job.state, job.local)
        elif job.place is not None:
            self.tracking.wait(record)

    def _wait_for(self, record: Tracked, rest: Resting) -> None:
        match rest:
            case Wait(seconds=seconds) if seconds is not None:
                self._after(record, seconds)
            case AskSubmit() | AskCancel() | AskHold() | AskStatus():
                self._ask_client(record, rest)
            case AskStage() if self._tasks is not None:
                self._transfers.begin(record, rest, self._tasks)
            case _:
                pass  # an event will wake it

    def _ask_client(self, record: Tracked, ask: AskSubmit | AskCancel | AskHold | AskStatus) -> None:
        client = self._client(ask.lrms)
        if client is None:
            log.warning(
                "the job's batch system %r is not configured; the job waits until it is (option lrms)",
                ask.lrms,
                extra={"event": "lrms.unknown", "job": record.id},
            )
            self._after(record, _RETRY_S[-1])
            return
        match ask:
            case AskStatus():
                client.watch(ask)
            case AskHold():
                client.hold(ask)
            case AskSubmit():
                record.asked = ask
                self._services.limits.runs(record.id, ask.submission.grami.count)  # trouble may have taken its slots
                client.submit(ask)
            case AskCancel():
                record.asked = ask
                client.cancel(ask)

    def _client(self, lrms: str) -> BatchClient | None:
        return self._clients.get(lrms.lower())

    def _drop(self, record: Tracked, job: KnownJob) -> None:
        if self.tracking.drop(record):
            self._transfers.ended(job.id)
        localid = job.local.localid
        if localid is not None and (client := self._client(job.local.lrms or self._services.settings.lrms)) is not None:
            client.abandon(LocalId(localid), job.id, cancel=job.state is State.FINISHED)
        self._services.limits.left(job.id, job.local.subject or "")

    def _after(self, record: Tracked, seconds: float) -> None:
        self._stop_timer(record)
        record.due = self._services.clock.monotonic() + seconds
        record.timer = self._services.clock.call_later(seconds, self._timer_fired, record)

    def _stop_timer(self, record: Tracked) -> None:
        if record.timer is not None:
            record.timer.cancel()
            record.timer = None

    def _timer_fired(self, record: Tracked) -> None:
        record.timer = None
        self._wake(record)

    def _vanished(self, record: Tracked, complete: bool) -> None:
        """
        Handle a job whose status file was removed by another process, unless a turn is about to write a new one.

        If all its files have gone (``complete``), the job is dropped. A job without a status file would run on unseen.
        """
        if record.job is None or record.busy or record.queued:
            return
        facts = {"event": "job.vanished", "job": record.id}
        if complete:
            log.warning("another process removed the files of the job: dropping it", extra=facts)
            self._drop(record, record.job)
            self.tracking.release(record)
        else:
            log.warning("another process removed the status file of the job: it is written again", extra=facts)
            record.job = replace(record.job, place=None, on_disk=None)
            self._wake(record)
