"""
Jobs as processes of this machine: a supervisor per job, its identity and the completion record in RUNDIR.

All facts about a job are on disk and in the process table, so a new daemon knows as much as the old one.
The local id is the pid of the supervisor, as with ARC's own fork backend. A real A-REX can continue jobs of arex, and
arex those of A-REX, which have no tag.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import platform
import signal
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self, TypeVar

from arex import process
from arex.clock import Clock, SystemClock
from arex.config.model import Configuration
from arex.errors import BatchUnavailable, SubmitRejected
from arex.model.grami import Grami
from arex.model.ids import JobId, LocalId, Tag
from arex.model.report import Phase, Report
from arex.ports import Backend, Capacity, LocalJob, Submission, Submitted
from lrms import processes
from lrms.attempt import traces
from lrms.attempt.record import UnreadableRecord
from lrms.environment import outside
from lrms.fork import foreign, signals
from lrms.fork.enforcement import Enforcer
from lrms.fork.launcher import Launcher
from lrms.fork.order import Order
from lrms.fork.status import EXHAUSTED, ForkStatus, owner_of
from lrms.fork.supervisors import Supervisors, pid_of
from lrms.fork.watcher import Watcher
from lrms.jobscript.layout import lay_out, lay_out_all
from lrms.jobscript.runtimes import Prepared, Runtimes, RuntimeSettings
from lrms.jobscript.scratch import scratch_of
from lrms.jobscript.settings import ScriptMode, ScriptSettings
from lrms.processes import ProcessIdentity

log = logging.getLogger(__name__)

_T = TypeVar("_T")

#: Variables of the daemon's environment that jobs get; the rest, such as credentials of the service, is not for them.
_PASSED_ON: Final = ("PATH", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_ALL", "TZ", "TMPDIR")
#: Seconds between checks of processes that got TERM.
_GRACE_STEP_S: Final = 0.2
#: The longest wait for a record: there is no network between the supervisor and the service.
_RECORD_WAIT_S: Final = 15.0


def _environment() -> dict[str, str]:
    return {name: value for name, value in outside().items() if name in _PASSED_ON}


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
        self._enforcer = Enforcer(clock or SystemClock(), settings.grace_s)
        self._reader = ForkStatus(self._enforcer, clock or SystemClock(), settings.record_wait_s)
        self._watcher = Watcher()
        self._runtimes = Runtimes(settings.runtimes)
        self._launcher = Launcher(settings.environment, self._note_end, self._watcher.adopt)

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
        self._boot = self._reader.boot = await _in_thread(processes.boot_id)
        if self._script.system is None:
            self._script = replace(self._script, system=await _in_thread(_system))
        if not self._script.nodes:
            self._script = replace(self._script, nodes=await _nodes(self._script.nodes_command))
        self._reader.nodes = self._script.nodes
        await self._launcher.start()

    async def close(self) -> None:
        self._watcher.close()
        await self._launcher.close()

    def capacity(self) -> Capacity:
        return Capacity(slots=self._slots, outlives_host=False)

    def figures(self) -> Mapping[str, int]:
        return {}  # there is no command to count

    async def submit(self, batch: Sequence[Submission]) -> Mapping[Tag, Submitted]:
        await self._launcher.start()  # before anything is written: without a forkserver there is no attempt
        with _exhaustion():
            ready, refused = await self._runtimes.prepare(batch)
        laid_out, rejected = await _in_thread(lambda: lay_out_all(ready, self._lay_out))
        pids = await self._launcher.launch([self._order(each) for each in laid_out])
        return {**refused, **rejected, **{Tag(tag): LocalId(str(pid)) for tag, pid in pids.items()}}

    def _lay_out(self, submission: Prepared) -> None:
        directory = submission.grami.directory
        if directory.is_dir() and not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
            if os.statvfs(directory).f_flag & os.ST_RDONLY:  # which is not the fault of the job, and may pass
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(directory))
            raise SubmitRejected(f"The session directory {directory} can't be used by its own owner.")
        lay_out(submission, self._script)
        self._reader.know(submission.rundir)

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
        owners = await _in_thread(lambda: _owners(batch, self._boot))
        return {tag: LocalId(str(owner)) for tag, owner in owners.items()}

    async def tagged(self) -> Mapping[LocalId, JobId]:
        return {}  # a supervisor without its run directory has no work to do, and ends

    async def recorded(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        del jobs  # ``status`` is as cheap: it runs no other program
        return {}

    async def status(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        children = self._launcher.children
        reports = await _in_thread(lambda: self._reader.look(jobs, children))
        running = (pid_of(each) for each, report in reports.items() if report.phase is Phase.RUNNING)
        self._watcher.adopt({pid for pid in running if pid is not None} - self._launcher.children)
        return reports

    async def cancel(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        """Cancel jobs. Those that ARC's own backend has started can take ``grace_s``; supervisors end the others."""
        refusals: dict[LocalId, str] = {}
        trees = await _in_thread(lambda: self._terminate_all(jobs, refusals))
        if trees:
            await self._kill_the_stubborn(trees)
        return refusals

    def _terminate_all(self, jobs: Collection[LocalJob], refusals: dict[LocalId, str]) -> list[ProcessIdentity]:
        """Send TERM to each job; return the processes of jobs without a supervisor that would end the rest."""
        trees: list[ProcessIdentity] = []
        traces.ask_cancel(jobs)
        supervisors = Supervisors(self._boot)
        for job in jobs:
            try:
                if job.tag is not None:
                    self._enforcer.end(job, supervisors.of(job))
                    continue
                tree = foreign.tree_of(job, self._boot)
                trees += tree
                for each in tree:
                    signals.send(each, signal.SIGTERM)
            except PermissionError as exc:
                refusals[job.localid] = f"process {job.localid} is not ours: {exc.strerror}"
        return trees

    async def _kill_the_stubborn(self, trees: Sequence[ProcessIdentity]) -> None:
        """Wait until all have ended, at most ``grace_s``; then kill the rest."""
        for _ in range(int(self._settings.grace_s / _GRACE_STEP_S)):
            if not await _in_thread(lambda: signals.alive(trees)):
                return
            await asyncio.sleep(_GRACE_STEP_S)
        await _in_thread(lambda: signals.kill(trees))

    async def hold(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        return dict.fromkeys((job.localid for job in jobs), "the job already runs, and cannot be held")

    async def release(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        del jobs  # none can be held
        return {}

    async def watch(self, ended: Callable[[LocalId], None]) -> None:
        await self._watcher.run(ended)

    def _note_end(self, pid: int, well: bool) -> None:
        if well:
            self._reader.ended_well.add(pid)
        self._watcher.note_end(pid)


async def _in_thread(step: Callable[[], _T]) -> _T:
    """Run blocking work; raises as ``_exhaustion``."""
    with _exhaustion():
        return await asyncio.to_thread(step)


@contextmanager
def _exhaustion() -> Iterator[None]:
    """
    Translate trouble of the whole machine.

    Raises:
        BatchUnavailable: it has no thread, descriptor or memory now.
    """
    try:
        yield
    except OSError as exc:
        if exc.errno in EXHAUSTED:
            raise BatchUnavailable(f"this machine is exhausted: {exc.strerror}") from exc
        raise
    except RuntimeError as exc:
        if "new thread" in str(exc):
            raise BatchUnavailable(f"this machine is exhausted: {exc}") from exc
        raise


def _nice(grami: Grami) -> int:
    """The niceness of a job. Source: ARC 6.17, except that jobs of root keep that of the service."""
    return 0 if os.geteuid() == 0 else max(0, 20 - grami.priority // 5)


def _owners(batch: Sequence[Submission], boot: str) -> dict[Tag, int]:
    """
    The pids of the supervisors that have these attempts; an attempt that none has is missing.

    0: one had it, and its pid is lost; ``status`` finds out more.
    """
    supervisors = Supervisors(boot)
    found: dict[Tag, int] = {}
    for each in batch:
        owner: int | None = None
        try:
            owner = _owner(each.rundir)
        except UnreadableRecord as exc:
            log.warning("%s", exc, extra={"event": "record.unreadable", "job": each.job})
            owner = 0
        except OSError as exc:
            if exc.errno in EXHAUSTED:
                raise
            # it may be submitted again: a supervisor does not start what another one has taken
            log.warning("%s", exc, extra={"event": "record.unreadable", "job": each.job})
        if (living := supervisors.of_tag(each.tag)) is not None:
            owner = living.identity.pid  # whatever its job has written into the file
        if owner is not None:
            found[each.tag] = owner
    return found


def _owner(rundir: Path) -> int | None:
    """The pid in a run directory; 0: there is none, and a record. None: the attempt has not been taken."""
    owner = owner_of(rundir)
    if owner is not None:
        return owner.pid
    return 0 if os.path.lexists(rundir / "done") else None


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
