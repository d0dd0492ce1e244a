"""
Transport of files by HTCondor itself, if nodes do not see the session directories.

A submission is claimed before the submit command, so that no earlier one of the same attempt can start. An end is
reported when the files of the job are in their place. ``lrms.htcondor.files`` describes what is sent and received.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from pathlib import Path

from arex.clock import Clock
from arex.model.ids import LocalId, Tag
from arex.ports import LocalJob, NotSubmitted, Submission
from lrms.command.dialect import Work
from lrms.command.transport import Claimed, FileTransport
from lrms.htcondor import files
from lrms.htcondor.collect import OutputCollector
from lrms.htcondor.eventlog import EventSummary
from lrms.htcondor.files import Claim, Link
from lrms.jobscript.settings import ScriptMode

log = logging.getLogger(__name__)


class FileTransfer:
    """See ``lrms.command.transport.FileTransport``."""

    mode = ScriptMode.SANDBOX

    def __init__(self, clock: Clock, caches: tuple[Link, ...] = ()) -> None:
        self._caches = caches
        self._collector = OutputCollector(clock)
        self._locks: weakref.WeakValueDictionary[Tag, asyncio.Lock] = weakref.WeakValueDictionary()

    async def start(self) -> None:
        """Nothing to prepare."""

    async def close(self) -> None:
        await self._collector.close()

    def lay_out(self, submission: Submission) -> None:
        files.lay_out(submission.rundir, submission.grami.directory, self._caches)

    @contextlib.asynccontextmanager
    async def exclusive(self, tags: Collection[Tag]) -> AsyncIterator[None]:
        """One submission of an attempt at a time: each claims the files of the one before."""
        async with contextlib.AsyncExitStack() as stack:
            for tag in sorted(tags):
                await stack.enter_async_context(self._locks.setdefault(tag, asyncio.Lock()))
            yield

    async def claim(self, work: Work) -> Claimed:
        claims, failed = await asyncio.to_thread(_claim, work.submissions)
        taken = {tag: each.taken for tag, each in claims.items() if each.taken is not None}
        fresh = tuple(each for each in work.submissions if each.tag in claims and each.tag not in taken)
        if not fresh:
            return Claimed(work=None, taken=taken, failed=failed)
        first = fresh[0]
        load = Work(
            submissions=fresh,
            script=first.rundir / "script",
            output=str(first.comment),
            tag=first.tag,
            keys=tuple(claims[each.tag].key for each in fresh),
        )
        return Claimed(work=load, taken=taken, failed=failed)

    async def taken(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId]:
        """Attempts that have started are in HTCondor's log, also when they have left the queue."""
        summaries = await asyncio.to_thread(lambda: {each.tag: _summary(each.rundir) for each in batch})
        return {tag: each.taken for tag, each in summaries.items() if each.taken is not None}

    def note(self, attempt: Submission | LocalJob, localid: LocalId) -> None:
        if attempt.rundir is not None:
            self._collector.note(attempt.rundir, localid)

    async def arriving(self, jobs: Collection[LocalJob]) -> frozenset[LocalId]:
        return await self._collector.take_in(jobs)

    async def note_starts(self, jobs: Collection[LocalJob]) -> None:
        """Write the start markers, from HTCondor's log."""
        await asyncio.to_thread(_note_starts, [job.rundir for job in jobs if job.rundir is not None])

    async def settle(self, over: Collection[LocalJob]) -> None:
        """Remove the files with which a queued copy would start."""
        await asyncio.to_thread(_forget, [job.rundir for job in over if job.rundir is not None])
        for job in over:
            self.forget(job)

    def forget(self, job: LocalJob) -> None:
        if job.rundir is not None:
            self._collector.forget(job.rundir)

    async def watch(self, ended: Callable[[LocalId], None]) -> None:
        await self._collector.listen(ended)


def _claim(submissions: Sequence[Submission]) -> tuple[dict[Tag, Claim], dict[Tag, NotSubmitted]]:
    """The claims, and the attempts that cannot be claimed now."""
    claims: dict[Tag, Claim] = {}
    failed: dict[Tag, NotSubmitted] = {}
    for each in submissions:
        try:
            claims[each.tag] = files.claim(each.rundir)
        except OSError as exc:
            failed[each.tag] = NotSubmitted(f"the files of the job cannot be prepared: {exc}")
    return claims, failed


def _summary(rundir: Path) -> EventSummary:
    try:
        return files.summary_of(rundir)
    except OSError as exc:  # the queue is checked as well
        log.warning("cannot read HTCondor's log: %s", exc, extra={"event": "record.disk"})
        return EventSummary()


def _note_starts(rundirs: Sequence[Path]) -> None:
    for rundir in rundirs:
        try:
            files.note_start(rundir)
        except OSError as exc:
            log.warning("cannot record whether the attempt has started: %s", exc, extra={"event": "record.disk"})


def _forget(rundirs: Sequence[Path]) -> None:
    for rundir in rundirs:
        try:
            files.forget(rundir)
        except OSError as exc:
            log.warning("cannot remove the input of an ended job: %s", exc, extra={"event": "record.disk"})


_: type[FileTransport] = FileTransfer
