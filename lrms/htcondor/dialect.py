"""
HTCondor: condor_submit, one condor_q for all jobs, condor_history about those that have left it, condor_rm.

The tag is an attribute of the job, ``ArexTag``. Attempts of one shape are one cluster, each with its own script: child
n is the process n - 1. An ended job stays in the queue for some minutes, so that one query shows it. The job's own
policy has its limits, with a reason for each, and removes it from the queue if it cannot continue.
If nodes do not see the session directories, HTCondor's own transfers move them: see ``lrms.htcondor.transfer``.
Source: condor_submit(1), condor_q(1), condor_history(1), job ClassAd attributes and hold reason codes in the manual
of HTCondor 23.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final, Self

from arex.clock import SystemClock
from arex.config.model import Configuration
from arex.errors import ConfigError, Fault, SubmitRejected, UnreadableOutput
from arex.model.grami import Grami
from arex.model.ids import LocalId
from arex.ports import Submission
from arex.process import Completed
from lrms.command.account import account_name
from lrms.command.arrays import named
from lrms.command.backend import CommandBackend
from lrms.command.dialect import Call, Dialect, Refusal, Rule, Seen, Work, at_least, job_name, no_answer, program
from lrms.command.listings import entries
from lrms.command.settings import CommandSettings
from lrms.htcondor import queue
from lrms.htcondor.files import Link, inputs, log_of
from lrms.htcondor.queue import ASKED, ATTRIBUTES, DOWN, OURS
from lrms.htcondor.transfer import FileTransfer
from lrms.jobscript.runtimes import settled
from lrms.jobscript.sandbox import BACK

log = logging.getLogger(__name__)

#: How long an ended job stays in the queue, seconds.
_KEPT_S: Final = 600
#: How long a payload may take to end after TERM, seconds.
_VACATE_S: Final = 30
#: How long after its wall time a job is removed, seconds, if its script has to send files back first.
_LATE_S: Final = 300
_GONE: Final = re.compile(r"not found|already (marked|completed|removed)|not held to be released", re.IGNORECASE)
_ACTED: Final = re.compile(r"marked for removal|held$|released$|^all jobs matching", re.IGNORECASE)
_UNSUITABLE: Final = re.compile(r"[\"'$\\\s]")
_NOT_POSSIBLE: Final = "a path in a submit description cannot contain spaces, quotes, backslashes or dollar signs"


@dataclass(frozen=True, slots=True, kw_only=True)
class CondorQueueOptions:
    """What the configuration says about one queue."""

    memory_mb: int | None = None
    requirements: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CondorOptions:
    bin: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)  #: CONDOR_CONFIG
    user: str = ""  #: the account that our jobs belong to; empty: unknown
    group: str = ""  #: accounting group
    rank: str = ""
    requirements: str = ""
    memory_mb: int | None = None
    queues: Mapping[str, CondorQueueOptions] = field(default_factory=dict)
    moves: bool = False  #: nodes do not see the session directories

    @classmethod
    def of(cls, config: Configuration) -> Self:
        lrms = config.lrms
        return cls(
            bin=lrms.condor_bin_path,
            environment={} if lrms.condor_config is None else {"CONDOR_CONFIG": str(lrms.condor_config)},
            user=account_name(),
            group=config.service.account,
            rank=lrms.condor_rank,
            requirements=lrms.condor_requirements,
            memory_mb=lrms.defaultmemory,
            queues={
                queue.name: CondorQueueOptions(memory_mb=queue.defaultmemory, requirements=queue.condor_requirements)
                for queue in config.queues
            },
            moves=not config.arex.shared_filesystem,
        )


class CondorDialect(Dialect):
    """See ``lrms.command.dialect.Dialect``."""

    name = "condor"
    kept_env = r"CONDOR_CONFIG|_CONDOR_\w+"
    clusters = True
    localid_words = '"$AREX_LOCALID"'
    rules: ClassVar[Sequence[Rule]] = (
        Rule(r"MAX_JOBS_PER_SUBMISSION", Refusal.ARRAY),
        Rule(r"MAX_JOBS_(SUBMITTED|PER_OWNER)", Refusal.LIMIT),
        Rule(DOWN.pattern, Refusal.UNSURE),
        Rule(r"parse error|failed to parse|invalid|no such (file|directory)|no 'executable'", Refusal.PERMANENT),
        Rule(r"can't open|not (a|an) (valid|executable|integer)|does not exist|must be|too long", Refusal.PERMANENT),
        # a SUBMIT_REQUIREMENT of the site says why in a separate line
        Rule(r"failed to commit job submission into the queue\.\s+ERROR: \S", Refusal.PERMANENT),
    )

    def __init__(self, options: CondorOptions) -> None:
        self._options = options

    def _call(self, command: str, *words: str, stdin: bytes = b"") -> Call:
        return Call((program(self._options.bin, command), *words), stdin=stdin, env=self._options.environment)

    # --- submitting ---

    def directives(self, submission: Submission) -> tuple[str, ...]:
        """
        None: they are in the submit description.

        Raises:
            SubmitRejected: the session directory has a name that a submit description cannot hold.
        """
        if _UNSUITABLE.search(str(submission.rundir)):
            raise SubmitRejected(f"HTCondor cannot work in {submission.grami.directory}: {_NOT_POSSIBLE}")
        return ()

    def shape(self, submission: Submission) -> tuple[object, ...]:
        return (*self._wishes(submission.grami), job_name(submission.grami.jobname), settled(submission).docker_image)

    def submit(self, work: Work) -> Call:
        lines = [
            *_universe(settled(work.first).docker_image),
            "executable = /bin/sh",
            "transfer_executable = false",
            *(_MOVED if self._options.moves else ("should_transfer_files = NO", "initialdir = /")),
            'environment = "AREX_LOCALID=$(Cluster).$(Process)"',
            "notification = never",
            f"job_max_vacate_time = {_VACATE_S}",
            f"leave_in_queue = JobStatus >= 3 && JobStatus <= 4 && time() - EnteredCurrentStatus < {_KEPT_S}",
            f"batch_name = {job_name(named(work.submissions).grami.jobname)}",
            *self._wishes(work.first.grami),
            *(_loaded(work) if self._options.moves else _processes(work)),
        ]
        text = "".join(f"{line}\n" for line in lines)
        return self._call("condor_submit", "-terse", stdin=text.encode(errors="surrogateescape"))

    def _wishes(self, grami: Grami) -> Iterator[str]:
        """Lines for what the job asks for."""
        options = self._options
        queue = options.queues.get(grami.queue, CondorQueueOptions())
        memory_mb = grami.memory_mb or queue.memory_mb or options.memory_mb
        yield f"request_cpus = {grami.count}"
        if memory_mb is not None:
            yield f"request_memory = {memory_mb * grami.count}"
        if grami.disk_mb is not None:
            yield f"request_disk = {grami.disk_mb * 1024}"
        yield f"priority = {grami.priority - 50}"
        if options.group:
            yield f"accounting_group = {options.group}"
        if options.rank:
            yield f"rank = {options.rank}"
        start = "" if grami.starttime is None else f"time() >= {math.ceil(grami.starttime.timestamp())}"
        # without a start marker that all nodes see, this prevents a second start before the policy removes the job
        once = "(MY.NumJobStarts ?: 0) == 0" if options.moves else ""
        wishes = (options.requirements, queue.requirements, start, once)
        if wanted := " && ".join(f"({each})" for each in wishes if each):
            yield f"requirements = {wanted}"
        if grami.queue:
            yield f"My.NordugridQueue = {_string(grami.queue)}"
        if grami.exclusivenode:
            yield "My.RequiresWholeMachine = True"
        yield from _policy(grami, moves=options.moves)

    def submitted(self, done: Completed, work: Work) -> LocalId:
        """The cluster, from ``12.0 - 12.3``."""
        for line in done.out.splitlines():
            found = re.fullmatch(r"(\d+)\.0 - (\d+)\.(\d+)", line.strip())
            if found and found[1] == found[2] and int(found[3]) == work.size - 1:
                return LocalId(found[1])
        raise UnreadableOutput(done.argv, done.code, done.out + done.err)

    def child(self, root: LocalId, index: int) -> LocalId:
        return LocalId(f"{root}.{index - 1}")

    def index(self, localid: LocalId) -> int | None:
        process = localid.partition(".")[2]
        return int(process) + 1 if process.isdecimal() else None

    # --- asking ---

    def listing(self, ids: Collection[LocalId]) -> Call:
        # one query for all: without a name, it lists the jobs of this account; as JSON, no jobs are empty output
        del ids
        return self._call("condor_q", "-xml", "-attributes", ",".join(ATTRIBUTES))

    def listed(self, done: Completed) -> Mapping[LocalId, Seen]:
        return queue.listed(done, self._options.user)

    def accounting(self, ids: Sequence[LocalId]) -> Call | None:
        """Query condor_history, which searches backwards from the newest record until it has found all."""
        words = ("-xml", "-attributes", ",".join(ATTRIBUTES), "-match", str(len(ids)), *sorted(ids))
        return self._call("condor_history", *words)

    def accounted(self, done: Completed) -> Mapping[LocalId, Seen]:
        found = self.listed(done)
        return {localid: seen for localid, seen in found.items() if seen is not entries.UNREADABLE}

    # --- acting ---

    def cancel(self, ids: Sequence[LocalId]) -> Call:
        return self._call("condor_rm", *ids)

    def hold(self, ids: Sequence[LocalId]) -> Call:
        """Hold only jobs that wait: a hold would end running jobs, and they cannot start again."""
        jobs = [found for localid in ids if (found := re.match(r"(\d+)\.(\d+)", localid))]
        them = " || ".join(f"ClusterId == {job[1]} && ProcId == {job[2]}" for job in jobs)
        return self._call("condor_hold", "-constraint", f"JobStatus == 1 && ({them or 'False'})")

    def release(self, ids: Sequence[LocalId]) -> Call:
        return self._call("condor_release", *ids)

    def refused(self, done: Completed, ids: Sequence[LocalId]) -> Mapping[LocalId, str]:
        lines = [line.strip() for line in f"{done.out}\n{done.err}".splitlines() if line.strip()]
        known = [line for line in lines if _GONE.search(line) or _ACTED.search(line)]
        refusals: dict[LocalId, str] = {}
        for line in lines:
            if line not in known:
                numbers = set(re.findall(r"\d+\.\d+", line))
                # no job matches the constraint: none of them waits
                whom = ids if line.startswith("Couldn't find") else [localid for localid in ids if localid in numbers]
                refusals |= dict.fromkeys(whom, line)
        if not (known or refusals) or DOWN.search(done.err):
            raise no_answer(done, DOWN)
        return refusals


def _universe(image: str) -> tuple[str, ...]:
    """The universe of a job; characters that could begin another line are dropped from the image's name."""
    if not image:
        return ("universe = vanilla",)
    return ("universe = docker", f"docker_image = {re.sub(r'[^!-~]', '', image)}")


def _processes(work: Work) -> Iterator[str]:
    """The lines about each attempt. Attempts differ by tag and session; only the last field may contain blanks."""
    first = work.first
    if not work.is_array:
        yield f'My.ArexTag = "{first.tag}"'
        yield f"arguments = \"'{work.script}'\""
        yield from _output(work.output)
        yield "queue"
        return
    yield 'My.ArexTag = "$(arex_tag)"'
    yield "arguments = \"'$(arex_session).lrms/$(arex_tag)/script'\""
    yield from _output("$(arex_session).comment")
    yield "queue arex_tag,arex_session from ("
    yield from (f"{each.tag} {each.grami.directory}" for each in work.submissions)
    yield ")"


def _output(path: str) -> Iterator[str]:
    yield f"output = {path}"
    yield f"error = {path}"


_MOVED: Final = (
    "should_transfer_files = YES",
    "when_to_transfer_output = ON_EXIT",
    f"transfer_output_files = {BACK}",
    "arguments = script",
)


def _loaded(work: Work) -> Iterator[str]:
    """Lists contain only names from arex, below the run directory, and no names of the job's files."""
    rundir = "$(arex_session).lrms/$(arex_tag)" if work.is_array else str(work.script.parent)
    yield 'My.ArexTag = "$(arex_tag)"'
    yield f"initialdir = {rundir}"
    yield f"transfer_input_files = script,{inputs('$(arex_key)')}/"
    yield f"log = {rundir}/{log_of('$(arex_key)')}"
    yield from _output("$(arex_session).comment")
    yield "queue arex_tag,arex_key,arex_session from ("
    for each, key in zip(work.submissions, work.keys, strict=True):
        yield f"{each.tag} {key} {each.grami.directory}"
    yield ")"


def _policy(grami: Grami, *, moves: bool) -> Iterator[str]:
    """
    What removes a job from the queue: its limits, a second start, and any hold that was not requested.

    A second start would be useless: the script takes the start marker before it runs the payload.
    """
    began, late_s = ("JobCurrentStartExecutingDate", _LATE_S) if moves else ("JobCurrentStartDate", 0)
    limits = {
        "walltime": (f"time() - {began}", None if grami.walltime_s is None else at_least(grami.walltime_s) + late_s),
        "cputime": ("RemoteUserCpu + RemoteSysCpu", None if grami.cputime_s is None else at_least(grami.cputime_s)),
        "memory": ("ResidentSetSize", None if grami.memory_mb is None else grami.memory_mb * grami.count * 1024),
    }
    rules = {name: f"JobStatus == 2 && {used} > {limit}" for name, (used, limit) in limits.items() if limit is not None}
    rules["preempted"] = "JobStatus == 1 && NumJobStarts > 0"
    reason = f'strcat("{OURS}", HoldReason)'
    for name, rule in rules.items():
        reason = f'ifThenElse(({rule}) =?= True, "{OURS}{name}", {reason})'
    asked = " && ".join(f"HoldReasonCode =!= {code}" for code in ASKED)
    rules["held"] = f"JobStatus == 5 && {asked}"
    yield f"periodic_remove = {' || '.join(f'(({rule}) =?= True)' for rule in rules.values())}"
    yield f"My.PeriodicRemoveReason = {reason}"


def _string(text: str) -> str:
    """A ClassAd string from a client's text: characters that could end it are replaced."""
    return '"' + re.sub(r"[^\w.:@+-]", "_", text, flags=re.ASCII) + '"'


class CondorBackend(CommandBackend):
    """The port over HTCondor."""

    @classmethod
    def from_config(cls, config: Configuration) -> Self:
        """
        Raises:
            ConfigError: a session root has a name that a submit description cannot hold.
        """
        cure = "use a directory without spaces, quotes, backslashes or dollar signs in its name"
        faults = [
            Fault(f"HTCondor cannot work below {entry.path}: {_NOT_POSSIBLE}", option="[arex] sessiondir", cure=cure)
            for entry in config.arex.sessiondir
            if _UNSUITABLE.search(str(entry.path))
        ]
        if faults:
            raise ConfigError(faults)
        options, settings, clock = CondorOptions.of(config), CommandSettings.of(config), SystemClock()
        caches = tuple(Link(each.link or str(each.path), str(each.path)) for each in config.cache.cachedir)
        transport = FileTransfer(clock, caches) if options.moves else None
        return cls(CondorDialect(options), settings, clock, transport)
