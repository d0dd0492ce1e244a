"""
Grid Engine: qsub, one qstat for all jobs, qacct only about ends that need explaining, qdel, qhold, qrls.

The tag follows a tilde in the job's name, the one place that qstat and qacct both show. All options are on the
command line: qsub would read lines of a job's texts that begin with ``#$`` as options. The script is started
by a few lines of ours, because Grid Engine reruns a job with exit code 99, and puts one with 100 into an error state.
Source: qsub(1), qstat(1), qacct(1), sge_status(5), sge_types(1) of Grid Engine 8.1.9.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final, Self

from arex.config.model import Configuration
from arex.errors import ConfigError, Fault, SubmitRejected, UnreadableOutput
from arex.model.grami import Grami
from arex.model.ids import LocalId
from arex.ports import Submission
from arex.process import Completed
from lrms.command.arrays import named
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
)
from lrms.command.settings import CommandSettings
from lrms.jobscript.runtimes import properties
from lrms.jobscript.template import part
from lrms.sge import qacct, qstat

#: Parallel environment of jobs with several slots, where ``sge_jobopts`` has no ``-pe``.
DEFAULT_PE: Final = "smp"
_GONE: Final = re.compile(r"does not exist|already in deletion", re.IGNORECASE)
_DONE: Final = re.compile(r"has registered the |has deleted |modified hold of ", re.IGNORECASE)
#: Characters that Grid Engine interprets in a path: separators of lists, and variables.
_UNSUITABLE: Final = re.compile(r"[,$\n\0]")
_NOT_POSSIBLE: Final = "it contains a comma, a dollar sign or a line break"
_CURE: Final = "use a directory without commas, dollar signs or line breaks in its name"


@dataclass(frozen=True, slots=True, kw_only=True)
class SgeQueueOptions:
    """What the configuration says about one queue."""

    memory_mb: int | None = None
    extra: tuple[str, ...] = ()  #: options of qsub


@dataclass(frozen=True, slots=True, kw_only=True)
class SgeOptions:
    bin: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)  #: SGE_ROOT and its like
    project: str = ""
    extra: tuple[str, ...] = ()
    memory_mb: int | None = None
    queues: Mapping[str, SgeQueueOptions] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Configuration) -> Self:
        lrms = config.lrms
        known = {
            "SGE_ROOT": lrms.sge_root,
            "SGE_CELL": lrms.sge_cell,
            "SGE_QMASTER_PORT": lrms.sge_qmaster_port,
            "SGE_EXECD_PORT": lrms.sge_execd_port,
        }
        return cls(
            bin=lrms.sge_bin_path,
            environment={name: str(value) for name, value in known.items() if value is not None},
            project=config.service.account,
            extra=tuple(shlex.split(lrms.sge_jobopts)),
            memory_mb=lrms.defaultmemory,
            queues={
                queue.name: SgeQueueOptions(memory_mb=queue.defaultmemory, extra=tuple(shlex.split(queue.sge_jobopts)))
                for queue in config.queues
            },
        )


class SgeDialect(Dialect):
    """See ``lrms.command.dialect.Dialect``."""

    name = "sge"
    kept_env = r"SGE_\w+"
    array = ArrayForm(variable="SGE_TASK_ID", placeholder="$TASK_ID")
    localid_words = '"$JOB_ID$(case $SGE_TASK_ID in ("" | undefined) ;; (*) echo ".$SGE_TASK_ID" ;; esac)"'
    rules: ClassVar[Sequence[Rule]] = (
        Rule(qstat.DOWN.pattern, Refusal.UNSURE),
        Rule(r"more than \d+ tasks", Refusal.ARRAY),
        Rule(r"only \d+ jobs are allowed per (user|cluster)", Refusal.LIMIT),
        Rule(r"temporarily", Refusal.LIMIT),
        Rule(r"denied: host .* (is not a|neither) submit", Refusal.LIMIT),
        Rule(r"job rejected|was rejected|JSV .*rejected|job is rejected|denied:", Refusal.PERMANENT),
        Rule(r"unknown (resource|queue|option)|invalid option|no suitable queues", Refusal.PERMANENT),
        Rule(r"is not a (time|memory|valid|double|int\w*|bool\w*)\b|not allowed in objectname", Refusal.PERMANENT),
        Rule(r"must have|can't resolve hostname|invalid|numerical value|not requestable", Refusal.PERMANENT),
    )

    def __init__(self, options: SgeOptions) -> None:
        self._options = options
        self._in_error: set[LocalId] = set()  #: in an error state in the last listing: qstat knows why, qacct does not

    def _call(self, command: str, *words: str, stdin: bytes = b"") -> Call:
        return Call((program(self._options.bin, command), *words), stdin=stdin, env=self._options.environment)

    # --- submitting ---

    def directives(self, submission: Submission) -> tuple[str, ...]:
        """
        None: they are on the command line.

        Raises:
            SubmitRejected: the session directory has a name that Grid Engine would change.
        """
        if _UNSUITABLE.search(str(submission.comment)):
            raise SubmitRejected(f"Grid Engine cannot use the path {submission.comment}: {_NOT_POSSIBLE}")
        return ()

    def shape(self, submission: Submission) -> tuple[object, ...]:
        return (*self._wishes(submission.grami, properties(submission)), job_name(submission.grami.jobname))

    def submit(self, work: Work) -> Call:
        name = job_name(named(work.submissions).grami.jobname)
        words = [
            *("-S", "/bin/sh", "-wd", "/"),
            *self._wishes(work.first.grami, properties(work.first)),
            # these override the options of the site; the colon: there is no host before the path
            *("-terse", "-C", "", "-r", "n", "-b", "n", "-j", "y", "-o", f":{work.output}"),
            *("-N", f"{name}~{work.tag.replace('@', '%')}"),
            *(("-t", f"1-{work.size}") if work.is_array else ()),
        ]
        return self._call("qsub", *words, stdin=_starter(work.script))

    def _wishes(self, grami: Grami, wanted_environments: Sequence[str]) -> Iterator[str]:
        """
        Options of qsub for what the job asks for, then the site's own.

        The node property of a runtime environment names the parallel environment of the job.
        """
        queue = self._options.queues.get(grami.queue, SgeQueueOptions())
        environment, extra = _parallel((*self._options.extra, *queue.extra))
        environment = next((_word(each) for each in wanted_environments), environment)
        if grami.queue:
            yield from ("-q", _word(grami.queue))
        if self._options.project:
            yield from ("-P", self._options.project)
        yield from ("-p", str((min(max(grami.priority, 0), 100) - 100) * 1023 // 100))
        if wanted := ",".join(_resources(grami, grami.memory_mb or queue.memory_mb or self._options.memory_mb)):
            yield from ("-l", wanted)
        if grami.count > 1:
            yield from ("-pe", environment, str(grami.count))
        if grami.starttime is not None:
            yield from ("-a", f"{single_time(grami.starttime):%Y%m%d%H%M.%S}")
        yield from extra

    def submitted(self, done: Completed, work: Work) -> LocalId:
        """``12``, or ``12.1-9:1`` for an array."""
        del work
        for line in done.out.splitlines():
            if found := re.fullmatch(r"(\d+)(?:\.[\d:-]+)?", line.strip()):
                return LocalId(found[1])
        raise UnreadableOutput(done.argv, done.code, done.out + done.err)

    def child(self, root: LocalId, index: int) -> LocalId:
        return LocalId(f"{root}.{index}")

    def index(self, localid: LocalId) -> int | None:
        index = localid.partition(".")[2]
        return int(index) if index.isdecimal() else None

    # --- asking ---

    def listing(self, ids: Collection[LocalId]) -> Call:
        del ids  # one query for all; $user is qstat's own word for this account
        return self._call("qstat", "-xml", "-r", "-s", "prsz", "-u", "$user")

    def listed(self, done: Completed) -> Mapping[LocalId, Seen]:
        found = qstat.listed(done)
        self._in_error = {localid for localid, seen in found.items() if seen.lingers}
        return found

    def accounting(self, ids: Sequence[LocalId]) -> Call | None:
        """
        Jobs in an error state come first; the next query is about the others.

        qacct accepts one job or array, or all of the last days. It reads the whole file in both cases.
        """
        if failed := [localid for localid in ids if localid in self._in_error]:
            return self._call("qstat", "-xml", "-j", ",".join(sorted({_root(localid) for localid in failed})))
        roots = {_root(localid) for localid in ids}
        if len(roots) == 1:
            return self._call("qacct", "-j", *roots)
        return self._call("qacct", "-E", "-d", "3", "-j", "*~*")

    def accounted(self, done: Completed) -> Mapping[LocalId, Seen]:
        return qstat.explained(done) if "-xml" in done.argv else qacct.accounted(done)

    # --- acting ---

    def cancel(self, ids: Sequence[LocalId]) -> Call:
        return self._call("qdel", *ids)

    def hold(self, ids: Sequence[LocalId]) -> Call:
        return self._call("qhold", *ids)

    def release(self, ids: Sequence[LocalId]) -> Call:
        return self._call("qrls", *ids)

    def refused(self, done: Completed, ids: Sequence[LocalId]) -> Mapping[LocalId, str]:
        """Refusals are on standard output. For a child of an array, they only have the number of the array."""
        if qstat.DOWN.search(done.err):
            raise no_answer(done, qstat.DOWN)
        refusals: dict[LocalId, str] = {}
        lines = [line.strip() for line in f"{done.out}\n{done.err}".splitlines() if line.strip()]
        if not lines:
            raise UnreadableOutput(done.argv, done.code, "")
        for line in lines:
            if _GONE.search(line) or _DONE.search(line):
                continue
            numbers = set(re.findall(r"\d+(?:\.\d+)?", line))
            about = [localid for localid in ids if localid in numbers or _root(localid) in numbers]
            refusals |= dict.fromkeys(about or ids, line)
        return refusals


def _starter(script: Path) -> bytes:
    return os.fsencode(part("sge_starter", SCRIPT=shlex.quote(str(script))) + "\n")


def _parallel(words: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The parallel environment that a site's options name, and the other options."""
    environment, rest = DEFAULT_PE, list(words)
    while "-pe" in rest[:-1]:
        at = rest.index("-pe")
        environment = rest[at + 1]
        end = at + 2
        if end < len(rest) and re.fullmatch(r"[\d,-]*\d[\d,-]*", rest[end]):
            end += 1
        del rest[at:end]
    return environment, tuple(rest)


def _resources(grami: Grami, memory_mb: int | None) -> Iterator[str]:
    """Resources for each slot: Grid Engine multiplies consumable resources and CPU time by the slots."""
    if grami.walltime_s is not None:
        yield f"h_rt={at_least(grami.walltime_s)}"
    if grami.cputime_s is not None:
        yield f"h_cpu={at_least(-(-grami.cputime_s // grami.count))}"
    if memory_mb is not None:
        yield f"h_vmem={memory_mb}M"
    if grami.exclusivenode:
        yield "exclusive=true"


def _word(text: str) -> str:
    """One queue name from a client's text, which must not become a list or a pattern."""
    return plain_word(text, r"\w.@-").lstrip("-")


def _root(localid: LocalId) -> str:
    return localid.partition(".")[0]


class SgeBackend(CommandBackend):
    """The port over Grid Engine."""

    @classmethod
    def from_config(cls, config: Configuration) -> Self:
        """
        Raises:
            ConfigError: a session root has a name that Grid Engine would change.
        """
        faults = [
            Fault(
                f"Grid Engine cannot use the path {entry.path}: {_NOT_POSSIBLE}", option="[arex] sessiondir", cure=_CURE
            )
            for entry in config.arex.sessiondir
            if _UNSUITABLE.search(str(entry.path))
        ]
        if faults:
            raise ConfigError(faults)
        return cls(SgeDialect(SgeOptions.of(config)), CommandSettings.of(config))
