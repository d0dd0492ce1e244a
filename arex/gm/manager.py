"""
The grid manager: it drives jobs after wake-ups, timers, and answers of batch systems and staging.

A wake-up is a job id. One worker at a time drives a job, in a thread; if the job is woken meanwhile, it is driven again
afterwards. Everything in this class runs on the event loop, except ``Turns.run`` and ``Turns.sync``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from arex.aio import WakeUp, settled
from arex.backoff import backoff_s
from arex.errors import StagingError
from arex.gm import scan
from arex.gm.batch.client import BatchClient
from arex.gm.cleanup import Lifetimes
from arex.gm.context import Job, JobContext, Services
from arex.gm.machine import Resting
from arex.gm.publishing.publisher import Publisher
from arex.gm.ready import ReadyQueue
from arex.gm.steps import Answer, AskCancel, AskHold, AskStage, AskStatus, AskSubmit, Forget, StagingEnded, Wait
from arex.gm.tracking import Tracked, Tracking
from arex.gm.worker import Turns, log_failure, unknown
from arex.model.ids import JobId, LocalId
from arex.model.report import Report
from arex.model.state import ACTIVE, RUNNING, State
from arex.ports import Staged, Stager

log = logging.getLogger(__name__)

_WORKERS: Final = 4
#: States that a job leaves only after a wake-up; they are not polled.
_EVENT_DRIVEN: Final = frozenset({State.ACCEPTED, State.PREPARING, State.FINISHING})
#: Maximum number of jobs that a worker drives in one call in a thread.
_TOGETHER: Final = 16
#: Maximum number of unknown jobs in the queue; beyond it, a scan is cheaper than looking at each job.
_MOST_UNKNOWN: Final = 5000
#: Seconds until a job whose turn ended with an exception is driven again.
_RETRY_S: Final = (0.5, 2.0, 5.0, 15.0, 60.0)
#: Seconds until staging that is neither complete nor failed is requested again.
_STAGE_AGAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanIntervals:
    """Seconds between the scans of the control directory."""

    wakeup_s: float = 180.0  #: full scan, with the heartbeat
    accepting_s: float | None = None  #: scan of ``accepting/`` only, where no events arrive


class GridManager:
    """All jobs of one control directory."""

    def __init__(
        self, services: Services, clients: Mapping[str, BatchClient], stager: Stager, intervals: ScanIntervals
    ) -> None:
        self._services = services
        self._store = services.store
        self._clients = clients
        self._stager = stager
        self._intervals = intervals
        self.tracking = Tracking()  #: read-only for others; only the manager and its publisher change it
        self._ready = ReadyQueue()
        self._ended: asyncio.Queue[JobId] = asyncio.Queue()  #: the stager can remove what it keeps for these jobs
        self._publisher = Publisher(services, self.tracking, self._released)
        self._lifetimes = Lifetimes(services, self.look)
        self._tasks: asyncio.TaskGroup | None = None
        self._rescan = WakeUp(services.clock)
        self.scanned = asyncio.Event()  #: set when every job on disk at start is known

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
        self._rescan.set()

    def answer(self, job: JobId, answer: Answer) -> None:
        """Handle an answer of a batch system or the stager."""
        record = self.tracking.of(job)
        record.asked, record.answer = None, answer
        self._wake(record)

    def reported(self, job: JobId, report: Report) -> None:
        """Handle the phase of a job that the batch system reports, which is published for the owner."""
        record = self.tracking.get(job)
        if record is not None and record.job is not None:
            self._publisher.note(record, report)

    def _may_adopt(self) -> bool:
        limit = self._services.limits.maxjobs.tracked
        return limit is None or self.tracking.active < limit

    def _admit_waiting(self) -> None:
        while self._may_adopt() and (job := next(iter(self.tracking.line), None)) is not None:
            self.tracking.wait_no_more(self.tracking.of(job))
            self._arrived(job)

    @property
    def jobs(self) -> list[Job]:
        """All jobs that have not ended, as of their last turn."""
        return [job for _, job in self.tracking.adopted()]

    @property
    def counts(self) -> Mapping[str, int]:
        return {str(state): count for state, count in self.tracking.counts.items() if count > 0}

    @property
    def waiting_outside(self) -> int:
        """New jobs that ``maxjobs`` keeps in ``accepting/``."""
        return self.tracking.waiting

    # --- life ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until cancelled; turns that have begun are finished first."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(_WORKERS):
                tasks.create_task(self._worker(), name=f"worker {number}")
            tasks.create_task(self._scanning(), name="scan")
            tasks.create_task(self._lifetimes.run(), name="lifetimes")
            tasks.create_task(self._publisher.run(), name="publish")
            tasks.create_task(self._releasing(), name="release")
            if self._intervals.accepting_s is not None:
                tasks.create_task(self._polling_accepting(self._intervals.accepting_s), name="scan accepting")
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
        self._conclude(turns)

    def _split_long(self, turns: Turns) -> None:
        """One turn takes long: give the jobs after it to other workers, and continue with those before it."""
        for context in turns.withdraw():
            self._give_back(context)
        if turns.any_ended and self._tasks is not None:
            self._tasks.create_task(settled(self._conclude_early(turns)), name="results before a long turn")

    async def _conclude_early(self, turns: Turns) -> None:
        await asyncio.to_thread(turns.sync)
        self._conclude(turns)

    def _conclude(self, turns: Turns) -> None:
        for context, outcome in turns.results():
            self._end(self.tracking.of(context.job.id), context, outcome)
            for next_job in self._services.limits.next(context.job.local.subject or ""):
                self.look(next_job)
        self._admit_waiting()

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
        retried = record.failures > 0
        return JobContext(
            job=job, services=self._services, answer=answer, phase=record.phase, retried=retried, room=room
        )

    def _end(self, record: Tracked, context: JobContext, outcome: Resting | Exception) -> None:
        record.busy = False
        self.tracking.driven(record)
        if isinstance(outcome, Exception):
            self._retry(record, context, outcome)
        else:
            record.failures = 0
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
        self._after(record, pause_s)
        log_failure(record.id, exc)

    # --- after a turn -------------------------------------------------------------------------------------------

    def _rest(self, record: Tracked, job: Job, rest: Resting) -> None:
        """Arrange what wakes the job again after its turn."""
        if not isinstance(rest, AskStage) or (isinstance(record.asked, AskStage) and record.asked.out != rest.out):
            self._stop_staging(record)  # the job was cancelled, or has moved on
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

    def _after_the_end(self, record: Tracked, job: Job, rest: Resting) -> None:
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
            case AskStage():
                self._stage(record, rest)
            case _:
                pass  # an event will wake it

    def _ask_client(self, record: Tracked, ask: AskSubmit | AskCancel | AskHold | AskStatus) -> None:
        client = self._client(ask.lrms)
        if client is None:
            log.warning(
                "the job's batch system %r is not configured; the job waits until it is (option lrms)",
                ask.lrms,
                extra={"event": "lrms.unknown"},
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
                client.submit(ask)
            case AskCancel():
                record.asked = ask
                client.cancel(ask)

    def _client(self, lrms: str) -> BatchClient | None:
        return self._clients.get(lrms.lower())

    def _drop(self, record: Tracked, job: Job) -> None:
        if self.tracking.drop(record):
            self._ended.put_nowait(job.id)
        localid = job.local.localid
        if localid is not None and (client := self._client(job.local.lrms or self._services.settings.lrms)) is not None:
            client.forget(LocalId(localid), job.id)
        self._services.limits.left(job.id, job.local.subject or "")

    def _after(self, record: Tracked, seconds: float) -> None:
        self._stop_timer(record)
        record.timer = self._services.clock.call_later(seconds, self._timer_fired, record)

    def _stop_timer(self, record: Tracked) -> None:
        if record.timer is not None:
            record.timer.cancel()
            record.timer = None

    def _timer_fired(self, record: Tracked) -> None:
        record.timer = None
        self._wake(record)

    # --- staging ------------------------------------------------------------------------------------------------

    def _stop_staging(self, record: Tracked) -> None:
        if record.staging is not None:
            record.staging.cancel()
            record.staging = record.asked = None

    def _stage(self, record: Tracked, ask: AskStage) -> None:
        if isinstance(record.answer, StagingEnded):
            if record.answer.out == ask.out:
                return  # staging ended during the turn; the next turn uses the answer
            record.answer = None
        if record.staging is None and self._tasks is not None:
            record.asked = ask
            record.staging = self._tasks.create_task(self._staged(record, ask), name=f"stage {record.id}")

    async def _staged(self, record: Tracked, ask: AskStage) -> None:
        call = self._stager.stage_out if ask.out else self._stager.stage_in
        try:
            staged: Staged = await call(ask.staging)
        except asyncio.CancelledError:
            await self._stager.cancel(record.id)
            raise
        except Exception as exc:
            log.exception(
                "staging failed because of an internal error of arex", extra={"event": "stage.bug", "job": record.id}
            )
            staged = Staged(done=False, failure=f"Internal error: {exc}")
        record.staging = record.asked = None
        if staged.done or staged.failure or staged.waits:
            record.answer = StagingEnded(staged, ask.out)
            self._wake(record)
        else:
            self._after(record, _STAGE_AGAIN_S)

    async def _releasing(self) -> None:
        """
        Let the stager release what it kept for ended jobs; the next cleaning of the cache finds anything that is
        missed.
        """
        while True:
            job = await self._ended.get()
            try:
                await self._stager.release(job)
            except (StagingError, OSError) as exc:
                log.warning(
                    "cannot release the cache links of the job: %s", exc, extra={"event": "stage.release", "job": job}
                )

    # --- scans --------------------------------------------------------------------------------------------------

    async def _scanning(self) -> None:
        while True:
            try:
                await self._scan()
                self.scanned.set()
            except OSError as exc:
                log.warning("cannot scan the control directory: %s", exc, extra={"event": "scan.failed"})
            await self._rescan.wait(self._intervals.wakeup_s)

    async def _scan(self) -> None:
        """Compare memory with the disk: adopt jobs that are only on disk, drop jobs that are only in memory."""
        waiting = list(self.tracking.line)
        found = await asyncio.to_thread(scan.everything, self._store)
        on_disk = set(found.jobs)
        for job in found.jobs:
            self._arrived(job)
        for job in (*found.marked, *self._resting(), *self._services.limits.heads()):
            self.look(job)
        for record in [record for record, _ in self.tracking.adopted() if record.id not in on_disk]:
            if not record.busy and await asyncio.to_thread(self._store.read_status, record.id) is None:
                self._vanished(record)
        for job in waiting:
            if job not in on_disk and (gone := self.tracking.get(job)) is not None:
                self.tracking.wait_no_more(gone)
                self.tracking.release(gone)
        self._admit_waiting()

    def _resting(self) -> list[JobId]:
        """Jobs that depend on a wake-up; each scan wakes them too, in case a wake-up was lost."""
        return [
            record.id
            for record, job in self.tracking.adopted()
            if job.state in _EVENT_DRIVEN and not job.status.pending and record.asked is None
        ]

    def _vanished(self, record: Tracked) -> None:
        """Drop a job whose status file was removed by another process, unless a turn is about to write a new one."""
        if record.job is not None and not record.busy and not record.queued:
            facts = {"event": "job.vanished", "job": record.id}
            log.warning("another process removed the status file: dropping the job", extra=facts)
            self._drop(record, record.job)
            self.tracking.release(record)

    async def _polling_accepting(self, seconds: float) -> None:
        while True:
            await self._services.clock.sleep(seconds)
            try:
                found = await asyncio.to_thread(scan.accepting, self._store)
            except OSError:
                continue  # the full scan reports it
            for job in found.jobs:
                self._arrived(job)
            for job in found.marked:
                self.look(job)
