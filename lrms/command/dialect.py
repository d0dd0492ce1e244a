"""
How one batch system is controlled: what to run, and what its answers mean. Nothing here runs anything.

A new batch system is one class of this kind: builders return a ``Call``, parsers turn a ``Completed`` into values.
``lrms.command.backend.CommandBackend`` does the rest for all of them: exactly one submission, evidence, limits, arrays.
"""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Final

from arex.errors import BatchUnavailable, UnreadableOutput
from arex.model.ids import LocalId
from arex.model.report import EndCause, Phase, Usage
from arex.ports import Submission
from arex.process import Completed

log = logging.getLogger(__name__)


#: Exit codes of a shell, which a wrapper of a command may be, if the command itself does not run.
_NOT_RUN: Final = frozenset({126, 127})
#: Of a limit that is none: batch systems take 0 as unlimited, seconds.
_SHORTEST_S: Final = 60
#: Limit on the children of one array.
MOST_CHILDREN: Final = 1000
#: Characters of a command's output that are searched for a refusal, at its beginning and at its end.
_SEARCHED: Final = 2000
#: How far ahead a local time that occurs only once is searched, minutes.
_DOUBLED_MIN: Final = 180


@dataclass(frozen=True, slots=True)
class Call:
    """One command to run."""

    argv: tuple[str, ...]
    stdin: bytes = b""
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)  #: beside the daemon's own


class Refusal(StrEnum):
    """What a refusal to take a job means."""

    UNSURE = "unsure"  #: the job may have been accepted: look it up
    LIMIT = "limit"  #: certainly not accepted, but it will be later: wait; jobs of other queues continue
    ARRAY = "array"  #: certainly not accepted as an array of this size; a smaller one may be
    PERMANENT = "permanent"  #: certainly not accepted, now or later
    UNKNOWN = "unknown"  #: no rule knows the words: those of a site, or of a client that cannot reach its server


@dataclass(frozen=True, slots=True)
class Rule:
    """A message of a batch system, as a regular expression that ignores case, and what it means."""

    pattern: str
    verdict: Refusal


def judge(rules: Sequence[Rule], done: Completed) -> Refusal:
    """The meaning of the first rule that matches the output of a command; ``UNKNOWN`` without a match."""
    if done.code < 0 or done.code in _NOT_RUN:
        return Refusal.UNSURE
    said = f"{done.err}\n{done.out}"
    if len(said) > 2 * _SEARCHED:  # some rules take the square of the length
        said = f"{said[:_SEARCHED]}\n{said[-_SEARCHED:]}"
    return next((rule.verdict for rule in rules if re.search(rule.pattern, said, re.IGNORECASE)), Refusal.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One job in one answer of the batch system: what a scan or the accounting says."""

    phase: Phase
    word: str  #: the system's own word, with its reason: ``PENDING (Resources)``
    tag: str = ""  #: ``Work.tag`` of its submission, if the answer shows it
    cause: EndCause | None = None  #: why it ended; None if it has not ended, or if the word does not tell
    exit_code: int | None = None
    signal: int | None = None
    nodes: tuple[str, ...] = ()
    started: datetime | None = None
    ended: datetime | None = None
    usage: Usage = Usage()  # noqa: RUF009 - frozen
    lingers: bool = False  #: it has ended, and stays in the queue until it is removed
    vague: bool = False  #: the accounting may know more about this end
    message: str = ""  #: one line for the owner about the end, with more details than the cause


def is_alive(seen: Seen | None) -> bool:
    """Whether a listing shows the job, and not as one that has ended."""
    return seen is not None and seen.phase is not Phase.ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one submission contains: a job, or several of the same shape as one array."""

    submissions: tuple[Submission, ...]
    script: Path  #: the job script; of an array, the one that starts its children by their index
    output: str  #: file for what the script prints; of an array, with the system's own placeholder for the index
    tag: str  #: of the attempt or of the array, to be put where ``listed`` finds it
    keys: tuple[str, ...] = ()  #: if the batch system moves files: the key of the input of each attempt

    @property
    def first(self) -> Submission:
        """The first submission; all have the same resources."""
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

    variable: str  #: environment variable that holds a child's index
    placeholder: str  #: what stands for the index in the name of an output file
    link: str = "{}"  #: name of a child's output file in the array's directory, from its index
    most: int = MOST_CHILDREN  #: limit on children in one array, in addition to the configured one


class Dialect(ABC):
    """
    The commands of one batch system.

    Every parser raises ``UnreadableOutput`` for output that it does not understand, which counts as no answer.
    Indices of an array begin at 1.
    """

    #: ``lrms`` as ``.local`` spells it
    name: ClassVar[str]
    #: meanings of the messages of the submit command; the first match decides
    rules: ClassVar[Sequence[Rule]] = ()
    #: regular expressions for what it writes into a job's output when it ends the job, and the causes that they mean
    said: ClassVar[Sequence[tuple[str, EndCause]]] = ()
    #: None: it has no arrays of one script
    array: ClassVar[ArrayForm | None] = None
    #: shell words that give the local id inside a job, as ``submitted`` and ``child`` spell it
    localid_words: str
    #: variables of the daemon's environment that its commands need, as a regular expression
    kept_env: ClassVar[str] = ""
    #: shell words that give the name of the node inside a job without another program; empty: ``hostname`` is run
    node_words: ClassVar[str] = ""
    #: environment variable with the name of the account inside a job; empty: there is none
    user_variable: ClassVar[str] = ""
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
        """The submit command, with the tag where ``listed`` finds it."""

    @abstractmethod
    def submitted(self, done: Completed, work: Work) -> LocalId:
        """
        The local id of the job or of the whole array, from a command that exited with 0.

        Raises:
            UnreadableOutput: there is no id in it.
        """

    def output(self, path: Path) -> str:
        """The path of an output file in an option: characters that the batch system expands are escaped."""
        return str(path)

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
        """One query about all jobs of this account, including the ended ones that the batch system still shows."""

    @abstractmethod
    def listed(self, done: Completed) -> Mapping[LocalId, Seen]:
        """
        Every job in the answer, children of arrays one by one.

        One entry that cannot be parsed does not matter to the others, see ``lrms.command.listings.entries``.

        Raises:
            UnreadableOutput: the command failed, or the answer is incomplete or has another form.
        """

    def accounting(self, ids: Sequence[LocalId]) -> Call | None:
        """One query of the accounting records of these ended jobs of one site; None if there is no accounting."""
        del ids
        return None

    def accounted(self, done: Completed) -> Mapping[LocalId, Seen]:
        """Raises UnreadableOutput. A job that is missing has no record (yet)."""
        raise UnreadableOutput(done.argv, done.code, "there is no accounting")

    # --- acting: one call is about jobs of one site ---

    def site(self, localid: LocalId) -> str:
        """The cluster that a job is on, if one client serves several."""
        del localid
        return ""

    def on_site_of(self, localid: LocalId, other: LocalId | None = None) -> LocalId:
        """A local id as a job script knows it, with its cluster: that of ``other`` if it names none itself."""
        del other
        return localid

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


#: Tags of attempts and of arrays.
_TAG: Final = re.compile(r"[A-Za-z0-9_.+=@-]{1,63}-[0-9a-f]{8}|arex-[0-9a-f]{16}")
_ARRAY_TAG: Final = re.compile(r"arex-[0-9a-f]{16}")


def is_tag(text: str) -> bool:
    """Whether it has the form of a tag; the jobs of other programs may have any text in its place."""
    return _TAG.fullmatch(text) is not None


def is_array_tag(text: str) -> bool:
    return _ARRAY_TAG.fullmatch(text) is not None


def program(directory: Path | None, name: str) -> str:
    """A command of the batch system: in this directory, or found through PATH."""
    return name if directory is None else str(directory / name)


def no_answer(done: Completed, down: re.Pattern[str]) -> BatchUnavailable:
    """
    The error for output that is no answer.

    It is ``UnreadableOutput``, unless ``down`` matches the output: then the server does not answer.
    """
    said = " ".join((done.err or done.out).split())[:300]
    return BatchUnavailable(said) if down.search(said) else UnreadableOutput(done.argv, done.code, said)


def unknown_state(system: str, word: str) -> None:
    """Log a state that is not in the table of a dialect; its jobs count as present."""
    log.warning("unknown state of %s: %s", system, word, extra={"event": "lrms.state"})


def plain_word(text: str, allowed: str = r"\w.@+-") -> str:
    """One word of a directive: all other characters of a client's text, which could end it, become ``_``."""
    return re.sub(rf"[^{allowed}]", "_", text, flags=re.ASCII)


_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]")


def job_name(text: str, most: int = 15) -> str:
    """A name that every batch system accepts; ``gridjob`` for an empty one. Source: ARC's SLURM back end."""
    name = _UNSAFE.sub("_", text.encode("ascii", "replace").decode().replace("?", "_"))
    if not name:
        return "gridjob"
    return (name if name[0].isalpha() else f"N{name}")[:most]


def at_least(limit_s: int) -> int:
    """A limit in seconds that is one: 0 would mean unlimited to some batch systems."""
    return limit_s if limit_s > 0 else _SHORTEST_S


def is_doubled(when: datetime) -> bool:
    """Whether the clock of this host shows this time twice: at the end of summer time."""
    local = host_time(when).replace(tzinfo=None)
    try:
        return local.replace(fold=0).astimezone() != local.replace(fold=1).astimezone()
    except (OverflowError, ValueError):
        return False


def single_time(when: datetime) -> datetime:
    """In the time zone of this host, for an option without a zone: never earlier, and not in a doubled hour."""
    for minutes in range(_DOUBLED_MIN):
        later = when.replace(second=0, microsecond=0) + timedelta(minutes=minutes) if minutes else when
        if not is_doubled(later):
            return host_time(later)
    return host_time(when)


def host_time(when: datetime) -> datetime:
    """In the time zone of this host; unchanged if that is beyond the year 9999."""
    try:
        return when.astimezone()
    except OverflowError:
        return when
