"""sbatch, squeue, scancel, scontrol, sacct, sinfo: as SLURM 22.05 and later speak."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from tests.fakes.cluster import slurmfields, slurmoptions
from tests.fakes.cluster.engine import End, Job, State
from tests.fakes.cluster.front import (
    Answer,
    FrontEnd,
    Refusal,
    Request,
    directives,
    kilobytes,
    numbers,
    options,
)

_GONE: Final = "Invalid job id specified"
_UNREACHABLE: Final = "Unable to contact slurm controller (connect failure)"
_BUSY: Final = "Socket timed out on send/recv operation"
_FORMAT: Final = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R"


class Slurm(FrontEnd):
    kills_one = True
    submitters = ("sbatch",)

    @property
    def commands(self) -> Mapping[str, Callable[[Request], Answer]]:
        return {
            "sbatch": self.sbatch, "squeue": self.squeue, "scancel": self.scancel, "scontrol": self.scontrol,
            "sacct": self.sacct, "sinfo": self.sinfo,
        }  # fmt: skip

    def environment(self, job: Job) -> Mapping[str, str]:
        found = {
            "SLURM_JOB_ID": str(job.raw), "SLURM_JOBID": str(job.raw), "SLURM_JOB_NAME": job.name,
            "SLURM_JOB_PARTITION": job.queue, "SLURM_NTASKS": str(job.slots), "SLURM_JOB_NODELIST": job.node,
            "SLURM_JOB_NUM_NODES": "1", "SLURMD_NODENAME": job.node, "SLURM_SUBMIT_DIR": str(job.cwd),
            "SLURM_CLUSTER_NAME": "fake", "SLURM_JOB_USER": job.owner,
        }  # fmt: skip
        if job.index is not None:
            found |= {"SLURM_ARRAY_JOB_ID": str(job.root), "SLURM_ARRAY_TASK_ID": str(job.index)}
        return found

    def filled(self, path: Path, job: Job) -> Path:
        values = {
            "j": job.raw,
            "A": job.root,
            "a": job.index or 0,
            "x": job.name,
            "u": job.owner,
            "N": job.node,
            "%": "%",
        }
        return Path(re.sub(r"%([jAaxuN%])", lambda match: str(values[match[1]]), str(path)))

    def farewell(self, job: Job) -> str:
        at = f"{slurmfields.stamp(time.time())} ***\n"
        match job.end:
            case End.CANCELLED:
                return f"slurmstepd: error: *** JOB {job.raw} ON {job.node} CANCELLED AT {at}"
            case End.WALLTIME:
                return (
                    f"slurmstepd: error: *** JOB {job.raw} ON {job.node} CANCELLED AT {at[:-4]}DUE TO TIME LIMIT ***\n"
                )
            case _:
                return ""

    # --- what goes wrong ---

    def failed(self, command: str) -> Answer:
        return Answer(err=_complaint(command, _BUSY), code=1)

    def down(self, command: str) -> Answer:
        if command == "sacct":
            return Answer(
                err="sacct: error: slurm_persist_conn_open_without_init: failed to open persistent connection to "
                "host:localhost:6819: Connection refused\nsacct: error: Sending PersistInit msg: Connection refused\n"
                "sacct: error: Problem talking to the database: Connection refused\n",
                code=1,
            )
        return Answer(err=_complaint(command, _UNREACHABLE), code=1)

    def over_limit(self) -> Answer:
        return Answer(
            err="sbatch: error: QOSMaxSubmitJobPerUserLimit\n"
            + _complaint(
                "sbatch", "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
            ),
            code=1,
        )

    def foreign(self, answer: Answer) -> Answer:
        return Answer(
            answer.out.replace("Submitted batch job", "Stapelauftrag angenommen:"),
            "sbatch: Fehler: Die Übertragung des Stapelauftrags schlug fehl\n" if answer.code else answer.err,
            answer.code,
        )

    # --- sbatch ---

    def sbatch(self, request: Request) -> Answer:
        try:
            given, operands = options(request.argv, slurmoptions.SBATCH, stops=True)
        except Refusal as exc:
            raise Refusal(f'sbatch: {exc}\nTry "sbatch --help" for more information', 1) from exc
        if "version" in given:
            return Answer(f"slurm {self.settings.slurm}\n")
        text = slurmoptions.script(request, operands)
        try:
            given = options(directives(text, "#SBATCH"), slurmoptions.SBATCH)[0] | given
        except Refusal as exc:
            raise Refusal(f'sbatch: {exc}\nTry "sbatch --help" for more information', 1) from exc
        indices = numbers(given["array"].partition("%")[0]) if "array" in given else []
        root = self.cluster.submit(self._job(request, given, text, operands), indices).root
        cluster = given.get("clusters", "").partition(",")[0]
        if "parsable" in given:
            return Answer(f"{root};{cluster}\n" if cluster else f"{root}\n")
        return Answer(f"Submitted batch job {root}{f' on cluster {cluster}' if cluster else ''}\n")

    def _job(self, request: Request, given: Mapping[str, str], text: str, operands: list[str]) -> Job:
        slots = int(given.get("ntasks", "1")) * int(given.get("cpus-per-task", "1"))
        if slots > self.settings.slots:
            raise Refusal(_complaint("sbatch", "Requested node configuration is not available").rstrip())
        memory_kb = kilobytes(given["mem-per-cpu"]) * slots if "mem-per-cpu" in given else None
        if "mem" in given:
            memory_kb = kilobytes(given["mem"])
        limit = slurmoptions.minutes(given["time"]) if "time" in given else None
        array = "array" in given
        return Job(
            name=given.get("name", Path(operands[0]).name if operands else "sbatch"),
            script=self.spool(text),
            cwd=Path(request.cwd, given.get("chdir", "")),
            output=Path(given.get("output", "slurm-%A_%a.out" if array else "slurm-%j.out")),
            errors=Path(given["error"]) if given.get("error", given.get("output")) != given.get("output") else None,
            append=given.get("open-mode", "truncate").startswith("a"),
            queue=self.queue(
                given.get("partition", ""), _complaint("sbatch", "Invalid partition name specified").rstrip()
            ),
            account=given.get("account", ""),
            environment=slurmoptions.exported(request.environment, given.get("export", "ALL")),
            umask=request.umask,
            slots=slots,
            wall_s=None if limit is None else limit * self.settings.minute_s,
            memory_kb=memory_kb,
            begin=slurmoptions.begin(given.get("begin", "")),
            held="hold" in given,
            words={"comment": given["comment"]} if "comment" in given else {},
        )

    # --- squeue ---

    def squeue(self, request: Request) -> Answer:
        try:
            given, operands = options(slurmoptions.with_jobs(request.argv), slurmoptions.SQUEUE)
        except Refusal as exc:
            raise Refusal(f'squeue: {exc}\nTry "squeue --help" for more information', 1) from exc
        if "version" in given:
            return Answer(f"slurm {self.settings.slurm}\n")
        if operands:
            raise Refusal(
                f'squeue: error: Unrecognized option: {operands[0]}\nTry "squeue --help" for more information'
            )
        jobs = self.cluster.known()
        if given.get("jobs"):
            wanted = given["jobs"].split(",")
            jobs = [each for each in jobs if {slurmfields.local_id(each), str(each.root), str(each.raw)} & set(wanted)]
            if len(wanted) == 1 and not jobs:
                raise Refusal(f"slurm_load_jobs error: {_GONE}")
        jobs = self._wanted(jobs, given)
        write = partial(slurmfields.line, given.get("format", _FORMAT))
        if "Format" in given:
            write = partial(slurmfields.long_line, given["Format"], self.settings.slurm)
        lines = [] if "noheader" in given else [write(None)]
        lines += [write(job, rest) for job, rest in slurmfields.folded(jobs, fold="array" not in given)]
        header = f"CLUSTER: {given['clusters']}\n" if "clusters" in given and "noheader" not in given else ""
        return Answer(header + "".join(f"{each}\n" for each in lines))

    def _wanted(self, jobs: list[Job], given: Mapping[str, str]) -> list[Job]:
        """Those that the other options leave."""
        states = set(given.get("states", "PENDING,RUNNING,SUSPENDED,COMPLETING").upper().split(","))
        words = {each.raw: slurmfields.word(each) for each in jobs}
        if states != {"ALL"}:
            jobs = [each for each in jobs if {words[each.raw], slurmfields.COMPACT[words[each.raw]]} & states]
        if "user" in given:
            jobs = [each for each in jobs if {each.owner, str(os.getuid())} & set(given["user"].split(","))]
        for option, value in (("partition", "queue"), ("name", "name")):
            if option in given:
                jobs = [each for each in jobs if getattr(each, value) in given[option].split(",")]
        return jobs

    # --- the others ---

    def find(self, localid: str) -> list[Job]:
        match = re.fullmatch(r"(\d+)(?:_(\d+)|_\[(.+)\])?", localid)
        if match is None:
            return []
        jobs = [each for each in self.cluster.known() if each.root == int(match[1])]
        if match[2] or match[3]:
            return [each for each in jobs if each.index in numbers(match[2] or match[3])]
        return jobs or [each for each in self.cluster.known() if each.raw == int(match[1])]

    def scancel(self, request: Request) -> Answer:
        given, operands = options(
            request.argv,
            {"-M": "clusters=", "--clusters": "clusters=", "-Q": "quiet", "--quiet": "quiet", "-v": "verbose",
             "-u": "user=", "--user": "user=", "--me": "me", "-s": "signal=", "--signal": "signal=",
             "-n": "name=", "--name": "name=", "-V": "version", "--version": "version"},
        )  # fmt: skip
        if "version" in given:
            return Answer(f"slurm {self.settings.slurm}\n")
        if not operands and not {"user", "me", "name"} & set(given):
            raise Refusal("scancel: error: No job identification provided")
        if not operands:
            found = [each for each in self.cluster.known() if given.get("name", each.name) == each.name]
            for job in found:
                self.cluster.cancel(job)
            return Answer()
        for localid in (each for operand in operands for each in re.split(r",(?![^\[]*\])", operand)):
            if not re.fullmatch(r"\d+(_(\d+|\[.+\]))?", localid):
                return Answer(err=f"scancel: error: Invalid job id {localid}\n", code=1)
            # that a job has gone is worth neither a word nor an exit code
            for job in self.find(localid):
                self.cluster.cancel(job)
        return Answer()

    def scontrol(self, request: Request) -> Answer:
        given, operands = options(
            request.argv,
            {"-o": "oneliner", "--oneliner": "oneliner", "-Q": "quiet", "-M": "clusters=", "--clusters": "clusters=",
             "-d": "details", "-V": "version", "--version": "version"},
        )  # fmt: skip
        if "version" in given:
            return Answer(f"slurm {self.settings.slurm}\n")
        match operands:
            case ["hold" | "uhold" | "release" as what, *ids]:
                return self._hold(what, [one for each in ids for one in re.split(r",(?![^\[]*\])", each)])
            case ["show", "config", *_]:
                return Answer(self._config())
            case ["show", "job" | "jobs", *ids]:
                jobs = [job for each in ids for job in self.find(each)] if ids else self.cluster.known()
                if ids and not jobs:
                    raise Refusal(f"slurm_load_jobs error: {_GONE}")
                return Answer("".join(slurmfields.record(job, oneliner="oneliner" in given) for job in jobs))
            case ["ping"]:
                return Answer(f"Slurmctld(primary) at {socket.gethostname()} is UP\n")
            case _:
                return Answer(err=f"invalid keyword: {operands[0] if operands else ''}\n", code=1)

    def _hold(self, what: str, ids: list[str]) -> Answer:
        errors = ""
        for localid in ids:
            jobs = self.find(localid)
            if not jobs:
                errors += f"{_GONE} for job {localid}\n"
            for job in jobs:
                if job.state is not State.PENDING:
                    errors += f"Job is no longer pending execution for job {localid}\n"
                elif what == "release":
                    self.cluster.release(job)
                else:
                    self.cluster.hold(job)
        return Answer(err=errors, code=1 if errors else 0)

    def _config(self) -> str:
        return (
            f"Configuration data as of {slurmfields.stamp(time.time())}\nAccountingStorageType   = "
            f"{'accounting_storage/slurmdbd' if self.settings.accounting else 'accounting_storage/none'}\n"
            f"ClusterName             = fake\nMaxArraySize            = 1001\nMaxJobCount             = 10000\n"
            f"MinJobAge               = {int(self.settings.min_age_s)} sec\nKillWait                = 30 sec\n"
            f"SLURM_VERSION           = {self.settings.slurm}\n"
        )

    def sinfo(self, request: Request) -> Answer:
        del request
        queues = self.settings.queues or ("main",)
        head = f"{'PARTITION':<9} AVAIL  TIMELIMIT  NODES  STATE NODELIST\n"
        lines = (
            f"{each + ('*' if each == queues[0] else ''):<9}    up   infinite      4   idle node[1-4]"
            for each in queues
        )
        return Answer(head + "".join(f"{each}\n" for each in lines))

    # --- sacct ---

    def sacct(self, request: Request) -> Answer:
        given, _ = options(request.argv, slurmoptions.SACCT)
        if "version" in given:
            return Answer(f"slurm {self.settings.slurm}\n")
        if not self.settings.accounting:
            return Answer(err="Slurm accounting storage is disabled\n", code=1)
        jobs = list(self.cluster.jobs.values())
        if "jobs" in given:
            wanted = set(given["jobs"].split(","))
            jobs = [each for each in jobs if {slurmfields.local_id(each), str(each.root)} & wanted]
        names = given.get("format", "JobID,JobName,Partition,Account,AllocCPUS,State,ExitCode").split(",")
        rows = [] if "noheader" in given else [list(names)]
        for job in jobs:
            rows += self._rows(job, names, steps="allocations" not in given)
        if "parsable2" in given:
            return Answer("".join("|".join(row) + "\n" for row in rows))
        if "parsable" in given:
            return Answer("".join("|".join(row) + "|\n" for row in rows))
        return Answer("".join(" ".join(f"{each[:12]:>12}" for each in row) + " \n" for row in rows))

    def _rows(self, job: Job, names: list[str], *, steps: bool) -> list[list[str]]:
        late = job.ended is not None and job.ended + self.settings.accounting_lag_s > time.time()
        rows = [slurmfields.accounted(job, "", late=late)]
        if steps and job.started is not None:
            rows += [slurmfields.accounted(job, "batch", late=late), slurmfields.accounted(job, "extern", late=late)]
        known = [{key.lower(): value for key, value in row.items()} for row in rows]
        try:
            return [[row[name.partition("%")[0].lower()] for name in names] for row in known]
        except KeyError as exc:
            raise Refusal(f'sacct: fatal: Invalid field requested: "{exc.args[0]}"') from exc


def _complaint(command: str, what: str) -> str:
    match command:
        case "sbatch":
            return f"sbatch: error: Batch job submission failed: {what}\n"
        case "squeue":
            return f"slurm_load_jobs error: {what}\n"
        case "scontrol":
            return f"slurm_update error: {what}\n"
        case _:
            return f"{command}: error: {what}\n"
