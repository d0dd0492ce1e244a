"""
SLURM: sbatch, one squeue for all jobs, sacct only about jobs that squeue has forgotten, scancel, scontrol.

The tag is the job's comment. Arrays are SLURM's own. Nothing of the daemon's environment gets into a job.
Source: sbatch(1), squeue(1), sacct(1), scancel(1), scontrol(1) of SLURM 22.05 and newer; the resource options are
those of ARC 6.17 (``docs/admins/lrms/slurm.md``).
"""

from __future__ import annotations

import itertools
import logging
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Final, Self

from arex.config.model import Configuration
from arex.errors import SubmitRejected, UnreadableOutput
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
    is_doubled,
    job_name,
    no_answer,
    plain_word,
    program,
)
from lrms.command.listings import entries
from lrms.command.settings import CommandSettings
from lrms.jobscript.runtimes import properties
from lrms.slurm import answers

log = logging.getLogger(__name__)

#: Let squeue and sacct print seconds of the epoch instead of local times. Source: squeue(1), sacct(1).
_EPOCH: Final = {"SLURM_TIME_FORMAT": "%s"}
_JOB_ID: Final = re.compile(r"\d{1,18}(_\d{1,18}|_\[.*\]?)?", re.ASCII)
_GONE: Final = re.compile(r"invalid job id|already (finished|completing|completed)|job/step already", re.IGNORECASE)
#: The client cannot reach its controller, or its configuration, which the controller has in a configless cluster.
#: These are SLURM's own words, which a site's sentence about a job will not contain.
_UNREACHED: Final = (
    r"unable to contact slurm|(socket|connection|message|receive) timed out|timed out on|connect failure|zero bytes|"
    r"standby mode|connection (refused|reset)|no route to host|fetch[_ ]config|config_source|"
    r"configuration source|dns srv|res_n?search|(could not|unable to|can't|failed to) resolve|getaddrinfo|"
    r"name or service not known|slurm\.conf|munge (en|de)code|munged|munge\.socket|(protocol|has) authentication|"
    r"authentication (error|plugin)|invalid (authentication )?credential|unexpected message received|"
    r"communication (connection|failure|shutdown)"
)
_DOWN: Final = re.compile(
    rf"{_UNREACHED}|unable to contact|timed out|communication|munge|authentication|unexpected message|"
    r"resource temporarily unavailable",
    re.IGNORECASE,
)
#: Characters of a word in a directive.
_WORD: Final = r"\w.,@%+=:/-"
_ABOUT: Final = re.compile(r"(?:job(?: id)?|error:)[ =](\d+(?:_\d+)?)|(?<!\d)(\d+(?:_\d+)?)\s*$")


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
    user_variable = "SLURM_JOB_USER"
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
        # before the words of refusals: "sbatch: error: ...: Unknown host" is none
        Rule(_UNREACHED, Refusal.UNSURE),
        # a request of this job that can never be met
        Rule(r"(assoc|qos)(\w*(per_?job|wall)|min)", Refusal.PERMANENT),
        Rule(r"violates accounting/qos policy", Refusal.LIMIT),
        Rule(r"unable to accept job|maximum number of jobs|maxjobcount|job submit limit", Refusal.LIMIT),
        Rule(r"required (partition|node) not available|reservation.*(busy|not available)", Refusal.LIMIT),
        Rule(r"partition configuration not available now", Refusal.LIMIT),
        Rule(r"temporarily unavailable|can't be reached now", Refusal.UNSURE),
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
        self.localid_words = "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"
        if options.clusters:
            self.localid_words += "${SLURM_CLUSTER_NAME:+@$SLURM_CLUSTER_NAME}"

    def _argv(self, command: str, *words: str) -> tuple[str, ...]:
        path = program(self._options.bin, command)
        return (path, *([f"--clusters={self._options.clusters}"] if self._options.clusters else []), *words)

    # --- submitting ---

    def directives(self, submission: Submission) -> tuple[str, ...]:
        """
        Raises:
            SubmitRejected: the session directory has a name that SLURM would change.
        """
        # with a backslash in the path, SLURM expands nothing, neither a doubled "%" nor the index of an array
        if "\\" in str(submission.comment):
            raise SubmitRejected(f"SLURM cannot use the path {submission.comment}: it contains a backslash")
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
            yield f"--begin={_begin(grami.starttime)}"
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
                return self.on_site_of(LocalId(f"{found[1]}@{cluster}" if cluster else found[1]))
        raise UnreadableOutput(done.argv, done.code, done.out + done.err)

    def child(self, root: LocalId, index: int) -> LocalId:
        number, at, cluster = root.partition("@")
        return LocalId(f"{number}_{index}{at}{cluster}")

    def index(self, localid: LocalId) -> int | None:
        index = localid.partition("@")[0].partition("_")[2]
        return int(index) if index.isdecimal() else None

    def output(self, path: Path) -> str:
        """SLURM expands ``%j``, ``%u`` and the like."""
        return str(path).replace("%", "%%")

    def site(self, localid: LocalId) -> str:
        return localid.partition("@")[2]

    def on_site_of(self, localid: LocalId, other: LocalId | None = None) -> LocalId:
        """Jobs that an earlier version of arex has submitted know their number only."""
        only = "" if "," in self._options.clusters else self._options.clusters
        cluster = only if other is None else self.site(other)
        return LocalId(f"{localid}@{cluster}") if cluster and not self.site(localid) else localid

    # --- asking ---

    def listing(self, ids: Collection[LocalId]) -> Call:
        del ids  # one query for all: they are this account's
        fields = ",".join(f"{name}:{width}|" for name, width in answers.FIELDS)
        words = ["-h", "-a", "-r", "-t", "all", "-u", str(os.geteuid()), "-O", fields]
        return Call(self._argv("squeue", *words), env=_EPOCH)

    def listed(self, done: Completed) -> Mapping[LocalId, Seen]:
        # an account that can't be looked up now, or one of several clusters: squeue says so, and exits with 0
        if done.code != 0 or "squeue: error:" in done.err:
            raise no_answer(done, _DOWN)
        jobs = answers.entries(done.out)
        said = [line for line in done.out.split("\n") if line.strip() and not line.startswith("CLUSTER:")]
        if (said and not jobs) or not done.out.endswith(("\n", "")[not done.out]):
            raise UnreadableOutput(done.argv, done.code, done.out[-1000:])
        return entries.listed(self.name, jobs, self._names, answers.listed)

    def _names(self, fields: Mapping[str, str]) -> Iterator[LocalId]:
        """
        Of one job, or of each child that ended as a part of its whole array.

        Raises:
            ValueError: there is no id.
        """
        if not _JOB_ID.fullmatch(fields["JobArrayID"]):
            raise ValueError(f"not a job id: {fields['JobArrayID']!r}")
        cluster = f"@{fields['Cluster']}" if self._options.clusters else ""
        whole = fields["JobArrayID"] == fields["ArrayJobID"]
        indices = answers.indices(fields["ArrayTaskID"]) if whole else iter(())
        if (first := next(indices, None)) is None:
            yield LocalId(f"{fields['JobArrayID']}{cluster}")
            return
        for index in itertools.chain((first,), indices):
            yield LocalId(f"{fields['ArrayJobID']}_{index}{cluster}")

    def accounting(self, ids: Sequence[LocalId]) -> Call | None:
        if not self.has_accounting:
            return None
        # without a start, sacct looks back to midnight only
        words = ["-n", "-P", "-X", "-S", "1970-01-01", "-j", ",".join(_plain(ids)), "-o", ",".join(answers.ACCOUNT)]
        return Call(self._for(ids, "sacct", *words), env=_EPOCH)

    def accounted(self, done: Completed) -> Mapping[LocalId, Seen]:
        if done.code != 0 or "storage is disabled" in done.err + done.out:
            if "storage is disabled" in done.err + done.out:
                log.info("this SLURM keeps no accounting records of ended jobs", extra={"event": "account.none"})
                self.has_accounting = False
            raise no_answer(done, _DOWN)
        cluster = next((f"@{word.partition('=')[2]}" for word in done.argv if word.startswith("--clusters=")), "")
        records = [line.split("|", len(answers.ACCOUNT) - 1) for line in done.out.split("\n") if line.strip()]
        # a reason may have any text of the site, so that a line may be the rest of one
        whole = [
            dict(zip(answers.ACCOUNT, words, strict=True)) for words in records if len(words) == len(answers.ACCOUNT)
        ]
        if records and not whole:
            raise UnreadableOutput(done.argv, done.code, done.out[-1000:])

        def name(record: Mapping[str, str]) -> list[LocalId]:
            if not _JOB_ID.fullmatch(record["JobID"]):
                raise ValueError(f"not a job id: {record['JobID']!r}")
            return [LocalId(f"{record['JobID']}{cluster}")]

        found = entries.listed(self.name, whole, name, answers.accounted)
        return {localid: seen for localid, seen in found.items() if seen is not entries.UNREADABLE}

    # --- acting ---

    def cancel(self, ids: Sequence[LocalId]) -> Call:
        return Call(self._for(ids, "scancel", *_plain(ids)))

    def hold(self, ids: Sequence[LocalId]) -> Call:
        return Call(self._for(ids, "scontrol", "hold", ",".join(_plain(ids))))

    def release(self, ids: Sequence[LocalId]) -> Call:
        return Call(self._for(ids, "scontrol", "release", ",".join(_plain(ids))))

    def _for(self, ids: Sequence[LocalId], command: str, *words: str) -> tuple[str, ...]:
        path = program(self._options.bin, command)
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
    """The run time, or what the CPU time comes to on this many slots; SLURM takes 0 minutes as unlimited."""
    if grami.walltime_s is not None:
        return max(60, grami.walltime_s)
    return None if grami.cputime_s is None else max(60, -(-grami.cputime_s // grami.count))


def _begin(when: datetime) -> str:
    """
    Local time; where the clock shows it twice, seconds of the epoch.

    Source: parse_time.c of SLURM, which takes ``uts`` and a number as a time.
    """
    return f"uts{int(when.timestamp())}" if is_doubled(when) else f"{host_time(when):%Y-%m-%dT%H:%M:%S}"


def _plain(ids: Sequence[LocalId]) -> list[str]:
    return [localid.partition("@")[0] for localid in ids]


class SlurmBackend(CommandBackend):
    """The port over SLURM."""

    @classmethod
    def from_config(cls, config: Configuration) -> Self:
        return cls(SlurmDialect(SlurmOptions.of(config)), CommandSettings.of(config))
