"""
Batch systems that ARC's own scripts control: ``submit-X-job``, ``cancel-X-job``, ``scan-X-job`` of a site.

The scripts keep the state: the submit script appends the local id to ``.grami`` as ``joboption_jobid``, the scan script
writes ``lrms_done`` when a job has ended. This backend starts them, within ARC's limits, and reads these two files.
Source: ``docs/developers/control-directory.md``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, Self

from arex.aio import cancel_and_wait
from arex.clock import Clock, SystemClock
from arex.config.model import Configuration
from arex.controldir import atomic
from arex.errors import BatchUnavailable, CorruptFile, SubmitRejected
from arex.jobdesc.control.grami import parse_grami
from arex.model.ids import JobId, LocalId, Tag
from arex.model.report import Phase, Report
from arex.ports import Backend, Capacity, LocalJob, NotSubmitted, Submission, Submitted
from arex.process import kill_session
from lrms import processes
from lrms.arcscripts import run
from lrms.arcscripts.scan import Scanner
from lrms.arcscripts.site import ArcScripts, end_report, spelled

log = logging.getLogger(__name__)

#: Names the attempt in the environment of its submit script, and of all processes that the script starts.
MARK: Final = "AREX_ATTEMPT"


class ArcScriptsBackend:
    """The port, over three scripts; see ``arex.ports.Backend``."""

    def __init__(self, scripts: ArcScripts, clock: Clock | None = None) -> None:
        self.name = scripts.name
        self._scripts = scripts
        self._clock = clock or SystemClock()
        self._room = asyncio.Semaphore(scripts.at_once)
        self._submissions: set[asyncio.Task[LocalId | SubmitRejected | NotSubmitted | None]] = set()
        self._inside: dict[LocalId, JobId] = {}  #: not known to have ended
        self._counts: Counter[str] = Counter()

    @classmethod
    def from_config(cls, config: Configuration) -> Self:
        """See ``ArcScripts.from_config``."""
        return cls(ArcScripts.from_config(config))

    async def start(self) -> None:
        """
        Look for the scripts.

        Raises:
            ConfigError: they are not there.
        """
        self.name = await asyncio.to_thread(spelled, self._scripts.directory, self._scripts.name)
        self._scripts = replace(self._scripts, name=self.name)
        await asyncio.to_thread(atomic.put, str(self._scripts.cfg_path), self._scripts.cfg.encode())

    async def close(self) -> None:
        """Wait for submissions in progress, with a time limit; a script that takes longer continues without us."""
        try:
            if self._submissions:
                await asyncio.wait(self._submissions, timeout=self._scripts.patience_s)
        finally:
            await cancel_and_wait(*self._submissions)

    def capacity(self) -> Capacity:
        return Capacity()

    def figures(self) -> Mapping[str, int]:
        return dict(self._counts)

    # --- submitting ---

    async def submit(self, batch: Sequence[Submission]) -> Mapping[Tag, Submitted]:
        tasks = {each.tag: asyncio.create_task(self._submit(each), name=f"submit {each.job}") for each in batch}
        self._submissions |= set(tasks.values())
        for task in tasks.values():
            task.add_done_callback(self._submissions.discard)
        # a script must not be ended with our request: it may have submitted the job already
        answers = await asyncio.shield(asyncio.gather(*tasks.values()))
        return {tag: answer for tag, answer in zip(tasks, answers, strict=True) if answer is not None}

    async def _submit(self, submission: Submission) -> LocalId | SubmitRejected | NotSubmitted | None:
        """None: uncertain; ``find`` looks it up."""
        try:
            known = await asyncio.to_thread(self._localid, submission.job)
            if known is not None:
                return known
            code = await self._run("submit", submission.job, {MARK: submission.tag})
            localid = await asyncio.to_thread(self._localid, submission.job)
        except run.NotRun as exc:
            return NotSubmitted(str(exc))
        except (BatchUnavailable, OSError) as exc:
            log.warning("%s", exc, extra={"event": "submit.unsure", "job": submission.job})
            return None
        except Exception:
            log.exception("internal error in a submission", extra={"event": "job.bug", "job": submission.job})
            return None
        if code > 0:
            return SubmitRejected(f"submit-{self.name}-job ended with exit code {code}; its output is in the job's log")
        if localid is None and code == 0:
            return SubmitRejected("Failed extracting LRMS ID")
        return localid

    async def find(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId]:
        """
        The local ids in ``.grami``.

        Raises:
            BatchUnavailable: the script of an earlier attempt, or a process that it has started, is still running.
        """
        until = self._clock.monotonic() + self._scripts.patience_s
        while True:
            # in this order: the id is the last that a script writes
            busy = await asyncio.to_thread(_at_work, batch)
            found = await asyncio.to_thread(self._localids, batch)
            busy -= found.keys()
            if not busy:
                return found
            if self._clock.monotonic() >= until:
                raise BatchUnavailable(f"submit-{self.name}-job is still running for {', '.join(sorted(busy))}")
            await self._clock.sleep(self._scripts.look_s)

    def _localids(self, batch: Sequence[Submission]) -> dict[Tag, LocalId]:
        looked = {each.tag: self._localid(each.job) for each in batch}
        return {tag: localid for tag, localid in looked.items() if localid is not None}

    def _localid(self, job: JobId) -> LocalId | None:
        """
        Raises:
            BatchUnavailable: the file cannot be read.
        """
        path = self._scripts.grami(job)
        try:
            data = atomic.read(str(path))
            return None if data is None else parse_grami(data, path).localid
        except (OSError, CorruptFile) as exc:
            raise BatchUnavailable(f"cannot tell whether the batch system accepted job {job}: {exc}") from exc

    # --- asking ---

    async def tagged(self) -> Mapping[LocalId, JobId]:
        """Empty: no script lists the jobs of the batch system."""
        return {}

    async def recorded(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        """The ends of jobs that a scan has found."""
        reports = await self.status(jobs)
        return {localid: report for localid, report in reports.items() if report.phase is Phase.ENDED}

    async def status(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        """
        A job is present until a scan finds its end; no script tells its phase before.

        So every job has a report, and only the scan script decides that a job is lost.
        """
        done = await asyncio.to_thread(self._done, [job.job for job in jobs])
        self._inside.update({job.localid: job.job for job in jobs if job.job not in done})
        return {job.localid: done.get(job.job, Report(phase=Phase.OTHER)) for job in jobs}

    def _done(self, jobs: Collection[JobId]) -> dict[JobId, Report]:
        reports: dict[JobId, Report] = {}
        for job in jobs:
            try:
                data = atomic.read(self._scripts.layout.job_file(job, "lrms_done"))
            except (OSError, CorruptFile) as exc:
                log.warning("cannot read how job %s ended: %s", job, exc, extra={"event": "record.unreadable"})
                continue
            if data:  # a shell creates the file first and fills it then
                reports[job] = end_report(data)
        return reports

    # --- acting ---

    async def cancel(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        whys = await asyncio.gather(*(self._cancel(job) for job in jobs), return_exceptions=True)
        refused: dict[LocalId, str] = {}
        for job, why in zip(jobs, whys, strict=True):
            if isinstance(why, Exception):
                facts = {"event": "job.bug", "job": job.job}
                log.error("internal error in cancelling a job", exc_info=why, extra=facts)
                refused[job.localid] = f"internal error: {why!r}"
            elif isinstance(why, BaseException):
                raise why
            elif why:
                refused[job.localid] = why
        return refused

    async def _cancel(self, job: LocalJob) -> str:
        try:
            code = await self._run("cancel", job.job, {})
        except (BatchUnavailable, OSError) as exc:
            return str(exc)
        return f"cancel-{self.name}-job ended with exit code {code}" if code else ""

    async def hold(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        """ARC has no script for it."""
        return {job.localid: f"the scripts of {self.name} can't hold a job" for job in jobs}

    async def release(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        """ARC has no script for it."""
        return {job.localid: f"the scripts of {self.name} can't release a job" for job in jobs}

    async def _run(self, verb: str, job: JobId, marks: Mapping[str, str]) -> int:
        """
        The exit code of a script about one job; its output goes to the job's log.

        Raises:
            NotRun: it does not start.
            BatchUnavailable: it had to be killed.
        """
        scripts = self._scripts
        argv = (str(scripts.script(verb)), "--config", str(scripts.cfg_path), str(scripts.grami(job)))
        async with self._room:
            self._counts[verb] += 1
            try:
                errors = await asyncio.to_thread(run.open_log, scripts.layout.job_file(job, "errors"), os.O_APPEND)
            except OSError as exc:
                raise run.NotRun(f"{argv[0]} was not started: {exc}") from exc
            try:
                process = await run.start(argv, errors, {**scripts.environment(job), **marks})
            finally:
                os.close(errors)
            return await self._wait(process, argv[0], job)

    async def _wait(self, process: asyncio.subprocess.Process, name: str, job: JobId) -> int:
        waited = 0.0
        try:
            for until in (self._scripts.suspicious_s, self._scripts.fatal_s):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(until - waited):
                        return await process.wait()
                waited = until
                log.warning("%s is still running after %g s", name, waited, extra={"event": "script.slow", "job": job})
        except asyncio.CancelledError:
            run.let_go(process)
            raise
        await kill_session(process)
        raise BatchUnavailable(f"{name} was killed after {self._scripts.fatal_s:g} s")

    # --- ends ---

    async def watch(self, ended: Callable[[LocalId], None]) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(Scanner(self._scripts, self._clock, self._counts).run(), name=f"{self.name}: scan")
            tasks.create_task(self._looking(ended), name=f"{self.name}: look")

    async def _looking(self, ended: Callable[[LocalId], None]) -> None:
        """Look for new ends every second: a scan script writes what it finds and then sleeps."""
        while True:
            await self._clock.sleep(self._scripts.look_s)
            for localid in await asyncio.to_thread(self._left, dict(self._inside)):
                self._inside.pop(localid, None)
                ended(localid)

    def _left(self, inside: Mapping[LocalId, JobId]) -> list[LocalId]:
        """Jobs that have ended, and those whose files are gone: no one asks about these again."""
        job_file = self._scripts.layout.job_file
        return [
            localid
            for localid, job in inside.items()
            if _size(job_file(job, "lrms_done")) or _size(job_file(job, "grami")) is None
        ]


def _size(path: str) -> int | None:
    try:
        return os.lstat(path).st_size
    except OSError:
        return None


def _at_work(batch: Sequence[Submission]) -> set[Tag]:
    """Attempts of which a process runs on this host: the script itself, or one that it has started."""
    marks = {each.tag: f"{MARK}={each.tag}".encode() for each in batch}
    if not processes.having_environment(*marks.values()):
        return set()
    return {tag for tag, mark in marks.items() if processes.having_environment(mark)}


_: type[Backend] = ArcScriptsBackend
