"""What qstat says about a job: JSON from OpenPBS, XML from Torque."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

from tests.fakes.cluster.engine import End, Job, State
from tests.fakes.cluster.front import FrontEnd, ranges

HOST: Final = socket.gethostname().partition(".")[0]
_LETTERS: Final = {State.PENDING: "Q", State.RUNNING: "R", State.SUSPENDED: "S"}
#: Source: job.h of OpenPBS 23.06 and pbs_job.h of Torque 6.1
_OPENPBS_ENDS: Final = {
    End.MEMORY: -27,
    End.CPUTIME: -28,
    End.WALLTIME: -29,
    End.NODE_FAILURE: -20,
    End.NEVER_STARTED: -1,
}
_TORQUE_ENDS: Final = {
    End.MEMORY: -10,
    End.WALLTIME: -11,
    End.CPUTIME: -12,
    End.NODE_FAILURE: -4,
    End.NEVER_STARTED: -9,
}
_EXCEEDED: Final = {End.MEMORY: "mem", End.CPUTIME: "cput", End.WALLTIME: "walltime"}


def clock(seconds: float) -> str:
    return f"{int(seconds) // 3600:02}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"


class PbsFields(FrontEnd):
    """The words of the flavour that was asked for."""

    @property
    def torque(self) -> bool:
        return self.settings.flavour == "torque"

    def local_id(self, job: Job) -> str:
        return f"{job.root}.{HOST}" if job.index is None else f"{job.root}[{job.index}].{HOST}"

    def farewell(self, job: Job) -> str:
        match job.end:
            case End.WALLTIME:
                what = f"walltime {int(job.wall_used_s)} exceeded limit {int(job.wall_s or 0)}"
            case End.CPUTIME:
                what = f"cput {int(sum(job.used_cpu_s))} exceeded limit {int(job.cpu_s or 0)}"
            case End.MEMORY:
                what = f"mem {job.max_rss_kb}kb exceeded limit {job.memory_kb}kb"
            case _:
                return ""
        return f"=>> PBS: job killed: {what}\n"

    def array_lives(self, job: Job) -> bool:
        return job.index is not None and any(
            each.state is not State.ENDED for each in self.cluster.jobs.values() if each.root == job.root
        )

    def _letter(self, job: Job) -> str:
        if job.state is State.ENDED:
            return "C" if self.torque else "X" if self.array_lives(job) else "F"
        if job.state is State.PENDING:
            return "H" if job.held else "W" if job.begin > time.time() else "Q"
        return "E" if job.killed_at is not None else _LETTERS[job.state]

    def _exit_status(self, job: Job) -> int | None:
        if job.end is None or (job.started is None and job.end is End.CANCELLED and not self.torque):
            return None
        ends = _TORQUE_ENDS if self.torque else _OPENPBS_ENDS
        if job.end in ends:
            return ends[job.end]
        if job.started is None:
            return 271
        return 256 + job.signal if job.signal else job.exit_code

    def _attributes(self, job: Job) -> dict[str, Any]:
        words: dict[str, Any] = {"Job_Name": job.name, "Job_Owner": f"{job.owner}@{HOST}"}
        if job.started is not None:
            words["resources_used"] = {
                "cput": clock(sum(job.used_cpu_s)), "mem": f"{job.max_rss_kb}kb", "ncpus": job.slots,
                "vmem": f"{job.max_rss_kb}kb", "walltime": clock(job.wall_used_s),
            }  # fmt: skip
        words |= {
            "job_state": self._letter(job), "queue": job.queue, "server": HOST, "Checkpoint": "u",
            "ctime": self._time(job.submitted), "Hold_Types": "u" if job.held else "n", "Join_Path": "oe",
            "Output_Path": f"{HOST}:{self.filled(job.output, job)}", "Priority": job.words["Priority"],
            "qtime": self._time(job.submitted), "Rerunable": job.words["Rerunable"],
            "mtime": self._time(job.ended or job.started or job.submitted),
        }  # fmt: skip
        if job.account:
            words["Account_Name"] = job.account
        if job.started is not None:
            words["exec_host"] = "+".join(f"{job.node}/{n}" for n in range(job.slots))
        words["Resource_List"] = json.loads(job.words["Resource_List"])
        words["Variable_List"] = json.loads(job.words["Variable_List"])
        if (status := self._exit_status(job)) is not None and job.state is State.ENDED:
            words["exit_status" if self.torque else "Exit_status"] = status
        return words | (self._of_torque(job) if self.torque else self._of_openpbs(job))

    def _of_torque(self, job: Job) -> dict[str, Any]:
        words: dict[str, Any] = {"etime": self._time(job.submitted), "fault_tolerant": "False", "job_radix": 0}
        if job.index is not None:
            words["job_array_id"] = job.index
        if job.started is not None:
            words["start_time"] = self._time(job.started)
        if job.ended is not None:
            words["comp_time"] = self._time(job.ended)
        return words

    def _of_openpbs(self, job: Job) -> dict[str, Any]:
        words: dict[str, Any] = {
            "comment": self._comment(job),
            "etime": self._time(job.submitted),
            "project": "_pbs_project_default",
        }
        if job.started is not None:
            words |= {"stime": self._time(job.started), "exec_vnode": f"({job.node}:ncpus={job.slots})", "run_count": 1}
        if job.index is not None:
            words |= {"array_id": f"{job.root}[].{HOST}", "array_index": job.index}
        ended = 91 if job.end is End.CANCELLED else 93 if self._exit_status(job) else 92
        words["substate"] = {State.PENDING: 10, State.RUNNING: 42, State.SUSPENDED: 43, State.ENDED: ended}[job.state]
        if job.state is State.ENDED:
            words |= {"obittime": self._time(job.ended or 0.0), "history_timestamp": int(job.ended or 0)}
        return words

    def _comment(self, job: Job) -> str:
        if job.started is None:
            comment = "Not Running: Insufficient amount of resource: ncpus"
        else:
            at = time.strftime("%a %b %d at %H:%M", time.localtime(job.started))
            comment = f"Job run at {at} on ({job.node}:ncpus={job.slots})"
        if job.state is not State.ENDED or job.end is None:
            return comment
        if job.end is End.CANCELLED:
            return f"{comment} and terminated by {job.owner}@{HOST}"
        if job.end in _EXCEEDED:
            return f"{comment} and exceeded resource {_EXCEEDED[job.end]}"
        return f"{comment} and {'failed' if self._exit_status(job) else 'finished'}"

    def _time(self, moment: float) -> str:
        return str(int(moment)) if self.torque else time.ctime(moment)

    def json(self, jobs: list[Job], *, tasks: bool) -> str:
        shown: dict[str, Any] = {}
        for job in jobs:
            if job.index is not None:
                shown.setdefault(f"{job.root}[].{HOST}", self._parent(job))
            if job.index is None or tasks:
                shown[self.local_id(job)] = self._attributes(job)
        answer: dict[str, Any] = {"timestamp": int(time.time()), "pbs_version": "23.06.06", "pbs_server": HOST}
        if shown:
            answer["Jobs"] = shown
        return json.dumps(answer, indent="\t", separators=(",", ":\t")) + "\n"

    def _parent(self, job: Job) -> dict[str, Any]:
        """The array as a whole."""
        children = [each for each in self.cluster.jobs.values() if each.root == job.root]
        waiting = [each.index for each in children if each.state is State.PENDING and each.index is not None]
        begun = any(each.started for each in children)
        words = self._attributes(job) | {
            "job_state": "B" if begun else self._letter(job) if waiting else "F", "array": "True",
            "array_indices_submitted": ranges([each.index for each in children if each.index is not None]),
            "array_indices_remaining": ranges(waiting) or "-",
        }  # fmt: skip
        for name in ("array_id", "array_index", "exec_host", "Exit_status", "resources_used"):
            words.pop(name, None)
        if all(each.state is State.ENDED for each in children):
            words["job_state"] = "F"
        return words

    def xml(self, jobs: list[Job], *, tasks: bool) -> str:
        if not jobs:
            return ""
        shown = [(self.local_id(each), each) for each in jobs if tasks or each.index is None]
        text = "".join(
            f"<Job><Job_Id>{localid}</Job_Id>{_elements(self._attributes(job))}</Job>" for localid, job in shown
        )
        return f'<?xml version="1.0"?>\n<Data>{text}</Data>\n'

    def table(self, jobs: list[Job]) -> str:
        if not jobs:
            return ""
        head = "Job id            Name             User              Time Use S Queue\n"
        head += "----------------  ---------------- ----------------  -------- - -----\n"
        return head + "".join(
            f"{self.local_id(each)[:16]:<16}  {each.name[:16]:<16} {each.owner[:16]:<16}  "
            f"{clock(sum(each.used_cpu_s)):>8} {self._letter(each)} {each.queue[:5]:<5}\n"
            for each in jobs
        )


def _elements(words: Mapping[str, Any]) -> str:
    parts = []
    for key, value in words.items():
        if key == "Variable_List":
            inner = escape(",".join(f"{name}={each}" for name, each in value.items()))
        elif isinstance(value, dict):
            inner = _elements(value)
        else:
            inner = escape(str(value))
        parts.append(f"<{key}>{inner}</{key}>")
    return "".join(parts)
