"""bsub, bjobs, bkill, bstop, bresume: as IBM Spectrum LSF 10.1 speaks."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.fakes.cluster.engine import End, Job, State
from tests.fakes.cluster.front import Answer, FrontEnd, Refusal, Request, directives, kilobytes, numbers, options

_BSUB: Final = {
    "-J": "name=", "-Jd": "description=", "-o": "output=", "-oo": "overwritten=", "-e": "error=", "-eo": "error=",
    "-q": "queue=", "-n": "slots=", "-R": "requirements+=", "-W": "run=", "-c": "cpu=", "-M": "memory=",
    "-P": "project=",
    "-sp": "priority=", "-r": "rerunnable", "-rn": "not-rerunnable", "-b": "begin=", "-x": "exclusive", "-H": "hold",
    "-L": "shell=", "-env": "env=", "-cwd": "cwd=", "-app": "app=", "-G": "group=", "-g": "jobgroup=", "-u": "mail=",
    "-N": "notify", "-B": "notify-start", "-m": "hosts=", "-t": "term=", "-w": "depends=", "-V": "version",
}  # fmt: skip
_BJOBS: Final = {
    "-a": "all", "-w": "wide", "-o": "format=", "-json": "json", "-noheader": "noheader", "-u": "user=", "-J": "name=",
    "-X": "noncondensed", "-d": "done", "-q": "queue=", "-V": "version", "-hms": "hms",
}  # fmt: skip
_WORDS: Final = {State.PENDING: "PEND", State.RUNNING: "RUN", State.SUSPENDED: "USUSP"}
_REASONS: Final = {
    End.WALLTIME: "TERM_RUNLIMIT: job killed after reaching LSF run time limit",
    End.CPUTIME: "TERM_CPULIMIT: job killed after reaching LSF CPU usage limit",
    End.MEMORY: "TERM_MEMLIMIT: job killed after reaching LSF memory usage limit",
    End.CANCELLED: "TERM_OWNER: job killed by owner",
    End.PREEMPTED: "TERM_PREEMPT: job killed after preemption",
    End.NODE_FAILURE: "TERM_ZOMBIE: job exited while LSF is not available",
    End.NEVER_STARTED: "TERM_CWD_NOTEXIST: current working directory is not accessible or does not exist on the "
    "execution host",
}


def word(job: Job) -> str:
    if job.state is State.ENDED:
        return "DONE" if job.end is End.EXIT and job.exit_code == job.signal == 0 else "EXIT"
    return "PSUSP" if job.held and job.state is State.PENDING else _WORDS[job.state]


def local_id(job: Job) -> str:
    return str(job.root) if job.index is None else f"{job.root}[{job.index}]"


class Lsf(FrontEnd):
    submitters = ("bsub",)

    @property
    def commands(self) -> Mapping[str, Callable[[Request], Answer]]:
        return {
            "bsub": self.bsub,
            "bjobs": self.bjobs,
            "bkill": self.bkill,
            "bstop": self.bstop,
            "bresume": self.bresume,
        }

    def environment(self, job: Job) -> Mapping[str, str]:
        return {
            "LSB_JOBID": str(job.root), "LSB_JOBINDEX": str(job.index or 0), "LSB_JOBNAME": job.name,
            "LSB_QUEUE": job.queue, "LSB_HOSTS": job.node, "LSB_BATCH_JID": local_id(job), "LS_SUBCWD": str(job.cwd),
        }  # fmt: skip

    def filled(self, path: Path, job: Job) -> Path:
        values = {"%J": str(job.root), "%I": str(job.index or 0)}
        return Path(re.sub(r"%[JI]", lambda match: values[match[0]], str(path)))

    def farewell(self, job: Job) -> str:
        reason = f"{_REASONS[job.end]}.\n" if job.end in _REASONS else ""
        code = _exit_code(job, ended=True)
        return f"\n------------------------------------------------------------\n\n{reason}" + (
            f"Exited with exit code {code}.\n" if code else "Successfully completed.\n"
        )

    # --- what goes wrong ---

    def failed(self, command: str) -> Answer:
        del command
        return Answer(err="Failed in an LSF library call: Communication time out\n", code=255)

    def down(self, command: str) -> Answer:
        del command
        return Answer(
            err="LSF is down. Please wait ...\nFailed in LSF library call: Connection refused by server\n", code=255
        )

    def over_limit(self) -> Answer:
        return Answer(err="User's pending job threshold reached. Job not submitted.\n", code=255)

    def foreign(self, answer: Answer) -> Answer:
        return Answer(
            re.sub(r"Job (<\d+>) is submitted to.*", r"Auftrag \1 angenommen.", answer.out),
            "Fehler: keine Verbindung\n" if answer.code else "",
            answer.code,
        )

    def _version(self) -> Answer:
        return Answer(
            err="IBM Spectrum LSF 10.1.0.13, Apr 15 2022\nCopyright International Business Machines Corp. 1992, 2016.\n"
        )

    # --- bsub ---

    def bsub(self, request: Request) -> Answer:
        given, operands = options(request.argv, _BSUB, stops=True)
        if "version" in given:
            return self._version()
        if operands:
            text = "#!/bin/sh\n" + " ".join(operands) + "\n"
        else:
            text = request.stdin if request.stdin.startswith("#!") else f"#!/bin/sh\n{request.stdin}"
            given = options(directives(text, "#BSUB"), _BSUB)[0] | given
        name, _, indices = given.get("name", "").partition("[")
        job = self.cluster.submit(
            self._job(request, given, text, name), numbers(indices.partition("]")[0]) if indices else []
        )
        return Answer(
            f"Job <{job.root}> is submitted to {'' if 'queue' in given else 'default '}queue <{job.queue}>.\n"
        )

    def _job(self, request: Request, given: Mapping[str, str], text: str, name: str) -> Job:
        slots = int(given.get("slots", "1").partition(",")[0])
        minute_s = self.settings.minute_s
        if slots > self.settings.slots:
            raise Refusal("Too many processors requested. Job not submitted.", 255)
        output = given.get("overwritten", given.get("output", "/dev/null"))
        return Job(
            name=name or text.strip().splitlines()[-1],
            script=self.spool(text),
            cwd=Path(request.cwd, given.get("cwd", "")),
            output=Path(output),
            errors=Path(given["error"]) if "error" in given else None,
            append="overwritten" not in given,
            queue=self.queue(given.get("queue", ""), f"{given.get('queue')}: No such queue. Job not submitted."),
            account=given.get("project", "default"),
            environment=dict(request.environment) if given.get("env", "all") != "none" else {},
            umask=request.umask,
            slots=slots,
            wall_s=_minutes(given["run"]) * minute_s if "run" in given else None,
            cpu_s=_minutes(given["cpu"]) * minute_s if "cpu" in given else None,
            memory_kb=kilobytes(given["memory"], "k") if "memory" in given else None,
            begin=_begin(given.get("begin", "")),
            held="hold" in given,
            words={"description": given.get("description", "")},
        )

    # --- bjobs ---

    def bjobs(self, request: Request) -> Answer:
        given, operands = options(request.argv, _BJOBS)
        if "version" in given:
            return self._version()
        jobs, errors = self.cluster.known(), ""
        if operands:
            jobs = [job for each in operands for job in self.find(each)]
            errors = "".join(f"Job <{each}> is not found\n" for each in operands if not self.find(each))
        elif "all" not in given:
            jobs = [each for each in jobs if each.state is not State.ENDED]
        if "json" in given:
            return Answer(_json(jobs, _names(given["format"])), errors, 255 if errors else 0)
        if not jobs:
            return Answer(
                err=errors or f"No {'' if 'all' in given else 'unfinished '}job found\n", code=255 if errors else 0
            )
        if "format" in given:
            return Answer(
                _delimited(jobs, given["format"], header="noheader" not in given), errors, 255 if errors else 0
            )
        return Answer(_table(jobs), errors, 255 if errors else 0)

    # --- the others ---

    def find(self, localid: str) -> list[Job]:
        match = re.fullmatch(r"(\d+)(?:\[(.+)\])?", localid)
        if match is None:
            return []
        jobs = [each for each in self.cluster.known() if each.root == int(match[1])]
        return [each for each in jobs if each.index in numbers(match[2])] if match[2] else jobs

    def _each(self, request: Request, act: Callable[[Job], str]) -> Answer:
        """Do something to each job; what is said about it."""
        _, operands = options(request.argv, {"-r": "remove", "-s": "signal=", "-b": "bucket"})
        out = errors = ""
        for localid in operands:
            jobs = self.find(localid)
            said = list(dict.fromkeys(act(job) for job in jobs)) or [": No matching job found"]
            for each in said:
                if each.startswith(":"):
                    errors += f"Job <{localid}>{each}\n"
                else:
                    out += f"Job <{localid}> {each}\n"
        return Answer(out, errors, 255 if errors else 0)

    def bkill(self, request: Request) -> Answer:
        def kill(job: Job) -> str:
            if job.state is State.ENDED:
                return ": Job has already finished"
            self.cluster.cancel(job)
            return "is being terminated"

        return self._each(request, kill)

    def bstop(self, request: Request) -> Answer:
        def stop(job: Job) -> str:
            if job.state is State.ENDED:
                return ": Job has already finished"
            self.cluster.hold(job)
            self.cluster.suspend(job)
            return "is being stopped"

        return self._each(request, stop)

    def bresume(self, request: Request) -> Answer:
        def resume(job: Job) -> str:
            if job.state is State.ENDED:
                return ": Job has already finished"
            self.cluster.release(job)
            self.cluster.resume(job)
            return "is being resumed"

        return self._each(request, resume)


def _minutes(text: str) -> float:
    """``[hour:]minute[/host]``."""
    hours, _, rest = text.partition("/")[0].rpartition(":")
    return int(hours or 0) * 60 + float(rest)


def _begin(text: str) -> float:
    """``[[[year:]month:]day:]hour:minute``."""
    if not text:
        return 0.0
    words = [int(each) for each in text.split(":")]
    now = time.localtime()
    year, month, day, hour, minute = [now.tm_year, now.tm_mon, now.tm_mday][: 5 - len(words)] + words
    return time.mktime((year, month, day, hour, minute, 0, 0, 0, -1))


def _exit_code(job: Job, *, ended: bool = False) -> str:
    """Empty while there is none, and for success."""
    if (job.state is not State.ENDED and not ended) or job.started is None:
        return ""
    if job.end is End.EXIT and job.exit_code == job.signal == 0:
        return ""
    return str(128 + job.signal if job.signal else job.exit_code)


def _values(job: Job) -> dict[str, str]:
    """Every field of ``-o`` that there is."""
    stamp = "%b %e %H:%M"
    return {
        "jobid": local_id(job), "stat": word(job), "user": job.owner, "queue": job.queue,
        "job_name": job.name if job.index is None else f"{job.name}[{job.index}]",
        "job_description": job.words["description"], "proj_name": job.account, "exit_code": _exit_code(job),
        "exit_reason": _REASONS.get(job.end, "") if job.end and job.state is State.ENDED else "",
        "exec_host": ":".join([job.node] * job.slots) if job.started else "",
        "submit_time": time.strftime(stamp, time.localtime(job.submitted)),
        "start_time": time.strftime(stamp, time.localtime(job.started)) if job.started else "",
        "finish_time": time.strftime(f"{stamp} L", time.localtime(job.ended)) if job.ended else "",
        "cpu_used": f"{sum(job.used_cpu_s):.1f} second(s)", "run_time": f"{int(job.wall_used_s)} second(s)",
        "slots": str(job.slots), "max_mem": f"{job.max_rss_kb / 1024:.0f} Mbytes" if job.max_rss_kb else "",
        "pend_reason": "New job is waiting for scheduling;" if job.state is State.PENDING else "",
    }  # fmt: skip


def _names(form: str) -> list[str]:
    names = [each.partition(":")[0].lower() for each in re.sub(r"delimiter=(['\"]).\1", "", form).split()]
    if unknown := [each for each in names if each not in {"jobindex"} | set(_FIELDS)]:
        raise Refusal(f"bjobs: Bad argument for option -o: unknown field {unknown[0]}", 255)
    return names


_FIELDS: Final = (
    "jobid", "stat", "user", "queue", "job_name", "job_description", "proj_name", "exit_code", "exit_reason",
    "exec_host", "submit_time", "start_time", "finish_time", "cpu_used", "run_time", "slots", "max_mem", "pend_reason",
)  # fmt: skip


def _json(jobs: list[Job], names: list[str]) -> str:
    records = [{name.upper(): values[name] for name in names} for values in map(_values, jobs)]
    return (
        json.dumps({"COMMAND": "bjobs", "JOBS": len(records), "RECORDS": records}, indent=2, separators=(",", ":"))
        + "\n"
    )


def _delimited(jobs: list[Job], form: str, *, header: bool) -> str:
    found = re.search(r"delimiter=(['\"])(.)\1", form)
    delimiter = found[2] if found else " "
    names = _names(form)
    lines = [delimiter.join(name.upper() for name in names)] if header else []
    lines += [delimiter.join(values[name] or "-" for name in names) for values in map(_values, jobs)]
    return "".join(f"{line}\n" for line in lines)


def _table(jobs: list[Job]) -> str:
    lines = ["JOBID     USER    STAT  QUEUE      FROM_HOST   EXEC_HOST   JOB_NAME   SUBMIT_TIME"]
    for job in jobs:
        values = _values(job)
        lines.append(
            f"{job.root:<9} {values['user']:<7} {values['stat']:<5} {values['queue']:<10} {'front':<11} "
            f"{values['exec_host']:<11} {values['job_name']:<10} {values['submit_time']}"
        )
    return "".join(f"{line}\n" for line in lines)
