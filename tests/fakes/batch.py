"""A batch system in memory: answers, silences and refusals are scripted, 20 000 jobs cost nothing."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from arex.clock import Clock, SystemClock
from arex.errors import BatchUnavailable, SubmitLimited, SubmitRejected
from arex.model.ids import JobId, LocalId, Tag
from arex.model.report import EndCause, Phase, Report
from arex.ports import Backend, Capacity, LocalJob, NotSubmitted, Submission, Submitted
from lrms.attempt.missing import MissingSince
from lrms.command.verdict import missing

#: What is counted.
METHODS: Final = ("submit", "find", "status", "cancel", "hold", "release")
RUNNING = Report(phase=Phase.RUNNING)


def ended(code: int | None = 0, cause: EndCause = EndCause.EXIT_CODE, signal: int | None = None) -> Report:
    return Report(phase=Phase.ENDED, exit_code=code, cause=cause, signal=signal)


def run_on(_submission: Submission) -> Report:
    """The default outcome: the job runs until the test ends it."""
    return RUNNING


class FakeCluster:
    """The batch system itself: it outlives backends, as the real ones do."""

    def __init__(self, outcome: Callable[[Submission], Report] = run_on) -> None:
        self.outcome = outcome  #: what becomes of a job as soon as it is taken
        self.taken: dict[Tag, LocalId] = {}
        self.reports: dict[LocalId, Report] = {}
        self.runs: Counter[Tag] = Counter()  #: how often each payload was started
        self.calls: Counter[tuple[str, Tag | None]] = Counter()  #: of each method, about each tag
        self.outage = ""  #: with a reason, nothing is answered
        self.lost_answers = 0  #: so many submissions are taken, and the answer gets lost
        self.refusals: dict[Tag, str] = {}
        self.full_disk: dict[Tag, str] = {}  #: attempts that cannot be prepared, and why
        self.limits: dict[str, str] = {}  #: queues that take nothing now, and why
        self.cancel_refusals: dict[LocalId, str] = {}
        self.invisible_for = 0  #: so many questions pass before ``find`` and ``status`` see a new job
        self.ends: list[asyncio.Queue[LocalId]] = []
        self._asked: Counter[LocalId] = Counter()
        self._numbers = itertools.count(1)

    def answer(self, method: str, tags: Collection[Tag | None]) -> None:
        """Count a call; raises BatchUnavailable during an outage."""
        self.calls.update((method, tag) for tag in tags)
        if self.outage:
            raise BatchUnavailable(self.outage)

    def take(self, submission: Submission) -> LocalId:
        """One attempt is one job, however often it is handed over."""
        if (known := self.taken.get(submission.tag)) is not None:
            return known
        localid = LocalId(str(next(self._numbers)))
        self.taken[submission.tag] = localid
        self.runs[submission.tag] += 1
        self.reports[localid] = RUNNING
        if (report := self.outcome(submission)).phase is Phase.ENDED:
            self.end(localid, report)
        return localid

    def end(self, localid: LocalId, report: Report) -> None:
        self.reports[localid] = report
        for queue in self.ends:
            queue.put_nowait(localid)

    def forget(self, localid: LocalId) -> None:
        """As batch systems do with jobs that ended long ago."""
        del self.reports[localid]

    def sees(self, localid: LocalId) -> bool:
        self._asked[localid] += 1
        return self._asked[localid] > self.invisible_for


class FakeBackend:
    """The port over a fake cluster; several may share one, one after the other or at once."""

    name = "fake"

    record_wait_s = 15.0  #: how long a job may be missing before it is lost

    def __init__(
        self, cluster: FakeCluster | None = None, slots: int | None = None, clock: Clock | None = None
    ) -> None:
        self.cluster = cluster or FakeCluster()
        self._missing = MissingSince(clock or SystemClock())
        self._slots = slots
        self._ends: asyncio.Queue[LocalId] = asyncio.Queue()

    async def start(self) -> None:
        self.cluster.ends.append(self._ends)

    async def close(self) -> None:
        self.cluster.ends.remove(self._ends)

    def capacity(self) -> Capacity:
        return Capacity(slots=self._slots)

    async def submit(self, batch: Sequence[Submission]) -> Mapping[Tag, Submitted]:
        self.cluster.answer("submit", [each.tag for each in batch])
        answers: dict[Tag, Submitted] = {}
        for each in batch:
            if (why := self.cluster.refusals.get(each.tag)) is not None:
                answers[each.tag] = SubmitRejected(why)
                continue
            if (why := self.cluster.full_disk.get(each.tag)) is not None:
                answers[each.tag] = NotSubmitted(why)
                continue
            if (why := self.cluster.limits.get(each.queue)) is not None:
                answers[each.tag] = SubmitLimited(why)
                continue
            localid = self.cluster.take(each)
            if self.cluster.lost_answers > 0:
                self.cluster.lost_answers -= 1
                continue
            answers[each.tag] = localid
        return answers

    def figures(self) -> Mapping[str, int]:
        return {method: sum(n for (what, _), n in self.cluster.calls.items() if what == method) for method in METHODS}

    async def find(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId]:
        self.cluster.answer("find", [each.tag for each in batch])
        found = {each.tag: self.cluster.taken.get(each.tag) for each in batch}
        return {tag: localid for tag, localid in found.items() if localid is not None and self.cluster.sees(localid)}

    async def tagged(self) -> Mapping[LocalId, JobId]:
        self.cluster.answer("tagged", [])
        alive = {localid for localid, report in self.cluster.reports.items() if report.phase is not Phase.ENDED}
        return {
            localid: JobId(tag.rpartition("-")[0]) for tag, localid in self.cluster.taken.items() if localid in alive
        }

    async def recorded(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        del jobs  # it has no job scripts
        return {}

    async def status(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        self.cluster.answer("status", [each.tag for each in jobs])
        reports = {each.localid: self._report(each.localid) for each in jobs}
        return {localid: report for localid, report in reports.items() if report is not None}

    def _report(self, localid: LocalId) -> Report | None:
        report = self.cluster.reports.get(localid)
        if report is None or not (report.phase is Phase.ENDED or self.cluster.sees(localid)):
            return missing(self._missing.seconds(localid), self.record_wait_s)
        self._missing.forget(localid)
        return report

    async def cancel(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        self.cluster.answer("cancel", [each.tag for each in jobs])
        refused = {each.localid: self.cluster.cancel_refusals.get(each.localid, "") for each in jobs}
        for localid, why in refused.items():
            report = self.cluster.reports.get(localid)
            if not why and report is not None and report.phase is not Phase.ENDED:
                self.cluster.end(localid, ended(143, EndCause.CANCELLED, 15))
        return {localid: why for localid, why in refused.items() if why}

    async def hold(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        return self._suspend(jobs, "hold", Phase.QUEUED, Phase.HELD)

    async def release(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        return self._suspend(jobs, "release", Phase.HELD, Phase.QUEUED)

    def _suspend(self, jobs: Collection[LocalJob], method: str, before: Phase, after: Phase) -> dict[LocalId, str]:
        self.cluster.answer(method, [each.tag for each in jobs])
        refused: dict[LocalId, str] = {}
        for each in jobs:
            phase = self.cluster.reports[each.localid].phase
            if phase is before:
                self.cluster.reports[each.localid] = Report(phase=after)
            elif phase is not after:
                refused[each.localid] = f"the job is {phase.name.lower()}"
        return refused

    async def watch(self, ended: Callable[[LocalId], None]) -> None:
        while True:
            ended(await self._ends.get())


_: type[Backend] = FakeBackend
