"""
The port over HTCondor where nodes do not see the session directories: HTCondor's own transfers move them.

A submission is claimed before it is handed over, so that no earlier one of the same attempt can begin; an end is told
when the files of the job are in their place. What goes and comes is ``lrms.htcondor.files``'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from arex.clock import Clock
from arex.errors import SubmitLimited, SubmitRejected
from arex.model.ids import LocalId, Tag
from arex.model.report import EndCause, Phase, Report, Witness
from arex.ports import LocalJob, Submission
from lrms.attempt.traces import Traces
from lrms.command.backend import CommandBackend, CommandSettings
from lrms.command.dialect import Dialect, Work
from lrms.htcondor import files
from lrms.htcondor.collect import OutputCollector
from lrms.htcondor.eventlog import EventSummary
from lrms.htcondor.files import Claim, Link
from lrms.jobscript.runtimes import Prepared

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferWork(Work):
    """Work whose files HTCondor moves."""

    keys: tuple[str, ...]  #: of this submission, for each attempt: see ``lrms.htcondor.files``


class TransferringBackend(CommandBackend):
    """Hands over ``TransferWork`` instead of ``Work``."""

    def __init__(
        self,
        dialect: Dialect,
        settings: CommandSettings,
        clock: Clock | None = None,
        caches: tuple[Link, ...] = (),
    ) -> None:
        super().__init__(dialect, settings, clock)
        self._caches = caches
        self._arrivals = OutputCollector(self._clock)
        self._claims: weakref.WeakValueDictionary[Tag, asyncio.Lock] = weakref.WeakValueDictionary()

    async def close(self) -> None:
        await self._arrivals.close()

    def _lay_out(self, submission: Prepared) -> None:
        super()._lay_out(submission)
        files.lay_out(submission.rundir, submission.grami.directory, self._caches)

    async def submit(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId | SubmitRejected | SubmitLimited]:
        async with contextlib.AsyncExitStack() as stack:
            for tag in sorted(each.tag for each in batch):
                await stack.enter_async_context(self._claims.setdefault(tag, asyncio.Lock()))
            answers = await super().submit(batch)
        self._listen(batch, answers)
        return answers

    async def _hand_over(self, work: Work) -> dict[Tag, LocalId | SubmitRejected | SubmitLimited]:
        claims = await asyncio.to_thread(_claim, work.submissions)
        answers: dict[Tag, LocalId | SubmitRejected | SubmitLimited] = {
            tag: each.taken for tag, each in claims.items() if each.taken is not None
        }
        fresh = tuple(each for each in work.submissions if each.tag in claims and each.tag not in answers)
        if fresh:
            first = fresh[0]
            load = TransferWork(
                submissions=fresh,
                script=first.rundir / "script",
                output=str(first.comment),
                tag=first.tag,
                keys=tuple(claims[each.tag].key for each in fresh),
            )
            answers |= await super()._hand_over(load)
        return answers

    async def find(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId]:
        """One that has begun is in HTCondor's log, also when it has left the queue."""
        found = {**(await super().find(batch)), **(await self._taken(batch))}
        self._listen(batch, found)
        return found

    async def _taken(self, batch: Sequence[Submission]) -> dict[Tag, LocalId]:
        stories = await asyncio.to_thread(lambda: {each.tag: _story(each.rundir) for each in batch})
        return {tag: story.taken for tag, story in stories.items() if story.taken is not None}

    def _listen(self, batch: Sequence[Submission], answers: Mapping[Tag, object]) -> None:
        for each in batch:
            if isinstance(localid := answers.get(each.tag), str):
                self._arrivals.note(each.rundir, LocalId(localid))

    async def recorded(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        busy = await self._arriving(jobs)
        ends = await super().recorded([job for job in jobs if job.localid not in busy])
        for job in jobs:
            if job.localid in ends and job.rundir is not None:
                self._arrivals.forget(job.rundir)
        return ends

    async def status(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        busy = await self._arriving(jobs)
        known = [job for job in jobs if job.localid not in busy]
        await asyncio.to_thread(_note_starts, [job.rundir for job in known if job.rundir is not None])
        reports = {**await super().status(known)}
        for job in known:
            if job.rundir is not None and job.localid in reports:
                reports[job.localid] = _without_files(reports[job.localid])
        coming = Report(phase=Phase.EXITING, doubt="the files of the job are on their way into its session directory")
        return {**reports, **dict.fromkeys(busy, coming)}

    async def _arriving(self, jobs: Collection[LocalJob]) -> frozenset[LocalId]:
        for job in jobs:
            if job.rundir is not None:
                self._arrivals.note(job.rundir, job.localid)
        return await self._arrivals.take_in(jobs)

    async def watch(self, ended: Callable[[LocalId], None]) -> None:
        await self._arrivals.listen(ended)

    async def _settle(self, over: Sequence[LocalJob], traces: Mapping[LocalId, Traces]) -> None:
        await super()._settle(over, traces)
        rundirs = [job.rundir for job in over if job.rundir is not None]
        await asyncio.to_thread(_forget, rundirs)
        for rundir in rundirs:
            self._arrivals.forget(rundir)


def _without_files(report: Report) -> Report:
    """An exit code without a record is that of a script whose files are not here: no success, whatever it was."""
    recorded = any(each.witness is Witness.RECORD for each in report.evidence)
    if report.phase is not Phase.ENDED or recorded or report.cause is not EndCause.EXIT_CODE:
        return report
    message = "Job failed: lost (the files of the job did not come back)"
    return replace(report, exit_code=None, cause=EndCause.LOST, message=message)


def _claim(submissions: Sequence[Submission]) -> dict[Tag, Claim]:
    """One that is absent could not be claimed now: it was certainly not handed over, and comes again."""
    claims: dict[Tag, Claim] = {}
    for each in submissions:
        try:
            claims[each.tag] = files.claim(each.rundir)
        except OSError as exc:
            log.warning("attempt %s can't be prepared: %s", each.tag, exc, extra={"event": "submit.disk"})
    return claims


def _story(rundir: Path) -> EventSummary:
    try:
        return files.story_of(rundir)
    except OSError as exc:  # the queue is asked as well
        log.warning("HTCondor's log does not read: %s", exc, extra={"event": "record.disk"})
        return EventSummary()


def _note_starts(rundirs: Sequence[Path]) -> None:
    for rundir in rundirs:
        try:
            files.note_start(rundir)
        except OSError as exc:
            log.warning("whether the attempt has begun is not on record: %s", exc, extra={"event": "record.disk"})


def _forget(rundirs: Sequence[Path]) -> None:
    for rundir in rundirs:
        try:
            files.forget(rundir)
        except OSError as exc:
            log.warning("what a job would begin with stays: %s", exc, extra={"event": "record.disk"})
