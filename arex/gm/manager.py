"""
Whose turn it is: wake-ups, timers, limits, and the answers of the world outside.

A wake-up is a job id. A job is driven by one worker at a time, in a thread; woken meanwhile, it is driven again.
Everything in this class runs on the event loop but ``_drive``.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections import Counter
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Final

from arex.errors import ControlDirError, CorruptFile, StagingError
from arex.gm import scan
from arex.gm.batch.client import BatchClient
from arex.gm.cleanup import Lifetimes
from arex.gm.context import Job, JobContext, Services
from arex.gm.machine import Resting
from arex.gm.publishing import activity, evidence
from arex.gm.steps import (
    Answer,
    AskCancel,
    AskHold,
    AskStage,
    AskStatus,
    AskSubmit,
    Forget,
    Wait,
)
from arex.gm.worker import take_turns, unknown
from arex.model.ids import JobId, LocalId
from arex.model.report import Report
from arex.model.state import ACTIVE, RUNNING, State
from arex.ports import Staged, Stager

log = logging.getLogger(__name__)

_WORKERS: Final = 4
#: States whose jobs are not polled for.
_EVENT_DRIVEN: Final = frozenset({State.ACCEPTED, State.PREPARING, State.FINISHING})
#: Jobs that one worker drives in one go, at most.
_TOGETHER: Final = 16
#: Unknown jobs in line, beyond which the scan is the better way to find what is true.
_MOST_RUNG: Final = 5000
#: Documents written in one go.
_PUBLISH: Final = 50
_TROUBLE_S: Final = (0.5, 2.0, 5.0, 15.0, 60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanIntervals:
    """Seconds between the things that happen by themselves."""

    wakeup_s: float = 180.0  #: the scan that is the truth, and the heartbeat
    accepting_s: float | None = None  #: a scan of ``accepting/`` alone, where no events arrive


class GridManager:
    """All jobs of one control directory."""

    def __init__(
        self, services: Services, clients: Mapping[str, BatchClient], stager: Stager, rhythm: ScanIntervals
    ) -> None:
        self._services = services
        self._store = services.store
        self._clients = clients
        self._stager = stager
        self._rhythm = rhythm
        self._jobs: dict[JobId, Job] = {}
        self._counts: Counter[State] = Counter()
        self._newcomers: dict[JobId, None] = {}
        self._coming: set[JobId] = set()  #: let in under n1 of ``maxjobs``, but not looked at yet
        self._ready: asyncio.PriorityQueue[tuple[bool, int, JobId]] = asyncio.PriorityQueue()
        self._serial = itertools.count()
        self._queued: set[JobId] = set()
        self._busy: set[JobId] = set()
        self._shown: set[JobId] = set()  #: their documents are being written
        self._again: set[JobId] = set()
        self._answers: dict[JobId, Answer] = {}
        self._asked: dict[JobId, AskSubmit | AskCancel | AskStage] = {}
        self._timers: dict[JobId, asyncio.TimerHandle] = {}
        self._troubles: Counter[JobId] = Counter()
        self._phases: dict[JobId, str] = {}
        self._reports: dict[JobId, Report] = {}  #: not on disk yet
        self._to_publish: dict[JobId, None] = {}
        self._publish_now = asyncio.Event()
        self._staging: dict[JobId, asyncio.Task[None]] = {}
        self._left: asyncio.Queue[JobId] = asyncio.Queue()  #: they stage and run no more
        self._lifetimes = Lifetimes(services, self.look)
        self._tasks: asyncio.TaskGroup | None = None
        self._rescan = asyncio.Event()
        self.scanned = asyncio.Event()  #: every job on disk at start has been taken up
        services.phases = self._phases

    # --- wake-ups -----------------------------------------------------------------------------------------------

    def look(self, job: JobId) -> None:
        """Something may have happened to this job."""
        if job in self._busy or job in self._shown:
            self._again.add(job)
        elif isinstance(self._asked.get(job), AskSubmit | AskCancel) and job not in self._answers:
            return  # the answer that is on its way wakes it; a mark waits for the next state
        elif job not in self._queued:
            self._queued.add(job)
            # those under way come before newcomers: a slot that is free should not wait for a thousand adoptions
            self._ready.put_nowait((job not in self._jobs, next(self._serial), job))

    def _arrived(self, job: JobId) -> None:
        """A job on disk that we may not have yet: in, or into the line before the door."""
        if job in self._busy:
            self.look(job)
        elif job not in self._jobs and self._may_adopt():
            self._coming.add(job)
            self.look(job)
        elif job not in self._jobs:
            self._newcomers.setdefault(job)

    def heard(self, job: JobId) -> None:
        """Somebody rang for this job; a flood of ids that nobody knows costs a scan, not room for each of them."""
        if job in self._jobs or max(len(self._queued), len(self._newcomers)) < _MOST_RUNG:
            self.look(job)
        else:
            self.rescan()

    def rescan(self) -> None:
        """Look at everything now, not at the next period."""
        self._rescan.set()

    def answer(self, job: JobId, answer: Answer) -> None:
        self._asked.pop(job, None)
        self._answers[job] = answer
        self.look(job)

    def reported(self, job: JobId, report: Report) -> None:
        """Queued, running, held, or something strange: what the owner sees of a job inside its batch system."""
        self._phases[job] = str(report.phase)
        self._reports[job] = report
        self._to_publish[job] = None
        self._publish_now.set()

    async def _publishing(self) -> None:
        """Documents of jobs whose phase has changed, a few at a time: thousands may have after a start."""
        while True:
            await self._publish_now.wait()
            self._publish_now.clear()
            while (records := self._publishable()) is not None:
                self._shown.update(record.id for record in records)  # an older document must not follow a newer one
                await asyncio.to_thread(self._publish, records)
                self._shown.clear()
                for record in records:
                    self._released(record.id)

    def _publishable(self) -> list[Job] | None:
        """The next few, None if there are none; those that are in the middle of something come after it."""
        free = (job for job in self._to_publish if job not in self._busy and job not in self._queued)
        batch = list(itertools.islice(free, _PUBLISH))
        if not batch:
            return None
        for job in batch:
            del self._to_publish[job]
        return [self._jobs[job] for job in batch if job in self._jobs]

    def _released(self, job: JobId) -> None:
        """Nobody works on the job any more: what came up meanwhile has its turn."""
        if job in self._again:
            self._again.discard(job)
            self.look(job)
        elif job in self._to_publish:
            self._publish_now.set()

    def _publish(self, records: list[Job]) -> None:
        for record in records:
            context = JobContext(job=record, services=self._services)
            try:
                if (report := self._reports.pop(record.id, None)) is not None:
                    evidence.write(context.session, report, self._services.clock.now())
                if not activity.shows(context, self._phases.get(record.id, "")):
                    activity.publish(context)
            except (OSError, CorruptFile) as exc:
                log.warning(
                    "the document of the job can't be written: %s", exc, extra={"event": "xml.failed", "job": record.id}
                )

    def _may_adopt(self) -> bool:
        limit = self._services.limits.maxjobs.tracked
        return limit is None or self.tracked + len(self._coming) < limit

    def _let_in(self) -> None:
        while self._newcomers and self._may_adopt():
            newcomer = next(iter(self._newcomers))
            del self._newcomers[newcomer]
            self._arrived(newcomer)

    @property
    def tracked(self) -> int:
        """Jobs that count against n1 of ``maxjobs``."""
        return len(self._jobs) - self._counts[State.CANCELING]

    @property
    def jobs(self) -> list[Job]:
        """All jobs that have not ended, as they were left by their last move."""
        return list(self._jobs.values())

    @property
    def counts(self) -> Mapping[str, int]:
        return {str(state): count for state, count in self._counts.items() if count > 0}

    @property
    def waiting_outside(self) -> int:
        """New jobs that ``maxjobs`` keeps in ``accepting/``."""
        return len(self._newcomers)

    # --- life ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled; moves that have begun are finished first."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for number in range(_WORKERS):
                tasks.create_task(self._worker(), name=f"worker {number}")
            tasks.create_task(self._scanning(), name="scan")
            tasks.create_task(self._lifetimes.run(), name="lifetimes")
            tasks.create_task(self._publishing(), name="publish")
            tasks.create_task(self._letting_go(), name="release")
            if self._rhythm.accepting_s is not None:
                tasks.create_task(self._polling_accepting(self._rhythm.accepting_s), name="scan accepting")

    async def _worker(self) -> None:
        while True:
            new, _, job = await self._ready.get()
            jobs = [job]
            # one trip to a thread for several newcomers when there are many: after a start, or in a burst
            while new and len(jobs) < min(_TOGETHER, 1 + self._ready.qsize() // _WORKERS):
                new, _, job = self._ready.get_nowait()
                jobs.append(job)
            await _to_the_end(self._turns(jobs))

    async def _turns(self, jobs: list[JobId]) -> None:
        contexts = [self._begin(job) for job in jobs]
        rests = await asyncio.to_thread(take_turns, contexts)
        for context, rest in zip(contexts, rests, strict=True):
            job = context.job.id
            self._busy.discard(job)
            self._end(context, rest)
            self._released(job)
            for next_job in self._services.limits.next(context.job.local.subject or ""):
                self.look(next_job)
        self._let_in()

    def _begin(self, job: JobId) -> JobContext:
        self._queued.discard(job)
        self._busy.add(job)
        if (timer := self._timers.pop(job, None)) is not None:
            timer.cancel()
        if job not in self._jobs and self._may_adopt():
            self._coming.add(job)
        room = job in self._jobs or job in self._coming
        if room:
            self._newcomers.pop(job, None)
        record = self._jobs.get(job) or unknown(job)
        return JobContext(job=record, services=self._services, answer=self._answers.pop(job, None), room=room)

    def _end(self, context: JobContext, rest: Resting | Exception) -> None:
        self._coming.discard(context.job.id)
        if isinstance(rest, Exception):
            self._trouble(context, rest)
        else:
            self._troubles.pop(context.job.id, None)
            self._settle(context, rest)

    def _trouble(self, context: JobContext, exc: Exception) -> None:
        """Nothing is lost: what is on disk holds, and the job is looked at again."""
        job = context.job.id
        self._keep(context.job)
        if context.answer is not None and job not in self._answers:
            self._answers[job] = context.answer
        pause = _TROUBLE_S[min(self._troubles[job], len(_TROUBLE_S) - 1)]
        self._troubles[job] += 1
        self._after(job, pause)
        if isinstance(exc, OSError | ControlDirError):
            log.warning("job waits, its files can't be handled: %s", exc, extra={"event": "job.trouble", "job": job})
        else:
            facts = {"event": "job.bug", "job": job}
            log.error("job waits, this is a fault of arex", exc_info=exc, extra=facts)

    # --- after a turn -------------------------------------------------------------------------------------------

    def _settle(self, context: JobContext, rest: Resting) -> None:
        job = context.job
        if not isinstance(rest, AskStage):
            self._stop_staging(job.id)  # the job was cancelled, or has moved on
        if isinstance(rest, Forget) or job.state not in ACTIVE:
            self._drop(job, job.local.subject or "")
            if isinstance(rest, Wait) and rest.seconds is not None:
                self._after(job.id, rest.seconds)
            elif job.state is State.UNDEFINED and job.place is not None and not isinstance(rest, Forget):
                self._newcomers.setdefault(job.id)
            elif not isinstance(rest, Forget) and job.state is not State.UNDEFINED:
                self._lifetimes.note(job.id, job.state, job.local)
            return
        self._keep(job)
        if job.state not in RUNNING and not (job.state is State.PREPARING and job.status.pending):
            self._services.limits.left_batch(job.id)
        if job.state is State.FINISHING:  # out of the line of its owner, if it was cancelled there
            self._services.limits.started(job.id, job.local.subject or "")
        self._wait_for(job.id, rest)

    def _wait_for(self, job: JobId, rest: Resting) -> None:
        match rest:
            case Wait(seconds=seconds) if seconds is not None:
                self._after(job, seconds)
            case AskSubmit() | AskCancel() | AskHold() | AskStatus():
                self._ask_client(job, rest)
            case AskStage():
                self._stage(job, rest)
            case _:
                pass  # an event wakes it

    def _ask_client(self, job: JobId, ask: AskSubmit | AskCancel | AskHold | AskStatus) -> None:
        client = self._client(ask.lrms)
        if client is None:
            log.warning("no batch system %r is configured: the job waits", ask.lrms, extra={"event": "lrms.unknown"})
            self._after(job, _TROUBLE_S[-1])
            return
        if isinstance(ask, AskStatus):
            client.watch(ask)
            return
        if isinstance(ask, AskHold):
            client.hold(ask)
            return
        self._asked[job] = ask
        if isinstance(ask, AskSubmit):
            client.submit(ask)
        else:
            client.cancel(ask)

    def _client(self, lrms: str) -> BatchClient | None:
        return self._clients.get(lrms.lower())

    def _keep(self, job: Job) -> None:
        before = self._jobs.get(job.id)
        if before is not None:
            self._counts[before.state] -= 1
        self._counts[job.state] += 1
        self._jobs[job.id] = job

    def _drop(self, job: Job, owner: str) -> None:
        before = self._jobs.pop(job.id, None)
        if before is not None:
            self._counts[before.state] -= 1
            self._left.put_nowait(job.id)
        localid = job.local.localid
        if localid is not None and (client := self._client(job.local.lrms or self._services.settings.lrms)) is not None:
            client.forget(LocalId(localid), job.id)
        self._phases.pop(job.id, None)
        self._reports.pop(job.id, None)
        self._asked.pop(job.id, None)
        self._troubles.pop(job.id, None)
        self._services.limits.left(job.id, owner)

    def _after(self, job: JobId, seconds: float) -> None:
        if (timer := self._timers.pop(job, None)) is not None:
            timer.cancel()
        self._timers[job] = asyncio.get_running_loop().call_later(seconds, self._timer_rang, job)

    def _timer_rang(self, job: JobId) -> None:
        self._timers.pop(job, None)
        self.look(job)

    # --- staging ------------------------------------------------------------------------------------------------

    def _stop_staging(self, job: JobId) -> None:
        if (staging := self._staging.pop(job, None)) is not None:
            staging.cancel()
            self._asked.pop(job, None)

    def _stage(self, job: JobId, ask: AskStage) -> None:
        if job not in self._staging and self._tasks is not None:
            self._asked[job] = ask
            self._staging[job] = self._tasks.create_task(self._staged(job, ask), name=f"stage {job}")

    async def _staged(self, job: JobId, ask: AskStage) -> None:
        call = self._stager.stage_out if ask.out else self._stager.stage_in
        try:
            staged: Staged = await call(ask.staging)
        except asyncio.CancelledError:
            await self._stager.cancel(job)
            raise
        except Exception as exc:
            log.exception("staging failed, this is a fault of arex", extra={"event": "stage.bug", "job": job})
            staged = Staged(done=False, failure=f"Internal error: {exc}")
        self._staging.pop(job, None)
        if staged.done or staged.failure or staged.waits:
            self.answer(job, staged)
        else:
            self._asked.pop(job, None)
            self._after(job, 1.0)

    async def _letting_go(self) -> None:
        """What is missed here, the next cleaning of the cache finds."""
        while True:
            job = await self._left.get()
            try:
                await self._stager.release(job)
            except (StagingError, OSError) as exc:
                log.warning("files that were kept for it stay: %s", exc, extra={"event": "stage.release", "job": job})

    # --- scans --------------------------------------------------------------------------------------------------

    async def _scanning(self) -> None:
        while True:
            try:
                await self._scan()
                self.scanned.set()
            except OSError as exc:
                log.warning("the control directory can't be scanned: %s", exc, extra={"event": "scan.failed"})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._rhythm.wakeup_s):
                    await self._rescan.wait()
            self._rescan.clear()

    async def _scan(self) -> None:
        """The truth: whatever is on disk and not in memory is taken up, whatever is gone from disk is dropped."""
        waiting = list(self._newcomers)
        seen = await asyncio.to_thread(scan.everything, self._store)
        on_disk = set(seen.jobs)
        for job in seen.jobs:
            self._arrived(job)
        for job in (*seen.marked, *self._resting(), *self._services.limits.heads()):
            self.look(job)
        for job in [job for job in self._jobs if job not in on_disk and job not in self._busy]:
            if await asyncio.to_thread(self._store.read_status, job) is None:
                self._vanished(job)
        for job in waiting:
            if job not in on_disk:
                self._newcomers.pop(job, None)
        self._let_in()

    def _resting(self) -> list[JobId]:
        """Jobs that only a wake-up moves: should one ever be lost, this costs a period and not the job."""
        return [
            job
            for job, record in self._jobs.items()
            if record.state in _EVENT_DRIVEN and not record.status.pending and job not in self._asked
        ]

    def _vanished(self, job: JobId) -> None:
        """Somebody removed the status file: the job does not exist any more; but a move may be on its way."""
        record = self._jobs.get(job)
        if record is not None and job not in self._busy and job not in self._queued:
            log.warning(
                "its status file was removed by somebody: the job is given up",
                extra={"event": "job.vanished", "job": job},
            )
            self._drop(record, record.local.subject or "")

    async def _polling_accepting(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            with contextlib.suppress(OSError):  # the full scan reports it
                seen = await asyncio.to_thread(scan.accepting, self._store)
                for job in seen.jobs:
                    self._arrived(job)
                for job in seen.marked:
                    self.look(job)


async def _to_the_end(work: Awaitable[None]) -> None:
    """A move that has begun is finished; cancellation comes after it."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            await task
        raise
