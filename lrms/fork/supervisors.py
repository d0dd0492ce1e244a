"""
Living supervisors, found in the process table: by the local id, which is a pid, and by the name of the process.

No file in a run directory is asked, because the payload can change each of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from arex.ports import LocalJob
from lrms import processes
from lrms.fork.label import attempt_of, parse_label
from lrms.processes import ProcessIdentity, Stat

_PID: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervisor:
    """A supervisor that has not ended."""

    identity: ProcessIdentity
    attempt: str  #: as in its label
    stopped: bool  #: by a signal
    trouble: int  #: error number of its last try to write the record of a job that has ended; 0: none


def pid_of(localid: str) -> int | None:
    """The pid that a local id is; None: it is anything else."""
    return int(localid) if _PID.fullmatch(localid) else None


class Supervisors:
    """The supervisors at one time; all processes are examined only if a local id does not lead to its supervisor."""

    def __init__(self, boot: str) -> None:
        self._boot = boot
        self._all: dict[str, Supervisor] | None = None

    def at_pid(self, job: LocalJob) -> Supervisor | None:
        """The supervisor of this job, if it has the pid that the local id says."""
        pid = pid_of(job.localid)
        found = None if pid is None else _supervisor(pid, processes.stat(pid), self._boot)
        return None if found is None or job.tag is None or found.attempt != attempt_of(job.tag) else found

    def of_tag(self, tag: str) -> Supervisor | None:
        """The supervisor of this attempt, whatever its pid."""
        if self._all is None:
            stats = {pid: found for pid in processes.pids() if (found := processes.stat(pid)) is not None}
            ours = {os.getpid(), *_above(os.getpid(), stats)}  # this service may run in a job of another one
            self._all = {
                each.attempt: each
                for pid, found in stats.items()
                if (each := _supervisor(pid, found, self._boot)) is not None
                # a process of a job can take any name; all of them are below the supervisor of that job
                and not any(parse_label(stats[above].name) for above in _above(pid, stats) if above not in ours)
            }
        return self._all.get(attempt_of(tag))

    def of(self, job: LocalJob) -> Supervisor | None:
        """The supervisor of this job, by pid or by tag."""
        return self.at_pid(job) or (None if job.tag is None else self.of_tag(job.tag))


def _above(pid: int, stats: Mapping[int, Stat]) -> list[int]:
    """The parent of a process, its parent, and so on."""
    found: list[int] = []
    # processes that come and go meanwhile could make a circle
    while (pid := stats[pid].parent) in stats and pid not in found:
        found.append(pid)
    return found


def _supervisor(pid: int, found: Stat | None, boot: str) -> Supervisor | None:
    if found is None or found.state in "ZX" or (label := parse_label(found.name)) is None:
        return None
    if processes.owner(pid) != os.geteuid():  # another user can give a process any name
        return None
    return Supervisor(
        identity=ProcessIdentity(pid, found.start, boot),
        attempt=label.attempt,
        stopped=found.state in "Tt",
        trouble=label.trouble,
    )


def tree_of(root: ProcessIdentity) -> tuple[ProcessIdentity, ...]:
    """Everything below a process."""
    found = (processes.identify(pid, root.boot) for pid in processes.descendants(root.pid))
    return tuple(each for each in found if each is not None)
