"""
Jobs as processes of this machine: a supervisor per job, its identity and the completion record in RUNDIR.

All facts about a job are on disk and in the process table, so a new daemon knows as much as the old one.
The local id is the pid of the supervisor, as with ARC's own fork backend. A real A-REX can continue jobs of arex, and
arex those of A-REX, which have no tag.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import signal
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self

from arex import process
from arex.clock import Clock, SystemClock
from arex.config.model import Configuration
from arex.errors import BatchUnavailable, SubmitLimited, SubmitRejected
from arex.model.grami import Grami
from arex.model.ids import JobId, LocalId, Tag
from arex.model.report import EndCause, Phase, Report
from arex.ports import Backend, Capacity, LocalJob, Submission
from lrms import processes
from lrms.attempt import traces
from lrms.attempt.missing import MissingSince
from lrms.attempt.record import Done, UnreadableRecord, ended, lost, read_done, read_file
from lrms.command.verdict import missing
from lrms.fork import foreign, signals
from lrms.fork.launcher import Launcher
from lrms.fork.supervisor import TAG_VARIABLE, Order, parse_identity
from lrms.jobscript.layout import lay_out, lay_out_all
from lrms.jobscript.runtimes import Prepared, Runtimes, RuntimeSettings
from lrms.jobscript.scratch import scratch_of
from lrms.jobscript.settings import ScriptMode, ScriptSettings
from lrms.processes import ProcessIdentity

log = logging.getLogger(__name__)

#: Variables of the daemon's environment that jobs get; the rest, such as credentials of the service, is not for them.
_PASSED_ON: Final = ("PATH", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_ALL", "TZ", "TMPDIR")
#: Seconds between checks of inherited supervisors on kernels without pidfds (before 5.3).
_POLL_S: Final = 1.0
#: Seconds between checks of processes that got TERM.
_GRACE_STEP_S: Final = 0.2
#: The longest wait for a record: there is no network between the supervisor and the service.
_RECORD_WAIT_S: Final = 15.0
_DEFAULT_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_RESTARTED: Final = Report(
    phase=Phase.ENDED, cause=EndCause.NODE_FAILURE, message="Node fail: this host was restarted while the job ran"
)


def _environment() -> dict[str, str]:
    return {"PATH": _DEFAULT_PATH} | {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkSettings:
    slots: int = 0  #: limit on running jobs; 0: one for each core
    #: between TERM and KILL; less than the 5 s after which ARC's cancel-fork-job kills the supervisor itself
    grace_s: float = 4.0
    record_wait_s: float = 120.0  #: how long a job may be missing before it is lost
    script: ScriptSettings = field(default_factory=ScriptSettings)
    environment: Mapping[str, str] = field(default_factory=_environment)
    runtimes: RuntimeSettings = field(default_factory=RuntimeSettings)


class ForkBackend:
    """The port, over a forkserver; see ``arex.ports.Backend``."""

    name = "fork"

    def __init__(self, settings: ForkSettings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._slots = settings.slots or len(os.sched_getaffinity(0))
        self._script = replace(settings.script, mode=ScriptMode.SUPERVISED)
        self._boot = ""
        self._events: asyncio.Queue[LocalId | None] = asyncio.Queue()  #: None: check ``_polled``
        self._watched: dict[int, int] = {}  #: pid to pidfd, of supervisors that an earlier forkserver has started
        self._polled: set[int] = set()  #: the same, on a kernel without pidfds
        self._missing = MissingSince(clock or SystemClock())
        self._runtimes = Runtimes(settings.runtimes)
        self._launcher = Launcher(settings.environment, self._note_end, self._adopt)

    @classmethod
    def from_config(cls, config: Configuration) -> Self:
        """
        Raises:
            ConfigError: see ``lrms.jobscript.scratch.scratch_of``.
        """
        script = ScriptSettings(benchmark=config.lrms.benchmark.replace(" ", ":"), scratch=scratch_of(config))
        if config.lrms.nodename:
            script = replace(script, nodes_command=config.lrms.nodename)
        return cls(
            ForkSettings(
                slots=config.service.fork_slots,
                record_wait_s=min(_RECORD_WAIT_S, config.service.record_wait.total_seconds()),
                script=script,
                runtimes=RuntimeSettings.of(config),
            )
        )

    async def start(self) -> None:
        self._boot = await asyncio.to_thread(processes.boot_id)
        if self._script.system is None:
            self._script = replace(self._script, system=await asyncio.to_thread(_system))
        if not self._script.nodes:
            self._script = replace(self._script, nodes=await _nodes(self._script.nodes_command))
        await self._launcher.start()

    async def close(self) -> None:
        for pid in tuple(self._watched):
            self._unwatch(pid)
        await self._launcher.close()

    def capacity(self) -> Capacity:
        return Capacity(slots=self._slots, outlives_host=False)

    def figures(self) -> Mapping[str, int]:
        return {}  # there is no command to count

    async def submit(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId | SubmitRejected | SubmitLimited]:
        await self._launcher.start()  # before anything is written: without a forkserver there is no attempt
        ready, refused = await self._runtimes.prepare(batch)
        laid_out, rejected = await asyncio.to_thread(lay_out_all, ready, self._lay_out)
        pids = await self._launcher.launch([self._order(each) for each in laid_out])
        return {**refused, **rejected, **{Tag(tag): LocalId(str(pid)) for tag, pid in pids.items()}}

    def _lay_out(self, submission: Prepared) -> None:
        directory = submission.grami.directory
        if directory.is_dir() and not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
            raise SubmitRejected(f"The session directory {directory} can't be used by its own owner.")
        lay_out(submission, self._script)

    def _order(self, submission: Submission) -> Order:
        grami = submission.grami
        memory_mb = None if grami.memory_mb is None else grami.memory_mb * grami.count
        return Order(
            number=0,
            tag=submission.tag,
            rundir=str(submission.rundir),
            session=str(grami.directory),
            diag=str(submission.diag),
            comment=str(submission.comment),
            node=self._script.nodes[0],
            nice=_nice(grami),
            grace_s=self._settings.grace_s,
            wall_s=grami.walltime_s,
            cpu_s=grami.cputime_s,
            memory_kb=None if memory_mb is None else memory_mb * 1024,
        )

    async def find(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId]:
        owners = await asyncio.to_thread(lambda: {each.tag: _taker(each.rundir) for each in batch})
        return {tag: LocalId(str(owner)) for tag, owner in owners.items() if owner is not None}

    async def tagged(self) -> Mapping[LocalId, JobId]:
        return {}  # a supervisor without its run directory has no work to do, and ends

    async def recorded(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        del jobs  # ``status`` is as cheap: it runs no other program
        return {}

    async def status(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        reports = await asyncio.to_thread(self._look, jobs)
        running = (each for each, report in reports.items() if report.phase is Phase.RUNNING)
        self._adopt({int(each) for each in running} - self._launcher.children)
        return reports

    def _look(self, jobs: Collection[LocalJob]) -> dict[LocalId, Report]:
        reports: dict[LocalId, Report] = {}
        leftovers: list[bytes] = []
        for job in jobs:
            report = self._look_at(job)
            if report is None:
                report = missing(self._missing.seconds(job.localid), self._settings.record_wait_s)
            if report is None:
                continue
            self._missing.forget(job.localid)
            reports[job.localid] = report
            if report.cause is EndCause.LOST:
                leftovers.append(_mark(job))
        if leftovers:
            signals.sweep(leftovers)
        return reports

    def _look_at(self, job: LocalJob) -> Report | None:
        try:
            return self._look_at_ours(job) if job.rundir is not None else foreign.report_of(job)
        except OSError as exc:
            # a directory that cannot be read must not hide the other jobs
            log.warning("cannot read the state of job %s now: %s", job.job, exc, extra={"event": "record.unreadable"})
            return Report(phase=Phase.OTHER)

    def _look_at_ours(self, job: LocalJob) -> Report | None:
        assert job.rundir is not None
        try:
            if (done := read_done(job.rundir / "done")) is not None:
                return _ended(job.rundir, done)
            if (owner := _owner(job.rundir)) is None:
                return None
            if owner.boot == self._boot and processes.identify(owner.pid, self._boot) == owner:
                return Report(phase=Phase.RUNNING, nodes=self._script.nodes)
            # the record is written just before the end, so it may have appeared meanwhile
            if (done := read_done(job.rundir / "done")) is not None:
                return _ended(job.rundir, done)
            return lost() if owner.boot == self._boot else _RESTARTED
        except UnreadableRecord as exc:
            log.warning("%s", exc, extra={"event": "record.unreadable"})
            return lost()

    async def cancel(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        """Cancel jobs. Those that ARC's own backend has started can take ``grace_s``; supervisors end the others."""
        refusals: dict[LocalId, str] = {}
        trees = await asyncio.to_thread(self._terminate_all, jobs, refusals)
        if trees:
            await self._kill_the_stubborn(trees)
        return refusals

    def _terminate_all(self, jobs: Collection[LocalJob], refusals: dict[LocalId, str]) -> list[ProcessIdentity]:
        """Send TERM to each job; return the processes of jobs without a supervisor that would end the rest."""
        trees: list[ProcessIdentity] = []
        traces.ask_cancel(jobs)
        for job in jobs:
            try:
                if job.rundir is None:
                    tree = foreign.tree_of(job, self._boot)
                    trees += tree
                else:
                    owner = _owner(job.rundir)
                    tree = [owner] if owner is not None and owner.boot == self._boot else []
                for each in tree:
                    signals.send(each, signal.SIGTERM)
            except PermissionError as exc:
                refusals[job.localid] = f"process {job.localid} is not ours: {exc.strerror}"
            except UnreadableRecord as exc:
                log.warning("%s", exc, extra={"event": "record.unreadable"})  # status reports it as lost
        return trees

    async def _kill_the_stubborn(self, trees: Sequence[ProcessIdentity]) -> None:
        """Wait until all have ended, at most ``grace_s``; then kill the rest."""
        for _ in range(int(self._settings.grace_s / _GRACE_STEP_S)):
            if not await asyncio.to_thread(signals.alive, trees):
                return
            await asyncio.sleep(_GRACE_STEP_S)
        await asyncio.to_thread(signals.kill, trees)

    async def hold(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        return dict.fromkeys((job.localid for job in jobs), "the job already runs, and cannot be held")

    async def release(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        del jobs  # none can be held
        return {}

    async def watch(self, ended: Callable[[LocalId], None]) -> None:
        while True:
            try:
                async with asyncio.timeout(_POLL_S if self._polled else None):
                    localid = await self._events.get()
            except TimeoutError:
                await self._poll()
                continue
            if localid is not None:
                ended(localid)

    async def _poll(self) -> None:
        gone = await asyncio.to_thread(lambda: {pid for pid in self._polled if not processes.identify(pid, self._boot)})
        self._polled -= gone
        for pid in gone:
            self._note_end(pid)

    def _note_end(self, pid: int) -> None:
        self._events.put_nowait(LocalId(str(pid)))

    def _adopt(self, pids: Iterable[int]) -> None:
        """Watch supervisors that this process has not started, until they end."""
        for pid in pids:
            if pid in self._watched or pid in self._polled:
                continue
            try:
                fd = signals.pidfd(pid)
            except ProcessLookupError:
                self._note_end(pid)
                continue
            if fd is None:
                self._polled.add(pid)
                self._events.put_nowait(None)
                continue
            self._watched[pid] = fd
            asyncio.get_running_loop().add_reader(fd, self._end_of_adopted, pid)

    def _end_of_adopted(self, pid: int) -> None:
        self._unwatch(pid)
        self._note_end(pid)

    def _unwatch(self, pid: int) -> None:
        fd = self._watched.pop(pid)
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)


def _ended(rundir: Path, done: Done) -> Report:
    """The report of a record. A supervisor does not know who sent TERM; requests of arex are recorded on disk."""
    report = ended(done)
    if done.cause is EndCause.CANCELLED and not traces.traces(rundir).cancel_asked:
        return replace(report, cause=EndCause.CANCELLED_BY_ADMIN)
    return report


def _nice(grami: Grami) -> int:
    """The niceness of a job. Source: ARC 6.17, except that jobs of root keep that of the service."""
    return 0 if os.geteuid() == 0 else max(0, 20 - grami.priority // 5)


def _owner(rundir: Path) -> ProcessIdentity | None:
    data = read_file(rundir / "pid")
    if data is None:
        return None
    try:
        return parse_identity(data.decode())
    except (KeyError, ValueError) as exc:
        raise UnreadableRecord(rundir / "pid", f"invalid process identity: {exc}") from exc


def _taker(rundir: Path) -> int | None:
    """The pid of the supervisor that has the attempt; 0 if its identity cannot be parsed: ``status`` calls it lost."""
    try:
        owner = _owner(rundir)
    except UnreadableRecord as exc:
        log.warning("%s", exc, extra={"event": "record.unreadable"})
        return 0
    return None if owner is None else owner.pid


def _mark(job: LocalJob) -> bytes:
    """The variable that every process of a job has in its environment; a later attempt has another tag."""
    return f"{TAG_VARIABLE}={job.tag}".encode() if job.tag else f"GRID_GLOBAL_JOBID={job.job}".encode()


def _system() -> str:
    """PRETTY_NAME of os-release; "Linux" where there is none."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return os.uname().sysname


async def _nodes(command: str) -> tuple[str, ...]:
    """The names of this node, from the configured command."""
    try:
        done = await process.run(("/bin/sh", "-c", command), timeout=10)
    except BatchUnavailable:
        return (os.uname().nodename,)
    return tuple(done.out.split()) or (os.uname().nodename,)


_: type[Backend] = ForkBackend
