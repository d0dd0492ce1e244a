"""What a batch system says about one job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Phase(StrEnum):
    """Where a job is in the batch system; the letter is what ``.xml`` shows after ``INLRMS:``."""

    QUEUED = "Q"
    RUNNING = "R"
    SUSPENDED = "S"
    EXITING = "E"
    OTHER = "O"  #: a code nobody knows: it is still there
    ENDED = "EXECUTED"


class EndCause(StrEnum):
    """Why a job left the batch system: a closed list, each with its own advice in the documentation."""

    EXIT_CODE = "exit code"
    SIGNAL = "signal"
    WALLTIME = "walltime"
    CPUTIME = "cputime"
    MEMORY = "memory"
    NODE_FAILURE = "node failure"
    PREEMPTED = "preempted"
    CANCELLED = "cancelled"
    NEVER_STARTED = "never started"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a job used; None is not known."""

    wall_s: float | None = None
    user_s: float | None = None
    system_s: float | None = None
    max_rss_kb: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One job, as its batch system answered. A job that is absent from an answer has no report at all."""

    phase: Phase
    exit_code: int | None = None  #: of the payload, once ended; None: nobody kept it
    signal: int | None = None  #: that ended the payload
    cause: EndCause | None = None  #: once ended
    message: str = ""  #: what follows the code in ``lrms_done``; one line
    nodes: tuple[str, ...] = ()
    started: datetime | None = None
    ended: datetime | None = None
    usage: Usage = Usage()
