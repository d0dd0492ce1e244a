"""
LSF: bsub with the script on its standard input, one bjobs about all jobs, bkill, bstop, bresume.

The tag is the job's description or, before version 9.1, its name. bjobs prints JSON since 10.1.0.2 and fields
with a delimiter since 9.1; before that, only columns, which show nothing about ends but DONE or EXIT.
Source: bsub(1), bjobs(1), bkill(1) of LSF 7, 9.1 and 10.1; "Termination reasons displayed by bacct, bhist, and bjobs"
in the administrator's guide of 10.1; messages as quoted in issues of public projects.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Final, Self

from arex.config.model import Configuration
from arex.errors import SubmitRejected, UnreadableOutput
from arex.model.grami import Grami
from arex.model.ids import LocalId
from arex.model.report import EndCause, Phase
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
from lrms.jobscript.template import part
from lrms.lsf import bjobs
from lrms.lsf.bjobs import BjobsRecord, Entry

log = logging.getLogger(__name__)

STATES: Final[Mapping[str, Phase]] = {
    "PEND": Phase.QUEUED,
    "WAIT": Phase.QUEUED,  # a member of a chunk that has not started yet
    "PROV": Phase.QUEUED,  # its host is being provisioned
    "FWD_PEND": Phase.QUEUED,
    "PSUSP": Phase.HELD,
    "RUN": Phase.RUNNING,
    "USUSP": Phase.SUSPENDED,
    "SSUSP": Phase.SUSPENDED,
    "ZOMBI": Phase.EXITING,  # killed while its host could not be reached: it may be running there
    "UNKWN": Phase.OTHER,  # its host does not answer
    "DONE": Phase.ENDED,
    "EXIT": Phase.ENDED,
}
#: Termination reasons; a job with another one was ended by the batch system, for a reason that is not known here.
REASONS: Final[Mapping[str, EndCause | None]] = {
    "TERM_UNKNOWN": None,
    "TERM_OTHER": None,
    "TERM_PREEMPT": EndCause.PREEMPTED,
    "TERM_LOAD": EndCause.PREEMPTED,
    "TERM_CHKPNT": EndCause.PREEMPTED,
    "TERM_RC": EndCause.PREEMPTED,
    "TERM_RUNLIMIT": EndCause.WALLTIME,
    "TERM_CPULIMIT": EndCause.CPUTIME,
    "TERM_MEMLIMIT": EndCause.MEMORY,
    "TERM_SWAP": EndCause.MEMORY,
    "TERM_WINDOW": EndCause.CANCELLED_BY_LIMIT,
    "TERM_DEADLINE": EndCause.CANCELLED_BY_LIMIT,
    "TERM_PROCESSLIMIT": EndCause.CANCELLED_BY_LIMIT,
    "TERM_THREADLIMIT": EndCause.CANCELLED_BY_LIMIT,
    "TERM_ORPHAN_SYSTEM": EndCause.CANCELLED_BY_LIMIT,
    "TERM_OWNER": EndCause.CANCELLED,
    "TERM_FORCE_OWNER": EndCause.CANCELLED,
    "TERM_REQUEUE_OWNER": EndCause.CANCELLED,
    "TERM_ADMIN": EndCause.CANCELLED_BY_ADMIN,
    "TERM_FORCE_ADMIN": EndCause.CANCELLED_BY_ADMIN,
    "TERM_REQUEUE_ADMIN": EndCause.CANCELLED_BY_ADMIN,
    "TERM_BUCKET_KILL": EndCause.CANCELLED_BY_ADMIN,
    "TERM_MC_RECALL": EndCause.CANCELLED_BY_ADMIN,
    "TERM_CWD_NOTEXIST": EndCause.NEVER_STARTED,
    "TERM_PRE_EXEC_FAIL": EndCause.NEVER_STARTED,
    "TERM_DATA": EndCause.NEVER_STARTED,
    "TERM_CSM_ALLOC": EndCause.NEVER_STARTED,
    "TERM_RMS": EndCause.NODE_FAILURE,
    "TERM_SLURM": EndCause.NODE_FAILURE,
    "TERM_ZOMBIE": EndCause.NODE_FAILURE,
    "TERM_REMOVE_HUNG_JOB": EndCause.NODE_FAILURE,
    "TERM_KUBE": EndCause.NODE_FAILURE,
    "TERM_EXTERNAL_SIGNAL": EndCause.SIGNAL,
}
_GONE: Final = re.compile(
    r"already finished|no matching job found|is not found|is being (terminated|stopped|resumed)|already being",
    re.IGNORECASE,
)
_DOWN: Final = re.compile(
    r"cannot connect to lsf|lsf is down|lsf library call|\btime ?out\b|please wait|daemon not responding|"
    r"connection refused|query limit exceeded|lim is down|lsf\.conf|unknown host|communication|master host",
    re.IGNORECASE,
)


class Form(StrEnum):
    """The format of bjobs."""

    JSON = "json"
    DELIMITED = "delimited"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class LsfOptions:
    bin: Path | None = None
    architecture: str = ""
    account: str = ""
    login: bool = False
    memory_mb: int | None = None
    queues: Mapping[str, int | None] = field(default_factory=dict)  #: memory of jobs that ask for none, MB

    @classmethod
    def of(cls, config: Configuration) -> Self:
        return cls(
            bin=config.lrms.lsf_bin_path,
            architecture=config.lrms.lsf_architecture,
            account=config.service.account,
            login=config.service.login_shell,
            memory_mb=config.lrms.defaultmemory,
            queues={queue.name: queue.defaultmemory for queue in config.queues},
        )


class LsfDialect(Dialect):
    """See ``lrms.command.dialect``; ``units``: whether limits have units, as is possible since 10.1."""

    name = "lsf"
    array = ArrayForm(variable="LSB_JOBINDEX", placeholder="%I")
    # the index of a job outside an array is 0
    localid_words = '$LSB_JOBID$([ "${LSB_JOBINDEX:-0}" = 0 ] || printf "[%s]" "$LSB_JOBINDEX")'
    kept_env = r"(LSF|EGO|XLSF)_\w+"
    rules: ClassVar[Sequence[Rule]] = (
        Rule(r"array.*(index|size|limit|too (large|big|many))", Refusal.ARRAY),
        Rule(r"threshold reached|pending job (slot )?(threshold|limit)|job (slot )?limit.*reached", Refusal.LIMIT),
        Rule(r"queue (has been|is) closed|queue.*(inactive|not open)", Refusal.LIMIT),
        Rule(_DOWN.pattern, Refusal.UNSURE),
        Rule(
            r"no such queue|cannot use (the )?queue|permission denied|not permitted|aborted by esub",
            Refusal.PERMANENT,
        ),
        Rule(r"bad (argument|resource|host|job)|illegal|unknown|invalid|too many processors", Refusal.PERMANENT),
        Rule(r"cannot exceed queue's hard limit|outside the range|exceeds", Refusal.PERMANENT),
        Rule(r"(job|request) not submitted|request aborted", Refusal.PERMANENT),
    )

    said: ClassVar[Sequence[tuple[str, EndCause]]] = tuple(
        (rf"^{reason}: job killed", cause) for reason, cause in REASONS.items() if cause is not None
    )

    def __init__(self, options: LsfOptions, form: Form = Form.JSON, *, units: bool = True) -> None:
        self._options, self.form, self.units = options, form, units

    def __str__(self) -> str:
        return f"LSF ({self.form} output)"

    def _argv(self, command: str, *words: str) -> tuple[str, ...]:
        return (program(self._options.bin, command), *words)

    # --- submitting ---

    def directives(self, submission: Submission) -> tuple[str, ...]:
        """
        Raises:
            SubmitRejected: the session directory has a name that LSF would change.
        """
        if re.search(r"%[JI]", str(submission.comment)):
            raise SubmitRejected(f"LSF cannot use the path {submission.comment}: it expands %J and %I")
        return tuple(f"#BSUB {option}" for option in self._wishes(submission.grami))

    def _wishes(self, grami: Grami) -> Iterator[str]:
        yield f"-J {job_name(grami.jobname)}"
        yield "-rn"
        if grami.queue:
            yield f"-q {plain_word(grami.queue)}"
        if self._options.account:
            yield f"-P {plain_word(self._options.account)}"
        if grami.priority != 50:
            yield f"-sp {max(1, grami.priority)}"
        if grami.starttime is not None:
            yield f"-b {_begin(grami.starttime):%Y:%m:%d:%H:%M}"
        # 0 means unlimited
        if grami.walltime_s is not None:
            yield f"-W {max(1, -(-grami.walltime_s // 60))}"
        if grami.cputime_s is not None:
            yield f"-c {max(1, -(-grami.cputime_s // 60))}"
        if grami.exclusivenode:
            yield "-x"
        yield f"-n {grami.count}"
        yield from self._requirements(grami)

    def _requirements(self, grami: Grami) -> Iterator[str]:
        per_node = _slots_per_node(grami)
        memory_mb = grami.memory_mb or self._options.queues.get(grami.queue) or self._options.memory_mb
        parts = []
        if self._options.architecture:
            parts.append(f"select[type=={plain_word(self._options.architecture)}]")
        if memory_mb is not None:
            memory_mb *= per_node or 1
            parts.append(f"rusage[mem={memory_mb}{'MB' if self.units else ''}]")
            yield f"-M {memory_mb}MB" if self.units else f"-M {memory_mb * 1024}"
        if per_node is not None and grami.count > 1:
            parts.append("span[hosts=1]" if per_node >= grami.count else f"span[ptile={per_node}]")
        if parts:
            yield f'-R "{" ".join(parts)}"'

    def submit(self, work: Work) -> Call:
        """The script is on standard input: bsub reads options in a script file only if the site has configured it."""
        submission = named(work.submissions) if work.is_array else work.first
        plain = self.form is Form.PLAIN
        name = work.tag if plain else job_name(submission.grami.jobname)
        words = ["-J", f"{name}[1-{work.size}]" if work.is_array else name, *([] if plain else ["-Jd", work.tag])]
        # the command line overrides the script
        return Call(
            self._argv("bsub", *words, "-o", work.output),
            stdin=os.fsencode("\n".join(("#!/bin/sh", *self.directives(submission), self._starter(work), ""))),
            cwd=work.first.grami.directory,
            env=_PATIENCE,
        )

    def _starter(self, work: Work) -> str:
        root = work.first.grami.directory.parent
        shell = "/bin/bash -l" if self._options.login and not work.is_array else self.interpreter
        script = shlex.quote(str(work.script.relative_to(root)))
        return part("lsf_starter", ROOT=shlex.quote(str(root)), SHELL=shell, SCRIPT=script)

    def submitted(self, done: Completed, work: Work) -> LocalId:
        del work
        if (found := re.search(r"^Job <(\d+)> is submitted to ", done.out, re.MULTILINE | re.ASCII)) is None:
            raise UnreadableOutput(done.argv, done.code, done.out + done.err)
        return LocalId(found[1])

    def child(self, root: LocalId, index: int) -> LocalId:
        return LocalId(f"{root}[{index}]")

    def index(self, localid: LocalId) -> int | None:
        found = re.fullmatch(r"\d+\[(\d+)\]", localid, re.ASCII)
        return None if found is None else int(found[1])

    # --- asking ---

    def listing(self, ids: Collection[LocalId]) -> Call:
        del ids  # without ids, bjobs lists all jobs of this account
        match self.form:
            case Form.JSON:
                words = ["-o", " ".join((*bjobs.FIELDS, "pend_reason")), "-json"]
            case Form.DELIMITED:
                words = ["-o", f"{' '.join(bjobs.FIELDS)} delimiter='{bjobs.DELIMITER}'"]
            case _:
                words = ["-w"]
        return Call(self._argv("bjobs", "-a", *words), env=_PATIENCE)

    def listed(self, done: Completed) -> Mapping[LocalId, Seen]:
        if not done.out.strip() and re.fullmatch(r"No (unfinished )?job found", done.err.strip()):
            return {}
        if done.code != 0:
            raise no_answer(done, _DOWN)
        read: Mapping[Form, Callable[[Completed], Sequence[Entry]]] = {
            Form.JSON: bjobs.read_json,
            Form.DELIMITED: bjobs.read_delimited,
            Form.PLAIN: bjobs.read_plain,
        }
        found = read[self.form](done)
        plain = self.form is Form.PLAIN
        counts: Counter[LocalId] = Counter()

        def name(entry: Entry) -> list[LocalId]:
            localid = bjobs.id_of(entry)
            counts[localid] += 1
            return [localid]

        seen = entries.listed(self.name, found, name, lambda entry: _seen(bjobs.record_of(entry), plain=plain))
        if found and not seen:
            raise UnreadableOutput(done.argv, done.code, done.out)
        return {localid: entries.TWICE if counts[localid] > 1 else each for localid, each in seen.items()}

    # --- acting ---

    def cancel(self, ids: Sequence[LocalId]) -> Call:
        return Call(self._argv("bkill", *ids), env=_PATIENCE)

    def hold(self, ids: Sequence[LocalId]) -> Call:
        return Call(self._argv("bstop", *ids), env=_PATIENCE)

    def release(self, ids: Sequence[LocalId]) -> Call:
        return Call(self._argv("bresume", *ids), env=_PATIENCE)

    def refused(self, done: Completed, ids: Sequence[LocalId]) -> Mapping[LocalId, str]:
        refusals: dict[LocalId, str] = {}
        said = [line.strip() for line in f"{done.out}\n{done.err}".splitlines() if line.strip()]
        about = [line for line in said if line.startswith("Job <")]
        if not about and (done.code != 0 or said):
            raise no_answer(done, _DOWN)
        for line in about:
            localid = LocalId(line.removeprefix("Job <").partition(">")[0])
            if localid in ids and not _GONE.search(line):
                refusals[localid] = line
        return refusals


def _begin(when: datetime) -> datetime:
    """In whole minutes, of which the next one counts: a job must not begin early."""
    whole = when.replace(second=0, microsecond=0)
    return single_time(when if when == whole else whole + timedelta(minutes=1))


#: LSF's programs would retry without end when the cluster is down, or accepts no more jobs now.
_PATIENCE: Final = {"LSB_NTRIES": "1"}


def _slots_per_node(grami: Grami) -> int | None:
    """None: any number."""
    if grami.countpernode is not None and grami.countpernode > 0:
        return grami.countpernode
    return max(1, -(-grami.count // grami.numnodes)) if grami.numnodes else None


def _seen(record: BjobsRecord, *, plain: bool) -> Seen:
    if record.state not in STATES:
        unknown_state("LSF", record.state)
    phase = STATES.get(record.state, Phase.OTHER)
    ended = phase is Phase.ENDED
    why = record.exit_reason if ended else record.pend_reason
    return Seen(
        phase=phase,
        word=f"{record.state} ({why})" if why else record.state,
        tag=re.sub(r"\[\d+\]$", "", record.name) if plain else record.description,
        cause=_cause(record) if ended else None,
        exit_code=0 if record.state == "DONE" else record.exit_code if ended else None,
        signal=_signal(record) if ended else None,
        nodes=record.nodes,
        started=record.started,
        ended=record.ended if ended else None,
        usage=record.usage,
        message=f"waits: {why}" if phase is Phase.HELD and why else "",
    )


def _cause(record: BjobsRecord) -> EndCause | None:
    if record.state == "DONE":
        return EndCause.EXIT_CODE
    if (term := re.match(r"TERM_\w+", record.exit_reason)) is not None:
        if term[0] not in REASONS:
            log.warning("unknown termination reason of LSF: %s", record.exit_reason, extra={"event": "lrms.reason"})
        return REASONS.get(term[0], EndCause.CANCELLED_BY_LIMIT)
    if record.exit_code is None:
        return None
    return EndCause.SIGNAL if _signal(record) is not None else EndCause.EXIT_CODE


def _signal(record: BjobsRecord) -> int | None:
    """The signal in an exit code, which LSF encodes as a shell does."""
    code = record.exit_code
    return code - 128 if code is not None and 128 < code <= 192 else None


def dialect_of(done: Completed, options: LsfOptions) -> LsfDialect:
    """
    The dialect of the version that ``bsub -V`` prints: ``IBM Spectrum LSF 10.1.0.13, Apr 15 2022``.

    Raises:
        UnreadableOutput: it prints no version.
    """
    found = re.search(r"\bLSF\b\D{0,200}?(\d+(?:\.\d+)*)", f"{done.out}\n{done.err}", re.ASCII)
    if found is None:
        raise UnreadableOutput(done.argv, done.code, done.out + done.err)
    version = tuple(map(int, found[1].split(".")))
    form = Form.JSON if version >= (10, 1, 0, 2) else Form.DELIMITED if version >= (9, 1) else Form.PLAIN
    return LsfDialect(options, form, units=version >= (10, 1))


def source_of(options: LsfOptions) -> VersionedDialect:
    """The dialect of the version that is installed."""
    question = Call((program(options.bin, "bsub"), "-V"))
    return VersionedDialect(LsfDialect(options), question, lambda done: dialect_of(done, options))


class LsfBackend(CommandBackend):
    """The port over whichever LSF is installed."""

    @classmethod
    def from_config(cls, config: Configuration) -> Self:
        return cls(source_of(LsfOptions.of(config)), CommandSettings.of(config))
