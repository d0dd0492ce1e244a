"""
How one batch system is controlled: what to run, and what its answers mean. Nothing here runs anything.

A new batch system is one class of this kind: builders make a ``Call``, parsers make values from a ``Completed``.
``lrms.command.backend.CommandBackend`` does the rest for all of them: exactly one submission, evidence, limits, arrays.
"""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Final

from arex.errors import BatchUnavailable, UnreadableOutput
from arex.model.ids import LocalId
from arex.model.report import EndCause, Phase, Usage
from arex.ports import Submission
from arex.process import Completed

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """One command to run."""

    argv: tuple[str, ...]
    stdin: bytes = b""
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)  #: beside the daemon's own


class Refusal(StrEnum):
    """What a refusal to take a job means."""

    UNSURE = "unsure"  #: it may have been taken all the same: look it up
    LIMIT = "limit"  #: certainly not taken, and it will be later: wait, jobs of other queues go on
    ARRAY = "array"  #: certainly not taken as an array of this size: smaller ones may be
    PERMANENT = "permanent"  #: certainly not taken, and never will be


@dataclass(frozen=True, slots=True)
class Rule:
    """One sentence of a batch system, as a regular expression that ignores case, and what it means."""

    pattern: str
    verdict: Refusal


def judge(rules: Sequence[Rule], done: Completed) -> Refusal:
    """The verdict of the first rule that is found in what the command said; a message without a rule is unsure."""
    said = f"{done.err}\n{done.out}"
    return next((rule.verdict for rule in rules if re.search(rule.pattern, said, re.IGNORECASE)), Refusal.UNSURE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One job in one answer of the batch system: what a scan or the accounting says."""

    phase: Phase
    word: str  #: the system's own word, with its reason: ``PENDING (Resources)``
    tag: str = ""  #: what ``Work.tag`` was when the job was submitted, where the answer shows it
    cause: EndCause | None = None  #: why it ended; None while it has not, or if the word does not say it
    exit_code: int | None = None
    signal: int | None = None
    nodes: tuple[str, ...] = ()
    started: datetime | None = None
    ended: datetime | None = None
    usage: Usage = Usage()  # noqa: RUF009 - frozen
    lingers: bool = False  #: it has ended, and stays in the queue until it is removed
    vague: bool = False  #: the accounting may know more about this end
    message: str = ""  #: one line for the owner about the end, more than the cause says


def is_alive(seen: Seen | None) -> bool:
    """Whether a listing shows the job, and not as one that has ended."""
    return seen is not None and seen.phase is not Phase.ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one call to submit hands over: a job, or several of the same shape as one array."""

    submissions: tuple[Submission, ...]
    script: Path  #: the job script; of an array, the one that starts its children by their index
    output: str  #: file for what the script prints; of an array, with the system's own placeholder for the index
    tag: str  #: of the attempt or of the array: goes where ``listed`` sees it again
    keys: tuple[str, ...] = ()  #: if the batch system moves files: the key of the input of each attempt

    @property
    def first(self) -> Submission:
        """Stands for all: their resources are the same."""
        return self.submissions[0]

    @property
    def size(self) -> int:
        return len(self.submissions)

    @property
    def is_array(self) -> bool:
        return len(self.submissions) > 1

    def scripts(self) -> list[Path]:
        """Of each child, in the order of the indices, which begin at 1."""
        return [each.rundir / "script" for each in self.submissions]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayForm:
    """How a batch system numbers the children of an array."""

    variable: str  #: of the environment, that holds a child's index
    placeholder: str  #: for the index, in the name of an output file
    link: str = "{}"  #: name of a child's output file in the array's directory, from its index
    most: int = 1000  #: children in one array, whatever the configuration says


class Dialect(ABC):
    """
    The commands of one batch system.

    Every parser raises ``UnreadableOutput`` for an answer that it does not understand: that is no answer.
    Indices of an array begin at 1.
    """

    #: ``lrms`` as ``.local`` spells it
    name: ClassVar[str]
    #: what the sentences of the submit command mean; the first that fits decides
    rules: ClassVar[Sequence[Rule]] = ()
    #: what it writes into a job's output when it ends the job, as a regular expression, and the cause that it means
    said: ClassVar[Sequence[tuple[str, EndCause]]] = ()
    #: None: it has no arrays of one script
    array: ClassVar[ArrayForm | None] = None
    #: shell words that give the local id inside a job, as ``submitted`` and ``child`` spell it
    localid_words: ClassVar[str]
    #: variables of the daemon's environment that its commands need, as a regular expression
    kept_env: ClassVar[str] = ""
    #: shell words that give the name of the node inside a job without another program; empty: ``hostname`` is run
    node_words: ClassVar[str] = ""
    #: of the job script's first line
    interpreter: ClassVar[str] = "/bin/sh"
    #: whether one call may submit a cluster of different scripts without an array's launcher (HTCondor)
    clusters: ClassVar[bool] = False

    # --- submitting ---

    def directives(self, submission: Submission) -> tuple[str, ...]:
        """Lines for the batch system at the top of the script: resources, queue, name. Texts from users stay data."""
        del submission
        return ()

    def shape(self, submission: Submission) -> tuple[object, ...]:
        """Submissions of the same shape may share an array: by default those with the same directives."""
        return self.directives(submission)

    @abstractmethod
    def submit(self, work: Work) -> Call:
        """The command that hands it over, with the tag where ``listed`` finds it."""

    @abstractmethod
    def submitted(self, done: Completed, work: Work) -> LocalId:
        """
        The local id of the job or of the whole array, from a command that exited with 0.

        Raises:
            UnreadableOutput: there is no id in it.
        """

    def child(self, root: LocalId, index: int) -> LocalId:
        """The local id of one child of an array."""
        raise NotImplementedError(f"{self.name} has no arrays")

    def index(self, localid: LocalId) -> int | None:
        """The reverse: the index in its array, None for a job without an array."""
        del localid
        return None

    # --- asking ---

    @abstractmethod
    def listing(self, ids: Collection[LocalId]) -> Call:
        """One query about all jobs of this account that the batch system knows, with the ended ones that it shows."""

    @abstractmethod
    def listed(self, done: Completed) -> Mapping[LocalId, Seen]:
        """
        Every job in the answer, children of arrays one by one.

        Raises:
            UnreadableOutput: the command failed, or the answer is incomplete.
        """

    def accounting(self, ids: Collection[LocalId]) -> Call | None:
        """One query of the records of ended jobs, about these; None where there are no records."""
        del ids
        return None

    def accounted(self, done: Completed) -> Mapping[LocalId, Seen]:
        """Raises UnreadableOutput. A job that is absent is not known (yet)."""
        raise UnreadableOutput(done.argv, done.code, "there is no accounting")

    # --- acting: one call is about jobs of one site ---

    def site(self, localid: LocalId) -> str:
        """The cluster that a job is on, where one client serves several."""
        del localid
        return ""

    @abstractmethod
    def cancel(self, ids: Sequence[LocalId]) -> Call: ...

    @abstractmethod
    def hold(self, ids: Sequence[LocalId]) -> Call: ...

    @abstractmethod
    def release(self, ids: Sequence[LocalId]) -> Call: ...

    @abstractmethod
    def refused(self, done: Completed, ids: Sequence[LocalId]) -> Mapping[LocalId, str]:
        """
        After ``cancel``, ``hold`` or ``release``: the refused ids, and why. A job that has left is not refused.

        Raises:
            UnreadableOutput: the batch system did not answer.
        """


def program(directory: Path | None, name: str) -> str:
    """A command of the batch system: in this directory, or found through PATH."""
    return name if directory is None else str(directory / name)


def no_answer(done: Completed, down: re.Pattern[str]) -> BatchUnavailable:
    """
    The error for output that is no answer.

    It is ``UnreadableOutput``, unless the output says in one of the words of ``down`` that the server does not answer.
    """
    said = " ".join((done.err or done.out).split())[:300]
    return BatchUnavailable(said) if down.search(said) else UnreadableOutput(done.argv, done.code, said)


def unknown_state(system: str, word: str) -> None:
    """Log a state that the table of a dialect does not have; its jobs count as present."""
    log.warning("unknown state of %s: %s", system, word, extra={"event": "lrms.state"})


def plain_word(text: str, allowed: str = r"\w.@+-") -> str:
    """One word of a directive, whatever a client wrote: other characters, which could end it, become ``_``."""
    return re.sub(rf"[^{allowed}]", "_", text, flags=re.ASCII)


_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]")


def job_name(text: str, most: int = 15) -> str:
    """A name that every batch system takes: ``gridjob`` for none, a letter first. Source: ARC's SLURM back end."""
    name = _UNSAFE.sub("_", text.encode("ascii", "replace").decode().replace("?", "_"))
    if not name:
        return "gridjob"
    return (name if name[0].isalpha() else f"N{name}")[:most]


def host_time(when: datetime) -> datetime:
    """In the time of this host; the last hours of the last year have none east of Greenwich and stay what they are."""
    try:
        return when.astimezone()
    except OverflowError:
        return when
