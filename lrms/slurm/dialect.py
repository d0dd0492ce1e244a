"""
SLURM: sbatch, one squeue for all jobs, sacct only about jobs that squeue has forgotten, scancel, scontrol.

The tag is the job's comment. Arrays are SLURM's own. Nothing of the daemon's environment gets into a job.
Source: sbatch(1), squeue(1), sacct(1), scancel(1), scontrol(1) of SLURM 22.05 and newer; the resource options are
those of ARC 6.17 (``docs/admins/lrms/slurm.md``).
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final, Self

from arex.config.model import Configuration
from arex.errors import UnreadableOutput
from arex.model.grami import Grami
from arex.model.ids import LocalId
from arex.model.report import EndCause
from arex.ports import Submission
from arex.process import Completed
from lrms.command.backend import CommandBackend
from lrms.command.dialect import (
    ArrayForm,
    Call,
    Dialect,
    Refusal,
    Rule,
    Seen,
    Work,
    host_time,
    job_name,
    no_answer,
    plain_word,
    program,
)
from lrms.command.settings import CommandSettings
from lrms.jobscript.runtimes import properties
from lrms.slurm import answers

log = logging.getLogger(__name__)

_GONE: Final = re.compile(r"invalid job id|already (finished|completing|completed)|job/step already", re.IGNORECASE)
_DOWN: Final = re.compile(
    r"unable to contact|timed out|connect failure|zero bytes|standby mode|communication|connection refused|"
    r"resource temporarily unavailable|munge|authentication|unexpected message",
    re.IGNORECASE,
)
#: Characters of a word in a directive.
_WORD: Final = r"\w.,@%+=:/-"
_ABOUT: Final = re.compile(r"(?:job(?: id)?|error:)[ =](\d+(?:_\d+)?)|(\d+(?:_\d+)?)\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmQueueOptions:
    """What the configuration says about one queue."""

    memory_mb: int | None = None
    extra: tuple[str, ...] = ()  #: lines of options of sbatch


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmOptions:
    bin: Path | None = None
    accounting: bool = True
    account: str = ""
    qos: str = ""
    clusters: str = ""
    extra: tuple[str, ...] = ()
    memory_mb: int | None = None
    queues: Mapping[str, SlurmQueueOptions] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Configuration) -> Self:
        lrms, service = config.lrms, config.service
        return cls(
            bin=lrms.slurm_bin_path,
            accounting=lrms.slurm_use_sacct,
            account=service.account,
            qos=service.qos,
            clusters=service.clusters,
            extra=requirements(lrms.slurm_requirements),
            memory_mb=lrms.defaultmemory,
            queues={
                queue.name: SlurmQueueOptions(
                    memory_mb=queue.defaultmemory, extra=requirements(queue.slurm_requirements)
                )
                for queue in config.queues
            },
        )


def requirements(text: str) -> tuple[str, ...]:
    r"""
    The lines of ``slurm_requirements``, without ``#SBATCH``; ``\n`` separates them.

    They go into the script unchanged, as with ARC 6.17: sbatch has its own rules for quotes, backslashes and ``#``.
    """
    lines = (line.strip().removeprefix("#SBATCH").strip() for line in text.replace("\\n", "\n").splitlines())
    return tuple(line for line in lines if line)


class SlurmDialect(Dialect):
    """See ``lrms.command.dialect.Dialect``."""

    name = "SLURM"
    array = ArrayForm(variable="SLURM_ARRAY_TASK_ID", placeholder="%a")
    localid_words = "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"
    node_words = '"${SLURMD_NODENAME:-$(hostname -f)}"'
    kept_env = "SLURM_CONF|SLURM_CONF_SERVER"
    said: ClassVar[Sequence[tuple[str, EndCause]]] = (
        # with several nodes on one host, the name has the node: slurmstepd-n1
        (r"slurmstepd\S*: error: .*(exceeded (job |step )?memory limit|oom.kill)", EndCause.MEMORY),
        (r"slurmstepd\S*: error: .*cancelled at .* due to time limit", EndCause.WALLTIME),
        (r"slurmstepd\S*: error: .*cancelled at .* due to preemption", EndCause.PREEMPTED),
        (r"slurmstepd\S*: error: .*cancelled at .* due to node failure", EndCause.NODE_FAILURE),
    )
    rules: ClassVar[Sequence[Rule]] = (
        Rule(r"invalid job array specification|array.*(too large|exceeds)", Refusal.ARRAY),
        # a request of this job that can never be met
        Rule(r"(assoc|qos)(\w*(per_?job|wall)|min)", Refusal.PERMANENT),
        Rule(r"violates accounting/qos policy", Refusal.LIMIT),
        Rule(r"unable to accept job|maximum number of jobs|maxjobcount|job submit limit", Refusal.LIMIT),
        Rule(r"required (partition|node) not available|reservation.*(busy|not available)", Refusal.LIMIT),
        Rule(r"partition configuration not available now", Refusal.LIMIT),
        Rule(
            r"unable to contact|timed out|zero bytes|standby mode|temporarily unavailable|can't be reached now",
            Refusal.UNSURE,
        ),
        Rule(r"unrecognized option|invalid option|option requires an argument", Refusal.PERMANENT),
        Rule(
            r"(batch job submission failed|sbatch: error): .*(invalid|unknown|not permitted|denied)",
            Refusal.PERMANENT,
        ),
        Rule(r"requested (node|time|partition|operation)|more processors requested", Refusal.PERMANENT),
        Rule(r"specification can not be satisfied|unable to satisfy|too (long|many)|not supported", Refusal.PERMANENT),
        Rule(r"group not permitted|account/partition|job dependency problem", Refusal.PERMANENT),
    )

    def __init__(self, options: SlurmOptions) -> None:
        self._options = options
        self.has_accounting = options.accounting

    def _argv(self, command: str, *words: str) -> tuple[str, ...]:
        path = program(self._options.bin, command)
        return (path, *([f"--clusters={self._options.clusters}"] if self._options.clusters else []), *words)

    # --- submitting ---

    def directives(self, submission: Submission) -> tuple[str, ...]:
        return tuple(f"#SBATCH {option}" for option in (*self._wishes(submission.grami), *properties(submission)))

    def _wishes(self, grami: Grami) -> Iterator[str]:
        queue = self._options.queues.get(grami.queue, SlurmQueueOptions())
        yield "--no-requeue"
        yield "--export=ALL"  # other values make SLURM read the account's profile on the node first, which takes long
        yield "--open-mode=append"
        if grami.queue:
            yield f"--partition={plain_word(grami.queue, _WORD)}"
        yield f"--nice={100 - grami.priority}"
        yield f"--job-name={job_name(grami.jobname)}"
        yield from _slots(grami)
        if (limit_s := _limit_s(grami)) is not None:
            yield f"--time={limit_s // 60}:{limit_s % 60}"
        memory_mb = grami.memory_mb or queue.memory_mb or self._options.memory_mb
        if memory_mb is not None:
            yield f"--mem-per-cpu={memory_mb}"
        if grami.starttime is not None:
            yield f"--begin={host_time(grami.starttime):%Y-%m-%dT%H:%M:%S}"
        if self._options.account:
            yield f"--account={plain_word(self._options.account, _WORD)}"
        if self._options.qos:
            yield f"--qos={plain_word(self._options.qos, _WORD)}"
        yield from self._options.extra
        yield from queue.extra

    def submit(self, work: Work) -> Call:
        array = [f"--array=1-{work.size}"] if work.is_array else []
        words = ["--parsable", f"--comment={work.tag}", f"--output={work.output}", *array, str(work.script)]
        return Call(self._argv("sbatch", *words), cwd=work.first.grami.directory)

    def submitted(self, done: Completed, work: Work) -> LocalId:
        """``12`` or, of another cluster, ``12;north``, which a shell would split."""
        del work
        for line in done.out.splitlines():
            if found := re.fullmatch(r"(\d+)(?:;([\w.-]+))?", line.strip()):
                cluster = found[2] if self._options.clusters else None
                return LocalId(f"{found[1]}@{cluster}" if cluster else found[1])
        raise UnreadableOutput(done.argv, done.code, done.out + done.err)

    def child(self, root: LocalId, index: int) -> LocalId:
        number, at, cluster = root.partition("@")
        return LocalId(f"{number}_{index}{at}{cluster}")

    def index(self, localid: LocalId) -> int | None:
        index = localid.partition("@")[0].partition("_")[2]
        return int(index) if index.isdecimal() else None

    def site(self, localid: LocalId) -> str:
        return localid.partition("@")[2]

    # --- asking ---

    def listing(self, ids: Collection[LocalId]) -> Call:
        del ids  # one query for all: they are this account's
        fields = ",".join(f"{name}:{width}|" for name, width in answers.FIELDS)
        return Call(self._argv("squeue", "-h", "-a", "-r", "-t", "all", "-u", str(os.geteuid()), "-O", fields))

    def listed(self, done: Completed) -> Mapping[LocalId, Seen]:
        # an account that can't be looked up now, or one of several clusters: squeue says so, and exits with 0
        if done.code != 0 or "squeue: error:" in done.err:
            raise no_answer(done, _DOWN)
        found: dict[LocalId, Seen] = {}
        for line in done.out.splitlines():
            if not line.strip() or line.startswith("CLUSTER:"):
                continue
            words = [word.strip() for word in line.rstrip("\n").split("|")]
            if len(words) != len(answers.FIELDS) + 1 or words[-1]:
                raise UnreadableOutput(done.argv, done.code, line)
            fields = dict(zip((name for name, _ in answers.FIELDS), words, strict=False))
            seen = answers.listed(fields)
            for localid in self._names(fields):
                found[localid] = seen
        return found

    def _names(self, fields: Mapping[str, str]) -> Iterator[LocalId]:
        """Of one job, or of each child that ended as a part of its whole array."""
        cluster = f"@{fields['Cluster']}" if self._options.clusters else ""
        whole = fields["JobArrayID"] == fields["ArrayJobID"]
        if whole and (indices := list(answers.indices(fields["ArrayTaskID"]))):
            yield from (LocalId(f"{fields['ArrayJobID']}_{index}{cluster}") for index in indices)
        else:
            yield LocalId(f"{fields['JobArrayID']}{cluster}")

    def accounting(self, ids: Collection[LocalId]) -> Call | None:
        if not self.has_accounting:
            return None
        numbers = ",".join(localid.partition("@")[0] for localid in ids)
        # without a start, sacct looks back to midnight only
        return Call(
            self._argv("sacct", "-n", "-P", "-X", "-S", "1970-01-01", "-j", numbers, "-o", ",".join(answers.ACCOUNT))
        )

    def accounted(self, done: Completed) -> Mapping[LocalId, Seen]:
        if done.code != 0 or "storage is disabled" in done.err + done.out:
            if "storage is disabled" in done.err + done.out:
                log.info("this SLURM keeps no accounting records of ended jobs", extra={"event": "account.none"})
                self.has_accounting = False
            raise no_answer(done, _DOWN)
        found: dict[LocalId, Seen] = {}
        for line in done.out.splitlines():
            words = line.split("|", len(answers.ACCOUNT) - 1)
            if len(words) != len(answers.ACCOUNT):
                raise UnreadableOutput(done.argv, done.code, line)
            found[LocalId(words[0])] = answers.accounted(dict(zip(answers.ACCOUNT, words, strict=True)))
        return found

    # --- acting ---

    def cancel(self, ids: Sequence[LocalId]) -> Call:
        return Call(self._for(ids, "scancel", *_plain(ids)))

    def hold(self, ids: Sequence[LocalId]) -> Call:
        return Call(self._for(ids, "scontrol", "hold", ",".join(_plain(ids))))

    def release(self, ids: Sequence[LocalId]) -> Call:
        return Call(self._for(ids, "scontrol", "release", ",".join(_plain(ids))))

    def _for(self, ids: Sequence[LocalId], command: str, *words: str) -> tuple[str, ...]:
        path = command if self._options.bin is None else str(self._options.bin / command)
        cluster = self.site(ids[0])
        return (path, *([f"--clusters={cluster}"] if cluster else []), *words)

    def refused(self, done: Completed, ids: Sequence[LocalId]) -> Mapping[LocalId, str]:
        refusals: dict[LocalId, str] = {}
        by_number = {localid.partition("@")[0]: localid for localid in ids}
        # scontrol ends with one more line, about its last job or "No error"
        lines = done.err.splitlines()
        for line in [line for line in lines if not line.startswith("slurm_suspend error: ")] or lines:
            if _DOWN.search(line):
                raise no_answer(done, _DOWN)
            if _GONE.search(line) or not line.strip():
                continue
            about = [one or other for one, other in _ABOUT.findall(line)]
            for localid in [by_number[number] for number in about if number in by_number] or ids:
                refusals[localid] = line.strip()
        return refusals


def _slots(grami: Grami) -> Iterator[str]:
    yield f"--ntasks={grami.count}"
    if grami.count > 1 and grami.countpernode is not None and grami.countpernode > 0:
        yield f"--ntasks-per-node={grami.countpernode}"
    if grami.exclusivenode:
        yield "--exclusive"


def _limit_s(grami: Grami) -> int | None:
    """The run time, or what the CPU time comes to on this many slots."""
    if grami.walltime_s is not None:
        return grami.walltime_s
    return None if grami.cputime_s is None else grami.cputime_s // grami.count


def _plain(ids: Sequence[LocalId]) -> list[str]:
    return [localid.partition("@")[0] for localid in ids]


class SlurmBackend(CommandBackend):
    """The port over SLURM."""

    @classmethod
    def from_config(cls, config: Configuration) -> Self:
        return cls(SlurmDialect(SlurmOptions.of(config)), CommandSettings.of(config))
