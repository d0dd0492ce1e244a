"""
The state of jobs, from the process table and the run directories.

As long as its supervisor lives, a job has not ended, whatever the files say. A job without one has ended, and
the record says how. Before a job without a record is given up, what is left of its processes is killed.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from arex.clock import Clock
from arex.model.ids import LocalId
from arex.model.report import EndCause, Phase, Report
from arex.ports import LocalJob
from lrms import processes
from lrms.attempt import traces
from lrms.attempt.missing import MissingSince
from lrms.attempt.record import Done, UnreadableRecord, ended, lost, read_done, read_file
from lrms.command.verdict import missing
from lrms.fork import foreign, rundir, signals
from lrms.fork.enforcement import Enforcer
from lrms.fork.supervisor import TAG_VARIABLE, parse_identity
from lrms.fork.supervisors import Supervisor, Supervisors, pid_of, tree_of
from lrms.processes import ProcessIdentity

log = logging.getLogger(__name__)

_T = TypeVar("_T")

#: Trouble of the whole machine, not of one job.
EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})
_RESTARTED: Final = Report(
    phase=Phase.ENDED, cause=EndCause.NODE_FAILURE, message="Node fail: this host was restarted while the job ran"
)


class ForkStatus:
    """
    Answers ``status``; its methods block.

    Args:
        enforcer: what is known about cancelled and other unusual jobs.
        record_wait_s: how long a record may be missing, or a run directory damaged, before the job is given up.
    """

    def __init__(self, enforcer: Enforcer, clock: Clock, record_wait_s: float) -> None:
        self.nodes: tuple[str, ...] = ()  #: the names of this machine
        self.boot = ""  #: the id of its boot
        self.ended_well: set[int] = set()  #: supervisors whose processes have all ended, as a forkserver has seen
        self._enforcer = enforcer
        self._record_wait_s = record_wait_s
        self._missing = MissingSince(clock)
        self._damaged = MissingSince(clock)
        self._roots: dict[Path, tuple[int, int]] = {}  #: device and inode of the session roots

    def look(self, jobs: Collection[LocalJob], children: frozenset[int]) -> dict[LocalId, Report]:
        """
        Reports of all jobs about which something is known.

        Args:
            jobs: any jobs of this backend.
            children: supervisors of the forkserver whose end it has not reported yet.

        Raises:
            OSError: there are no descriptors, or there is no memory.
        """
        reports: dict[LocalId, Report] = {}
        supervisors = Supervisors(self.boot)
        doubtful: list[LocalJob] = []
        for job in jobs:
            report = self._look_at(job, supervisors, children)
            if report is None:
                report = missing(self._missing.seconds(job.localid), self._record_wait_s)
            if report is None:
                continue
            reports[job.localid] = report
            self._missing.forget(job.localid)
            if report.phase is Phase.ENDED and not self._left_nothing(job, report):
                doubtful.append(job)
        if doubtful:
            self._sweep(doubtful)
        for localid, report in reports.items():
            if report.phase is Phase.ENDED:
                self._damaged.forget(localid)
                self._enforcer.forget(localid)
        return reports

    def know(self, directory: Path) -> None:
        """Remember which session root has a new run directory; raises OSError."""
        self._roots[directory.parent.parent] = rundir.root_identity(str(directory))

    def _left_nothing(self, job: LocalJob, report: Report) -> bool:
        """Whether it is certain that no process of an ended job is left."""
        pid = pid_of(job.localid)
        well = pid in self.ended_well
        if pid is not None:
            self.ended_well.discard(pid)
        return report.cause not in {EndCause.LOST, EndCause.NODE_FAILURE} and (well or job.tag is None)

    def _sweep(self, jobs: Collection[LocalJob]) -> None:
        """Kill what is left of jobs: by environment, and by what was below the supervisor when it was seen last."""
        signals.sweep([_mark(job) for job in jobs])
        for job in jobs:
            for each in signals.alive(self._enforcer.get(job.localid).tree):
                signals.kill((*tree_of(each), each))

    def _look_at(self, job: LocalJob, supervisors: Supervisors, children: frozenset[int]) -> Report | None:
        try:
            if job.rundir is None or job.tag is None:
                return foreign.report_of(job)
            return self._look_at_ours(job, job.rundir, job.tag, supervisors, children)
        except UnreadableRecord as exc:
            log.warning("%s", exc, extra={"event": "record.unreadable", "job": job.job})
            return None if pid_of(job.localid) in children else lost()
        except OSError as exc:
            if exc.errno in EXHAUSTED:
                raise
            log.warning("cannot read the state of job %s now: %s", job.job, exc, extra={"event": "record.unreadable"})
            if self._enforcer.get(job.localid).cancelled and supervisors.of(job) is None:
                return lost()
            return Report(phase=Phase.OTHER, doubt=f"the state of the job cannot be read: {exc.strerror}")

    def _look_at_ours(
        self, job: LocalJob, directory: Path, tag: str, supervisors: Supervisors, children: frozenset[int]
    ) -> Report | None:
        pid = pid_of(job.localid)
        supervisor = supervisors.at_pid(job)
        if supervisor is None and pid not in self.ended_well and not self._has_ended(pid, directory):
            supervisor = supervisors.of_tag(tag)
        if supervisor is not None:
            return self._living(job, directory, supervisor, children)
        # the record is written before the supervisor ends
        if (done := _opened(directory, "done", read_done)) is not None:
            return self._ended(job, directory, done)
        if pid in children:
            return None  # the forkserver is ending what is left
        owner = owner_of(directory)
        if owner is None:
            return lost() if self._enforcer.get(job.localid).cancelled else None
        return lost() if owner.boot == self.boot else _RESTARTED

    def _has_ended(self, pid: int | None, directory: Path) -> bool:
        """
        Whether the local id and the run directory name the same supervisor, and it has ended.

        Then a process that has its name is one of another job, which could keep this one from its end. If they do not
        agree, the name counts: a job can remove or change the file while its supervisor lives.
        """
        try:
            owner = owner_of(directory)
        except UnreadableRecord:
            return False
        except OSError as exc:
            if exc.errno in EXHAUSTED:
                raise
            return False
        if owner is None or owner.pid != pid or owner.boot != self.boot:
            return False
        return processes.identify(owner.pid, self.boot) != owner

    def _living(self, job: LocalJob, directory: Path, supervisor: Supervisor, children: frozenset[int]) -> Report:
        self._enforcer.enforce(job, supervisor)
        if supervisor.trouble:
            return Report(phase=Phase.EXITING, nodes=self.nodes, doubt=self._enforcer.keep(job, supervisor.trouble))
        if supervisor.identity.pid not in children:
            self._enforcer.note(job.localid).tree = tree_of(supervisor.identity)
        try:
            damage = self._damage(directory)
        except OSError as exc:
            return Report(
                phase=Phase.RUNNING, nodes=self.nodes, doubt=f"its run directory cannot be read: {exc.strerror}"
            )
        if not damage:
            self._damaged.forget(job.localid)
        elif self._damaged.seconds(job.localid) >= self._record_wait_s:
            self._enforcer.end(job, supervisor, damage)
        return Report(phase=Phase.RUNNING, nodes=self.nodes)

    def _damage(self, directory: Path) -> str:
        """What the payload has done to its run directory; empty if nothing, or if the session root is away."""
        damage = rundir.damage(str(directory))
        if not damage:
            self.know(directory)
        elif self._roots.get(directory.parent.parent) != rundir.root_identity(str(directory)):
            return ""
        return damage

    def _ended(self, job: LocalJob, directory: Path, done: Done) -> Report:
        """The report of a record. A supervisor does not know who sent TERM; we know, or have recorded it on disk."""
        report = ended(done)
        if done.cause is not EndCause.CANCELLED:
            return report
        known = self._enforcer.get(job.localid)
        if known.why and not known.cancelled:
            return replace(report, cause=EndCause.CANCELLED_BY_ADMIN, message=f"Job failed: {known.why}")
        if known.cancelled or traces.traces(directory).cancel_asked:
            return report
        return replace(report, cause=EndCause.CANCELLED_BY_ADMIN)


def _opened(directory: Path, name: str, read: Callable[[Path], _T]) -> _T:
    """Read a file of a run directory without a supervisor, which the payload may have closed."""
    try:
        return read(directory / name)
    except PermissionError:
        rundir.open_up(str(directory))
    try:
        return read(directory / name)
    except PermissionError as exc:
        raise UnreadableRecord(directory / name, f"it is closed: {exc.strerror}") from exc


def owner_of(directory: Path) -> ProcessIdentity | None:
    """
    The process that has taken an attempt, from ``RUNDIR/pid``; None: none has.

    Raises:
        UnreadableRecord: the file is invalid.
        OSError: it cannot be read now.
    """
    data = _opened(directory, "pid", read_file)
    if data is None:
        return None
    try:
        return parse_identity(data.decode())
    except (KeyError, ValueError) as exc:
        raise UnreadableRecord(directory / "pid", f"invalid process identity: {exc}") from exc


def _mark(job: LocalJob) -> bytes:
    """The variable that every process of a job has in its environment; a later attempt has another tag."""
    return f"{TAG_VARIABLE}={job.tag}".encode() if job.tag else f"GRID_GLOBAL_JOBID={job.job}".encode()
