"""What squeue, scontrol and sacct say about a job, in SLURM's words."""

from __future__ import annotations

import os
import re
import time
from typing import Final

from tests.fakes.cluster.engine import End, Job, State
from tests.fakes.cluster.front import Refusal, ranges

COMPACT: Final = {
    "PENDING": "PD", "RUNNING": "R", "SUSPENDED": "S", "COMPLETED": "CD", "CANCELLED": "CA", "FAILED": "F",
    "TIMEOUT": "TO", "NODE_FAIL": "NF", "PREEMPTED": "PR", "OUT_OF_MEMORY": "OOM", "BOOT_FAIL": "BF",
}  # fmt: skip


_ENDED: Final = {
    End.WALLTIME: "TIMEOUT", End.CPUTIME: "TIMEOUT", End.MEMORY: "OUT_OF_MEMORY", End.CANCELLED: "CANCELLED",
    End.NODE_FAILURE: "NODE_FAIL", End.PREEMPTED: "PREEMPTED", End.NEVER_STARTED: "FAILED",
}  # fmt: skip


_REASONS: Final = {
    "FAILED": "NonZeroExitCode", "TIMEOUT": "TimeLimit", "OUT_OF_MEMORY": "OutOfMemory", "NODE_FAIL": "NodeDown",
}  # fmt: skip


def word(job: Job) -> str:
    """A job's state, in SLURM's words."""
    if job.state is not State.ENDED:
        return job.state.name
    if job.end in _ENDED:
        return _ENDED[job.end]
    return "COMPLETED" if job.exit_code == job.signal == 0 else "FAILED"


def exit_code(job: Job) -> str:
    match job.end:
        case End.NEVER_STARTED:
            return "0:53"
        case End.MEMORY:
            return "0:125"
        case End.CANCELLED | End.WALLTIME | End.CPUTIME | End.NODE_FAILURE | End.PREEMPTED:
            return "0:0"
        case _:
            return f"{job.exit_code}:{job.signal}"


def local_id(job: Job) -> str:
    return str(job.root) if job.index is None else f"{job.root}_{job.index}"


def stamp(moment: float | None, absent: str = "N/A") -> str:
    return absent if moment is None else time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(moment))


def duration(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}-{hour:02}:{minute:02}:{second:02}"
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"


def folded(jobs: list[Job], *, fold: bool) -> list[tuple[Job, str]]:
    """Children that wait are one line, unless each is asked for; the text is their indices then."""
    lines: list[tuple[Job, str]] = []
    waiting: dict[int, list[int]] = {}
    for job in jobs:
        if fold and job.index is not None and job.state is State.PENDING:
            waiting.setdefault(job.root, []).append(job.index)
        else:
            lines.append((job, ""))
    last = {job.root: job for job in jobs}
    return [(last[root], ranges(indices)) for root, indices in waiting.items()] + lines


def line(form: str, job: Job | None, rest: str = "") -> str:
    def value(match: re.Match[str]) -> str:
        right, width, letter = match[1], match[2], match[3]
        text = _field(letter, job, rest)
        if not width:
            return text
        return f"{text[: int(width)]:>{width}}" if right else f"{text[: int(width)]:<{width}}"

    return re.sub(r"%(\.?)(\d*)([a-zA-Z])", value, form)


#: What squeue -O calls the fields that have a letter too.
_LONG: Final = {
    "jobarrayid": "i", "jobid": "A", "arrayjobid": "F", "arraytaskid": "K", "state": "T", "statecompact": "t",
    "reason": "r", "reasonlist": "R", "comment": "k", "nodelist": "N", "starttime": "S", "endtime": "e",
    "submittime": "V", "timeused": "M", "timelimit": "l", "username": "u", "partition": "P", "name": "j",
    "numcpus": "C", "numnodes": "D", "workdir": "Z", "account": "a",
}  # fmt: skip


def long_line(form: str, version: str, job: Job | None, rest: str = "") -> str:
    """``NAME[:[.]WIDTH[SUFFIX]],...``; a field without a width has 20 columns."""
    parts = []
    for each in form.split(","):
        name, _, size = each.partition(":")
        match = re.fullmatch(r"(\.?)(\d*)(.*)", size)
        assert match is not None
        text, width = _long_field(name.lower(), version, job, rest), int(match[2] or 20)
        parts.append((f"{text[:width]:>{width}}" if match[1] else f"{text[:width]:<{width}}") + match[3])
    return "".join(parts)


def _long_field(name: str, version: str, job: Job | None, rest: str) -> str:
    if name in _LONG:
        return _field(_LONG[name], job, rest)
    if job is None:
        return name.upper()
    match name:
        case "exit_code":
            code, number = exit_code(job).split(":") if job.state is State.ENDED else ("0", "0")
            new = [int(part) for part in version.split(".")[:2]] >= [23, 2]
            return f"{code}:{number}" if new else str(int(code) << 8 | int(number))
        case "cluster":
            return "fake"
        case _:
            raise Refusal(f"squeue: error: Invalid job format specification: {name}")


_HEADS: Final = {
    "i": "JOBID", "A": "JOBID", "F": "ARRAY_JOB_ID", "K": "ARRAY_TASK_ID", "T": "STATE", "t": "ST", "r": "REASON",
    "R": "NODELIST(REASON)", "k": "COMMENT", "N": "NODELIST", "S": "START_TIME", "e": "END_TIME", "V": "SUBMIT_TIME",
    "M": "TIME", "l": "TIME_LIMIT", "u": "USER", "P": "PARTITION", "j": "NAME", "C": "CPUS", "D": "NODES",
    "Z": "WORK_DIR", "a": "ACCOUNT", "B": "EXEC_HOST",
}  # fmt: skip


def _field(letter: str, job: Job | None, rest: str) -> str:
    if job is None:
        return _HEADS[letter]
    return {
        "i": f"{job.root}_[{rest}]" if rest else local_id(job), "A": str(job.raw), "F": str(job.root),
        "K": rest or ("N/A" if job.index is None else str(job.index)), "T": word(job), "t": COMPACT[word(job)],
        "r": _reason(job), "R": f"({_reason(job)})" if job.state is State.PENDING else job.node,
        "k": job.words.get("comment", "(null)"), "N": job.node, "B": job.node or "n/a",
        "S": stamp(job.started or job.ended),
        "e": stamp(job.ended or (job.started and job.wall_s and job.started + job.wall_s)),
        "V": stamp(job.submitted), "M": duration(job.wall_used_s),
        "l": "UNLIMITED" if job.wall_s is None else duration(job.wall_s), "u": job.owner, "P": job.queue,
        "j": job.name, "C": str(job.slots), "D": "1", "Z": str(job.cwd), "a": job.account or "(null)",
    }[letter]  # fmt: skip


def _reason(job: Job) -> str:
    if job.state is State.PENDING:
        return "JobHeldUser" if job.held else "BeginTime" if job.begin > time.time() else "Resources"
    return _REASONS.get(word(job), "None") if job.state is State.ENDED else "None"


def record(job: Job, *, oneliner: bool) -> str:
    words = {
        "JobId": str(job.raw),
        **({} if job.index is None else {"ArrayJobId": str(job.root), "ArrayTaskId": str(job.index)}),
        "JobName": job.name, "UserId": f"{job.owner}({os.getuid()})", "Account": job.account or "(null)",
        "JobState": word(job), "Reason": _reason(job), "ExitCode": exit_code(job),
        "RunTime": time.strftime("%H:%M:%S", time.gmtime(job.wall_used_s)),
        "SubmitTime": stamp(job.submitted), "StartTime": stamp(job.started or job.ended, "Unknown"),
        "EndTime": stamp(job.ended, "Unknown"), "Partition": job.queue, "NodeList": job.node or "(null)",
        "NumNodes": "1", "NumCPUs": str(job.slots), "NumTasks": str(job.slots), "Command": str(job.script),
        "WorkDir": str(job.cwd), "Comment": job.words.get("comment", ""), "StdOut": str(job.output),
    }  # fmt: skip
    if not words["Comment"]:
        del words["Comment"]
    text = (" " if oneliner else "\n   ").join(f"{key}={value}" for key, value in words.items())
    return f"{text}\n" if oneliner else f"{text}\n\n"


def accounted(job: Job, step: str, *, late: bool) -> dict[str, str]:
    state = "RUNNING" if late and job.started else word(job)
    if state == "CANCELLED":
        state = "CANCELLED" if step else f"CANCELLED by {os.getuid()}"
    code = "0:0" if late else exit_code(job)
    if step == "batch" and not late and job.end in {End.CANCELLED, End.WALLTIME}:
        state, code = "CANCELLED", "0:15"
    elif step == "extern" and not late and job.end is not None:
        state, code = "COMPLETED", "0:0"
    user, system = (0.0, 0.0) if late or step == "extern" else job.used_cpu_s
    elapsed = 0 if job.started is None else int((time.time() if late else job.ended or time.time()) - job.started)
    return {
        "JobID": f"{local_id(job)}.{step}" if step else local_id(job),
        "JobIDRaw": f"{job.raw}.{step}" if step else str(job.raw), "JobName": step or job.name,
        "Partition": "" if step else job.queue, "Account": job.account, "User": "" if step else job.owner,
        "Cluster": "fake", "State": state, "ExitCode": code, "DerivedExitCode": "" if step else "0:0",
        "Submit": stamp(job.submitted),
        "Start": stamp(job.started, "Unknown" if job.state is State.PENDING else "None"),
        "End": "Unknown" if late else stamp(job.ended, "Unknown"),
        "Elapsed": time.strftime("%H:%M:%S", time.gmtime(elapsed)), "ElapsedRaw": str(elapsed),
        "UserCPU": _clock(user), "SystemCPU": _clock(system), "TotalCPU": _clock(user + system),
        "CPUTimeRAW": str(elapsed * job.slots), "NCPUS": str(job.slots), "AllocCPUS": str(job.slots),
        "MaxRSS": f"{job.max_rss_kb}K" if step == "batch" and not late and job.ended else "",
        "NodeList": job.node or "None assigned", "Comment": "" if step else job.words.get("comment", ""),
        "Reason": "None", "NNodes": "1", "ReqMem": "" if job.memory_kb is None else f"{job.memory_kb // 1024}M",
        "Timelimit": "" if step else "UNLIMITED" if job.wall_s is None else duration(job.wall_s),
    }  # fmt: skip


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:02}:{seconds % 60:06.3f}"
