"""
PBS: OpenPBS and PBS Professional, and Torque, which share little but the names of the commands.

The tag is a variable of the job's environment, which qstat lists. One qstat lists all jobs, ended ones as long as
the server remembers them: JSON from OpenPBS, XML from Torque. Exit statuses below 0 are the server's own verdicts.
Source: qsub(1B), qstat(1B), job.h, pbs_messages.c of OpenPBS 23.06; qsub(1), qstat(1), pbs_job.h, pbs_error_db.h of
Torque 6.1.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Final, Self

from arex.config.model import Configuration
from arex.errors import SubmitRejected, UnreadableOutput
from arex.model.grami import Grami
from arex.model.ids import LocalId
from arex.model.report import EndCause, Phase
from arex.ports import Submission
from arex.process import Completed
from lrms.command.account import account_name
from lrms.command.backend import CommandBackend
from lrms.command.dialect import (
    ArrayForm,
    Call,
    Dialect,
    Refusal,
    Rule,
    Seen,
    Work,
    at_least,
    job_name,
    no_answer,
    plain_word,
    program,
    single_time,
    unknown_state,
)
from lrms.command.listings import entries
from lrms.command.settings import CommandSettings
from lrms.command.versioned import VersionedDialect
from lrms.jobscript.runtimes import properties
from lrms.pbs.qstat import JOB_ID, TAG_VARIABLE, QstatEntry, QstatJob, read_json, read_text, read_xml

log = logging.getLogger(__name__)

#: Letters of ``job_state``; B (an array that has begun) is never a job of ours. Source: qstat(1B) of both.
STATES: Final[Mapping[str, Phase]] = {
    "Q": Phase.QUEUED,
    "W": Phase.QUEUED,  # for its start time
    "T": Phase.QUEUED,  # between two queues
    "H": Phase.HELD,
    "R": Phase.RUNNING,
    "S": Phase.SUSPENDED,
    "U": Phase.SUSPENDED,  # the owner of the workstation is back
    "E": Phase.EXITING,
    "B": Phase.RUNNING,
    "M": Phase.OTHER,  # another server has it
    "C": Phase.ENDED,
    "F": Phase.ENDED,
    "X": Phase.ENDED,  # a child whose array continues
}
_GONE: Final = re.compile(
    r"unknown job ?id|job has finished|state for job - complete|job already in exit state|finished array subjob|"
    r"delete already in progress|job is not in queue|job not found",
    re.IGNORECASE,
)
_DOWN: Final = re.compile(
    r"cannot connect|connection refused|errno=|batch protocol error|end of file|\btime ?out\b|too busy|shutting down|"
    r"no route to host|trqauthd|pbs_iff|munge|could not contact",
    re.IGNORECASE,
)
#: Characters that PBS interprets in the path of an output file: a host before it, variables, the index of an array.
_SPECIAL: Final = ": , $ ^"
_UNSUITABLE: Final = re.compile(r"[:,$^\n]")
_WAITS: Final = re.compile(
    r"not running: (insufficient|host set|not enough|job would conflict)|not running$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PbsQueueOptions:
    """What the configuration says about one queue."""

    memory_mb: int | None = None
    node_property: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PbsOptions:
    bin: Path | None = None
    account: str = ""
    user: str = ""  #: the account that our jobs belong to; empty: unknown
    login: bool = False
    memory_mb: int | None = None
    queues: Mapping[str, PbsQueueOptions] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Configuration) -> Self:
        return cls(
            bin=config.lrms.pbs_bin_path,
            account=config.service.account,
            user=account_name(),
            login=config.service.login_shell,
            memory_mb=config.lrms.defaultmemory,
            queues={
                queue.name: PbsQueueOptions(memory_mb=queue.defaultmemory, node_property=queue.pbs_queue_node)
                for queue in config.queues
            },
        )


class PbsDialect(Dialect):
    """OpenPBS and PBS Professional from 14 on; see ``lrms.command.dialect.Dialect``."""

    name = "pbs"
    array: ClassVar[ArrayForm | None] = ArrayForm(variable="PBS_ARRAY_INDEX", placeholder="^array_index^")
    localid_words = "$PBS_JOBID"
    kept_env = "PBS_(CONF_FILE|EXEC|SERVER|DEFAULT|AUTH_METHOD)"
    rules: ClassVar[Sequence[Rule]] = (
        Rule(rf"{_DOWN.pattern}|invalid credential|unknown host", Refusal.UNSURE),
        Rule(r"array job exceeds|array.*(size limit|too large|too big)|max_?job_?array_?size", Refusal.ARRAY),
        Rule(r"bad job array request|does not allow job arrays", Refusal.ARRAY),
        Rule(r"maximum number of jobs|would exceed", Refusal.LIMIT),
        Rule(r"queue is not enabled|queue is currently not available|exceeded number of licensed", Refusal.LIMIT),
        Rule(r"unknown (queue|resource|node)|no default queue", Refusal.PERMANENT),
        Rule(r"unauthorized request|access to queue is denied|access from host|bad (u|g)id for", Refusal.PERMANENT),
        Rule(r"(violates|exceeds) queue|exceeds allowable|doesn't meet minimum", Refusal.PERMANENT),
        Rule(r"illegal|illegally|invalid|incompatible|may not (be|mix)|can not be combined", Refusal.PERMANENT),
        Rule(r"rejected by all possible destinations|administratively rejected|hook rejected", Refusal.PERMANENT),
        Rule(r"queue does not allow|script.*(cannot|can not) be|cannot access script|^usage: qsub", Refusal.PERMANENT),
    )
    said: ClassVar[Sequence[tuple[str, EndCause]]] = (
        (r"=>> PBS: job killed: p?walltime \d+ exceeded limit", EndCause.WALLTIME),
        (r"=>> PBS: job killed: p?cput (\d+ )?exceeded limit", EndCause.CPUTIME),
        (r"=>> PBS: job killed: p?v?mem (\w+ )?exceeded limit", EndCause.MEMORY),
        (r"=>> PBS: job killed: .* exceeded limit", EndCause.CANCELLED_BY_LIMIT),
    )
    #: verdicts of the server in place of an exit status; None: other attributes tell the cause
    ends: ClassVar[Mapping[int, EndCause | None]] = {
        -4: EndCause.NODE_FAILURE, -5: EndCause.NODE_FAILURE, -6: EndCause.NODE_FAILURE, -11: None,
        -12: EndCause.PREEMPTED, -14: EndCause.NODE_FAILURE, -15: None, -18: EndCause.CANCELLED_BY_ADMIN,
        -19: EndCause.CANCELLED_BY_ADMIN, -20: EndCause.NODE_FAILURE, -24: EndCause.CANCELLED_BY_LIMIT,
        -25: EndCause.CANCELLED_BY_LIMIT, -26: EndCause.MEMORY, -27: EndCause.MEMORY, -28: EndCause.CPUTIME,
        -29: EndCause.WALLTIME, -30: EndCause.NODE_FAILURE,
    }  # fmt: skip

    def __init__(self, options: PbsOptions) -> None:
        self._options = options
        self._history = True  #: whether the server remembers ended jobs, which an answer shows
        self._json = True  #: whether its JSON can be parsed, which an answer shows too

    def __str__(self) -> str:
        return "OpenPBS"

    def _argv(self, command: str, *words: str) -> tuple[str, ...]:
        return (program(self._options.bin, command), *words)

    # --- submitting ---

    def directives(self, submission: Submission) -> tuple[str, ...]:
        """
        Raises:
            SubmitRejected: the session directory has a name that PBS would change.
        """
        if _UNSUITABLE.search(str(submission.comment)):
            raise SubmitRejected(f"PBS cannot use the path {submission.comment}: it has a character of {_SPECIAL}")
        return tuple(f"#PBS {option}" for option in self._wishes(submission.grami, properties(submission)))

    def _wishes(self, grami: Grami, wanted: Sequence[str]) -> Iterator[str]:
        # otherwise the owner's shell runs the script; PBS starts any shell as a login shell
        yield f"-S {'/bin/bash' if self._options.login else self.interpreter}"
        yield f"-N {job_name(grami.jobname)}"
        yield "-j oe"
        yield "-m n"
        yield "-r n"
        if grami.queue:
            yield f"-q {plain_word(grami.queue)}"
        if self._options.account:
            yield f"-A {plain_word(self._options.account)}"
        if priority := max(-1024, min((grami.priority - 50) * 20, 1023)):
            yield f"-p {priority}"
        if grami.starttime is not None:
            yield f"-a {single_time(grami.starttime):%Y%m%d%H%M.%S}"
        queue = self._options.queues.get(grami.queue, PbsQueueOptions())
        queue = replace(queue, node_property=":".join(filter(None, (queue.node_property, *wanted))))
        yield from self.resources(grami, queue, grami.memory_mb or queue.memory_mb or self._options.memory_mb)
        if grami.walltime_s is not None:
            yield f"-l walltime={at_least(grami.walltime_s)}"
        if grami.cputime_s is not None:
            yield f"-l cput={at_least(grami.cputime_s)}"

    def resources(self, grami: Grami, queue: PbsQueueOptions, memory_mb: int | None) -> Iterator[str]:
        """Options for slots, nodes and memory, which OpenPBS and Torque spell differently."""
        chunks, slots = _shape(grami)
        memory = "" if memory_mb is None else f":mem={memory_mb * slots}mb"
        wanted = filter(None, queue.node_property.split(":"))
        where = "".join(f":{each}" if "=" in each else f":{each}=True" for each in wanted)
        yield f"-l select={chunks}:ncpus={slots}{memory}{where}"
        if grami.exclusivenode:
            yield "-l place=excl"

    def submit(self, work: Work) -> Call:
        # an array must allow reruns; a second run ends at the start marker
        array = ["-r", "y", "-J", f"1-{work.size}"] if work.is_array else []
        return self._submit(work, array)

    def _submit(self, work: Work, array: Sequence[str]) -> Call:
        words = ["-v", f"{TAG_VARIABLE}={work.tag}", "-o", work.output, *array, str(work.script)]
        return Call(self._argv("qsub", *words), cwd=work.first.grami.directory)

    def submitted(self, done: Completed, work: Work) -> LocalId:
        del work
        for line in done.out.splitlines():
            if re.fullmatch(r"\d+(\[\])?\.[A-Za-z0-9_.-]+", line.strip(), re.ASCII):
                return LocalId(line.strip())
        raise UnreadableOutput(done.argv, done.code, done.out + done.err)

    def child(self, root: LocalId, index: int) -> LocalId:
        number, _, server = root.partition("[]")
        return LocalId(f"{number}[{index}]{server}")

    def index(self, localid: LocalId) -> int | None:
        found = JOB_ID.fullmatch(localid)
        index = found and (found[2] or found[3])
        return int(index) if index else None

    # --- asking ---

    def listing(self, ids: Collection[LocalId]) -> Call:
        del ids  # with ids, some versions show the first job only
        words = [*(["-x"] if self._history else []), "-f", "-t", *(["-F", "json"] if self._json else [])]
        return Call(self._argv("qstat", *words))

    def listed(self, done: Completed) -> Mapping[LocalId, Seen]:
        # without its server, qstat still prints JSON, without jobs
        if done.code != 0 or _DOWN.search(done.err):
            self._learn(done.err + done.out)
            raise no_answer(done, _DOWN)
        try:
            found = read_json(done) if self._json else read_text(done)
        except UnreadableOutput:
            if done.out.rstrip().endswith("}"):  # complete, and in no form that can be repaired
                log.info(
                    "qstat returned invalid JSON: arex reads its text output from now on", extra={"event": "lrms.json"}
                )
                self._json = False
            raise
        return self._jobs(found, done)

    def _learn(self, said: str) -> None:
        """What this installation cannot do is not requested again."""
        if "maintain job history" in said:
            log.info("this PBS keeps no history: it forgets a job as soon as it ends", extra={"event": "lrms.history"})
            self._history = False
        elif re.search(r"(invalid|illegal|unrecognized) option|^usage", said, re.MULTILINE):
            self._json = False

    def _jobs(self, found: Sequence[QstatEntry], done: Completed) -> Mapping[LocalId, Seen]:
        """The jobs without the entries of whole arrays, whose children are listed too."""
        named = [entry for entry in found if JOB_ID.fullmatch(entry.name)]
        if found and not named:
            raise UnreadableOutput(done.argv, done.code, done.out)
        single = [entry for entry in self._ours(named) if "[]" not in entry.name]
        counts = Counter(entry.name for entry in single)
        seen = entries.listed(self.name, single, lambda entry: [LocalId(entry.name)], self._read)
        return {localid: entries.TWICE if counts[localid] > 1 else each for localid, each in seen.items()}

    def _ours(self, found: Sequence[QstatEntry]) -> Iterator[QstatEntry]:
        """
        The entries without those of jobs of other accounts: anyone can copy a tag, but not the name of the owner.

        An entry after one of another account may be text in its environment, if the answer has such a form.
        """
        others = False
        for entry in found:
            owner = _owner(entry)
            if not self._options.user or owner == self._options.user:
                yield replace(entry, quotable=entry.quotable and others)
                continue
            others = True
            if not owner:  # it can have any owner
                yield entry

    def _read(self, entry: QstatEntry) -> Seen:
        seen = self._seen(entry.job())
        if entry.quotable and seen.phase is Phase.ENDED:
            # what tells how a job has ended must not be another account's text
            return Seen(phase=Phase.ENDED, word=seen.word.partition(" ")[0], tag=seen.tag)
        return seen

    def _seen(self, job: QstatJob) -> Seen:
        letter = job.text("job_state")
        if letter not in STATES:
            unknown_state("PBS", letter)
        phase = STATES.get(letter, Phase.OTHER)
        common = {"tag": job.tag, "nodes": job.nodes, "started": job.started, "usage": job.usage}
        if phase is not Phase.ENDED:
            why = job.text("comment") if phase in {Phase.QUEUED, Phase.HELD} else ""
            message = f"waits: {why}" if why and not _WAITS.match(why) else ""
            return Seen(phase=phase, word=f"{letter} ({why})" if why else letter, message=message, **common)  # type: ignore[arg-type]
        status = job.exit_status
        said = "no exit status" if status is None else f"exit status {status}"
        return Seen(
            phase=phase,
            word=f"{letter} ({said})",
            cause=self.cause(job, status),
            exit_code=status if status is not None and 0 <= status < 256 else None,
            signal=status - 256 if status is not None and status > 256 else None,
            ended=job.ended,
            message=job.text("comment") if status else "",
            **common,  # type: ignore[arg-type]
        )

    def cause(self, job: QstatJob, status: int | None) -> EndCause | None:
        """Why the job ended, from its exit status and other attributes; None if they do not tell."""
        comment = job.text("comment")
        if status is not None and status < 0:
            cause = self.ends.get(status, EndCause.NEVER_STARTED)
            if cause is not None:
                return cause
        if status in {137, 143, 265, 271} and (exceeded := job.exceeded()) is not None:
            return exceeded
        if "preempted" in comment.lower():
            return EndCause.PREEMPTED
        if job.text("substate") == "91" or " terminated" in comment:
            killer = comment.rpartition(" terminated by ")[2].partition("@")[0]
            return EndCause.CANCELLED if killer == job.owner else EndCause.CANCELLED_BY_ADMIN
        if status is None or status < 0:
            return None
        return EndCause.EXIT_CODE if status < 256 else EndCause.SIGNAL

    # --- acting ---

    def cancel(self, ids: Sequence[LocalId]) -> Call:
        return Call(self._argv("qdel", *ids))

    def hold(self, ids: Sequence[LocalId]) -> Call:
        return Call(self._argv("qhold", *ids))

    def release(self, ids: Sequence[LocalId]) -> Call:
        return Call(self._argv("qrls", *ids))

    def refused(self, done: Completed, ids: Sequence[LocalId]) -> Mapping[LocalId, str]:
        refusals: dict[LocalId, str] = {}
        ending = Path(done.argv[0]).name == "qdel"
        for line in done.err.splitlines():
            if not line.strip() or _GONE.search(line) or (ending and "request invalid for state" in line.lower()):
                continue
            if _DOWN.search(line):
                raise no_answer(done, _DOWN)
            for localid in [each for each in ids if each in line.split()] or ids:
                refusals[localid] = line.strip()
        return refusals


class TorqueDialect(PbsDialect):
    """Torque from 2.5 on. It appends a dash and the index to the name of a child's output file."""

    array: ClassVar[ArrayForm | None] = ArrayForm(variable="PBS_ARRAYID", placeholder="out", link="out-{}")
    ends: ClassVar[Mapping[int, EndCause | None]] = {
        -4: EndCause.NODE_FAILURE, -5: EndCause.NODE_FAILURE, -6: EndCause.NODE_FAILURE, -10: EndCause.MEMORY,
        -11: EndCause.WALLTIME, -12: EndCause.CPUTIME,
    }  # fmt: skip

    def __str__(self) -> str:
        return "Torque"

    def resources(self, grami: Grami, queue: PbsQueueOptions, memory_mb: int | None) -> Iterator[str]:
        nodes, slots = _shape(grami)
        where = f":{queue.node_property}" if queue.node_property else ""
        yield f"-l nodes={nodes}:ppn={slots}{where}"
        if memory_mb is not None:
            yield f"-l mem={memory_mb * nodes * slots}mb"
        if grami.exclusivenode:
            yield "-n"

    def submit(self, work: Work) -> Call:
        return self._submit(work, ["-t", f"1-{work.size}"] if work.is_array else [])

    def listing(self, ids: Collection[LocalId]) -> Call:
        del ids
        return Call(self._argv("qstat", "-f", "-t", "-x"))

    def listed(self, done: Completed) -> Mapping[LocalId, Seen]:
        if done.code != 0 or _DOWN.search(done.err):
            raise no_answer(done, _DOWN)
        return self._jobs(read_xml(done), done)

    def cause(self, job: QstatJob, status: int | None) -> EndCause | None:
        if status is not None and status < 0:
            return self.ends.get(status, EndCause.NEVER_STARTED)
        if status in {137, 143, 265, 271} and (exceeded := job.exceeded()) is not None:
            return exceeded
        if status == 271:  # what qdel leaves, also for a job that has not started
            return EndCause.CANCELLED
        if status is None:
            return None
        return EndCause.EXIT_CODE if status < 256 else EndCause.SIGNAL


def _owner(entry: QstatEntry) -> str:
    try:
        return entry.job().owner
    except Exception:  # noqa: BLE001 - whatever the entry contains, it is reported when it is read
        return ""


def _shape(grami: Grami) -> tuple[int, int]:
    """Nodes (or chunks) and slots on each. Without a number of slots for each node, slots are requested one by one."""
    if grami.countpernode is not None and grami.countpernode > 0:
        return max(1, -(-grami.count // grami.countpernode)), grami.countpernode
    if grami.numnodes:
        return grami.numnodes, max(1, -(-grami.count // grami.numnodes))
    return grami.count, 1


def dialect_of(done: Completed, options: PbsOptions) -> PbsDialect:
    """
    Which PBS answered ``qstat --version``: ``pbs_version = 23.06.06``, or Torque's ``Version: 6.1.3``.

    Raises:
        UnreadableOutput: neither.
    """
    said = f"{done.out}\n{done.err}"
    if re.search(r"^[ \t]*pbs_version[ \t]*=", said, re.MULTILINE | re.IGNORECASE):
        return PbsDialect(options)
    if re.search(r"^[ \t]*version:[ \t]*\d", said, re.MULTILINE | re.IGNORECASE):
        return TorqueDialect(options)
    raise UnreadableOutput(done.argv, done.code, said)


def source_of(options: PbsOptions) -> VersionedDialect:
    """The dialect of the version that is installed."""
    question = Call((program(options.bin, "qstat"), "--version"))
    return VersionedDialect(PbsDialect(options), question, lambda done: dialect_of(done, options))


class PbsBackend(CommandBackend):
    """The port over whichever PBS is installed."""

    @classmethod
    def from_config(cls, config: Configuration) -> Self:
        return cls(source_of(PbsOptions.of(config)), CommandSettings.of(config))
