"""qsub, qstat, qdel, qhold, qrls: as OpenPBS 23.06 speaks, or Torque 6.1 (``FAKE_PBS=torque``)."""

from __future__ import annotations

import json
import pwd
import re
import time
from collections.abc import Callable, Mapping
from os import getuid
from pathlib import Path
from typing import Final

from tests.fakes.cluster.engine import Job, State
from tests.fakes.cluster.front import Answer, Refusal, Request, directives, kilobytes, numbers, options
from tests.fakes.cluster.pbsfields import HOST, PbsFields

_QSUB: Final = {
    "-N": "name=", "-o": "output=", "-e": "error=", "-j": "join=", "-q": "queue=", "-l": "resources+=",
    "-A": "account=",
    "-p": "priority=", "-a": "begin=", "-m": "mail=", "-r": "rerunable=", "-h": "hold", "-v": "variables+=",
    "-V": "all",
    "-S": "shell=", "-k": "keep=", "-d": "directory=", "-W": "more+=", "-C": "prefix=", "-z": "quiet", "-c": "check=",
    "-M": "mailto=", "-P": "project=", "-u": "user=",
}  # fmt: skip


def seconds(text: str) -> float:
    total = 0.0
    for part in text.split(":"):
        total = total * 60 + float(part)
    return total


class Pbs(PbsFields):
    submitters = ("qsub",)

    @property
    def commands(self) -> Mapping[str, Callable[[Request], Answer]]:
        return {"qsub": self.qsub, "qstat": self.qstat, "qdel": self.qdel, "qhold": self.qhold, "qrls": self.qrls}

    def environment(self, job: Job) -> Mapping[str, str]:
        found = {"PBS_JOBID": self.local_id(job), "PBS_JOBNAME": job.name, "PBS_QUEUE": job.queue,
                 "PBS_ENVIRONMENT": "PBS_BATCH"}  # fmt: skip
        if job.index is not None:
            found["PBS_ARRAYID" if self.torque else "PBS_ARRAY_INDEX"] = str(job.index)
            if not self.torque:
                found["PBS_ARRAY_ID"] = f"{job.root}[].{HOST}"
        return found

    def filled(self, path: Path, job: Job) -> Path:
        if self.torque and job.index is not None:
            return path.with_name(f"{path.name}-{job.index}")
        return Path(str(path).replace("^array_index^", str(job.index)))

    # --- what goes wrong ---

    def failed(self, command: str) -> Answer:
        if not self.torque:
            return Answer(err=f"{command}: Batch protocol error\n", code=167)
        return Answer(
            err="qsub: submit error (Time out)\n" if command == "qsub" else f"{command}: Time out\n", code=218
        )

    def down(self, command: str) -> Answer:
        if not self.torque:
            return Answer(err=f"Connection refused\n{command}: cannot connect to server {HOST} (errno=111)\n", code=111)
        return Answer(err=f"{command}: cannot connect to server {HOST} (errno=111) Connection refused\n", code=111)

    def over_limit(self) -> Answer:
        if not self.torque:
            return Answer(err="qsub: would exceed complex's per-user limit\n", code=38)
        return Answer(
            err="qsub: submit error (Maximum number of jobs already in queue for user MSG=total number of current "
            f"user's jobs exceeds the queue limit: user user@{HOST}, queue main)\n",
            code=228,
        )

    def foreign(self, answer: Answer) -> Answer:
        return Answer(
            answer.out.replace(".", " am "), "Fehler: Verbindung verloren\n" if answer.code else "", answer.code
        )

    # --- qsub ---

    def qsub(self, request: Request) -> Answer:
        if request.argv == ("--version",):
            return self._version()
        table = _QSUB | ({"-t": "array=", "-n": "exclusive"} if self.torque else {"-J": "array="})
        given, operands = options(request.argv, table, stops=True)
        if operands and not (request.cwd / operands[0]).is_file():
            raise Refusal(f"qsub: script file '{operands[0]}' cannot be loaded - No such file or directory", 2)
        text = (request.cwd / operands[0]).read_text(errors="surrogateescape") if operands else request.stdin
        inside, _ = options(directives(text, "#PBS"), table)
        for each in ("resources", "variables"):  # those add up
            if each in inside and each in given:
                given[each] = f"{inside[each]},{given[each]}"
        given = inside | given
        name = given.get("name", Path(operands[0]).name if operands else "STDIN")
        if self.torque and len(name) > 15:
            raise Refusal("qsub: illegal -N value", 1)
        if not self.torque and "array" in given and given.get("rerunable") == "n":
            raise Refusal("qsub: Job arrays must be rerunnable", 1)
        indices = numbers(given["array"].partition("%")[0]) if "array" in given else []
        job = self.cluster.submit(self._job(request, given, text, name), indices)
        return Answer(f"{job.root}[].{HOST}\n" if indices else f"{job.root}.{HOST}\n")

    def _version(self) -> Answer:
        if self.torque:
            return Answer(err="Version: 6.1.3\nCommit: 34ff845417cc0348dfe0a61a491e5e0f4adf6ef4\n")
        return Answer("pbs_version = 23.06.06\n")

    def _job(self, request: Request, given: Mapping[str, str], text: str, name: str) -> Job:
        wishes = dict(each.partition("=")[::2] for each in given.get("resources", "").split(",") if each)
        slots, memory_kb = _chunks(wishes)
        home = pwd.getpwuid(getuid()).pw_dir
        sequence = self.cluster.last + 1
        output = given.get("output", f"{name}.o{sequence}").partition(":")
        path = request.cwd / (output[2] or output[0])
        variables = {
            "PBS_O_HOME": home, "PBS_O_WORKDIR": str(request.cwd), "PBS_O_HOST": HOST,
            "PBS_O_QUEUE": given.get("queue", ""),
            "PBS_O_PATH": request.environment.get("PATH", ""),
        }  # fmt: skip
        variables |= dict(each.partition("=")[::2] for each in given.get("variables", "").split(",") if each)
        if "all" in given:
            variables |= request.environment
        unknown = "qsub: submit error (Unknown queue MSG=cannot locate queue)" if self.torque else "qsub: Unknown queue"
        return Job(
            name=name,
            script=self.spool(text),
            shell=given.get("shell", "/bin/sh"),
            cwd=Path(given.get("directory", home)),
            output=path / f"{name}.o{sequence}" if path.is_dir() else path,
            errors=None if given.get("join", "n") == "oe" else request.cwd / f"{name}.e{sequence}",
            queue=self.queue(given.get("queue", ""), unknown),
            account=given.get("account", ""),
            environment={"HOME": home, "PATH": "/usr/local/bin:/usr/bin:/bin", "USER": pwd.getpwuid(getuid()).pw_name}
            | variables,
            umask=0o077,
            slots=slots,
            wall_s=seconds(wishes["walltime"]) if "walltime" in wishes else None,
            cpu_s=seconds(wishes["cput"]) if "cput" in wishes else None,
            memory_kb=memory_kb,
            begin=_begin(given.get("begin", "")),
            held="hold" in given,
            words={
                "Variable_List": json.dumps(variables), "Resource_List": json.dumps(wishes),
                "Rerunable": str(given.get("rerunable", "y") == "y"), "Priority": given.get("priority", "0"),
            },
        )  # fmt: skip

    # --- qstat ---

    def qstat(self, request: Request) -> Answer:
        if request.argv == ("--version",):
            return self._version()
        given, operands = options(
            request.argv,
            {"-f": "full", "-x": "x", "-t": "tasks", "-F": "format=", "-w": "wide", "-u": "user=", "-1": "one"},
        )
        jobs, errors = self.cluster.known(), ""
        if operands:
            jobs = []
            for each in operands:
                found = self.find(each)
                jobs += found
                errors += "" if found else f"qstat: {self._unknown()} {each}\n"
        if not self.torque and "x" not in given:
            jobs = [each for each in jobs if each.state is not State.ENDED or self.array_lives(each)]
        code = 153 if errors else 0
        if self.torque and "x" in given:
            return Answer(self.xml(jobs, tasks="tasks" in given), errors, code)
        if given.get("format", "").lower() == "json":
            return Answer(self.json(jobs, tasks="tasks" in given), errors, code)
        return Answer(self.table(jobs), errors, code)

    # --- the others ---

    def find(self, localid: str) -> list[Job]:
        match = re.fullmatch(r"(\d+)(?:\[(\d*)\])?(?:\..*)?", localid)
        if match is None:
            return []
        jobs = [each for each in self.cluster.known() if each.root == int(match[1])]
        return [each for each in jobs if each.index == int(match[2])] if match[2] else jobs

    def _unknown(self) -> str:
        return "Unknown Job Id Error" if self.torque else "Unknown Job Id"

    def _each(self, request: Request, act: Callable[[Job], str]) -> Answer:
        """Do something to each job; a text that comes back is an error."""
        _, operands = options(
            request.argv, {"-W": "more=", "-p": "purge", "-m": "message=", "-x": "history", "-h": "hold="}
        )
        errors = ""
        for localid in operands:
            jobs = self.find(localid)
            if not jobs:
                errors += f"{request.command}: {self._unknown()} {localid}\n"
            said = {error for job in jobs if (error := act(job))}
            errors += "".join(f"{request.command}: {each} {self._after(each, localid)}\n" for each in said)
        return Answer(err=errors, code=1 if errors else 0)

    def _after(self, error: str, localid: str) -> str:
        return f"MSG=invalid state for job - COMPLETE {localid}" if self.torque and "state" in error else localid

    def qdel(self, request: Request) -> Answer:
        def delete(job: Job) -> str:
            if job.state is State.ENDED:
                return "Request invalid for state of job" if self.torque else "Job has finished"
            self.cluster.cancel(job)
            return ""

        return self._each(request, delete)

    def qhold(self, request: Request) -> Answer:
        def hold(job: Job) -> str:
            if job.state is not State.PENDING:
                return "Request invalid for state of job"
            self.cluster.hold(job)
            return ""

        return self._each(request, hold)

    def qrls(self, request: Request) -> Answer:
        def release(job: Job) -> str:
            if job.state is State.ENDED:
                return "Request invalid for state of job"
            self.cluster.release(job)
            return ""

        return self._each(request, release)


def _chunks(wishes: Mapping[str, str]) -> tuple[int, int | None]:
    """Slots and memory in all, from ``select=2:ncpus=4:mem=1gb`` or ``nodes=2:ppn=4``."""
    memory_kb = kilobytes(wishes["mem"]) if "mem" in wishes else None
    chunk = (wishes.get("select") or wishes.get("nodes") or "1").split(":")
    count = int(chunk[0]) if chunk[0].isdecimal() else 1
    parts = dict(each.partition("=")[::2] for each in chunk[1:])
    if "mem" in parts:
        memory_kb = kilobytes(parts["mem"]) * count
    return count * int(parts.get("ncpus") or parts.get("ppn") or 1), memory_kb


def _begin(text: str) -> float:
    """``[[CC]YY]MMDDhhmm[.SS]``, local time."""
    if not text:
        return 0.0
    form = {8: "%m%d%H%M", 10: "%y%m%d%H%M", 12: "%Y%m%d%H%M"}.get(len(text.partition(".")[0]))
    if form is None:
        raise Refusal("qsub: illegal -a value", 2)
    return time.mktime(time.strptime(text, f"{form}.%S" if "." in text else form))
