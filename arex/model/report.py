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
    HELD = "H"  #: queued, and kept from starting on request
    EXITING = "E"
    OTHER = "O"  #: an unknown code: the job is still there
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
    CANCELLED = "cancelled"  #: by its owner, through us or under the same account
    CANCELLED_BY_ADMIN = "cancelled by admin"
    CANCELLED_BY_LIMIT = "cancelled by limit"  #: one of the site's that is neither time nor memory
    NEVER_STARTED = "never started"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a job used; None is not known."""

    wall_s: float | None = None
    user_s: float | None = None
    system_s: float | None = None
    max_rss_kb: int | None = None


class EvidenceSource(StrEnum):
    """Where a piece of evidence about a job comes from, the most trusted first."""

    RECORD = "record"  #: the job script itself, on leaving
    MARK = "mark"  #: the job script, on starting
    SCAN = "scan"  #: the batch system, asked about all its jobs
    ACCOUNTING = "accounting"  #: the batch system's records of ended jobs
    SESSION = "session"  #: the accounting lines in ``SESSION.diag``


@dataclass(frozen=True, slots=True)
class Evidence:
    """The text of one source of evidence."""

    source: EvidenceSource
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One job, as its batch system answered. A job that is absent from an answer has no report at all."""

    phase: Phase
    exit_code: int | None = None  #: of the payload after its end; None: unknown
    signal: int | None = None  #: that ended the payload
    cause: EndCause | None = None  #: once ended
    message: str = ""  #: what follows the code in ``lrms_done``; one line
    nodes: tuple[str, ...] = ()
    started: datetime | None = None
    ended: datetime | None = None
    usage: Usage = Usage()
    evidence: tuple[Evidence, ...] = ()  #: on which all this rests
    doubt: str = ""  #: a sentence if the evidence is contradictory or incomplete


def lrms_done(report: Report, expected: int = 0) -> tuple[int, str]:
    """
    Code and message of ``lrms_done`` for a job that has ended: ARC's words, then what else is known.

    A-REX looks at nothing but whether the code equals the expected one. A payload that was stopped for a reason of
    the batch system has failed even if its code is the expected one, and gets 256 + signal then, as batch systems do.
    Source: ARC 6.17, ``lrms_done`` of scan-X-job and of the fork backend.
    """
    code = report.exit_code
    if code is None:
        return -1, report.message or "Job died unexpectedly"
    if code == expected and report.cause not in {EndCause.EXIT_CODE, EndCause.SIGNAL, None}:
        code = 256 + (report.signal or 9)
    if report.message or code == expected:
        return code, report.message
    return code, f"Job finished with wrong exit code - {code} != {expected}{_more(report)}"


def _more(report: Report) -> str:
    match report.cause:
        case None | EndCause.EXIT_CODE:
            return ""
        case EndCause.SIGNAL:
            return f": signal {report.signal}"
        case cause:
            return f": {cause}"
