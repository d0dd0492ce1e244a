"""A batch system's report about one job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Phase(StrEnum):
    """Where a job is in the batch system. The value is the letter that ``.xml`` shows after ``INLRMS:``."""

    QUEUED = "Q"
    RUNNING = "R"
    SUSPENDED = "S"
    HELD = "H"  #: queued, and not allowed to start because of a request
    EXITING = "E"
    OTHER = "O"  #: unknown code: the job still exists
    ENDED = "EXECUTED"


class EndCause(StrEnum):
    """Why a job left the batch system. The list is closed; the documentation has advice for each cause."""

    EXIT_CODE = "exit code"
    SIGNAL = "signal"
    WALLTIME = "walltime"
    CPUTIME = "cputime"
    MEMORY = "memory"
    NODE_FAILURE = "node failure"
    PREEMPTED = "preempted"
    CANCELLED = "cancelled"  #: by its owner, with arex or directly in the batch system
    CANCELLED_BY_ADMIN = "cancelled by admin"
    CANCELLED_BY_LIMIT = "cancelled by limit"  #: by a limit of the site other than time and memory
    NEVER_STARTED = "never started"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Resources that a job used; None means unknown."""

    wall_s: float | None = None
    user_s: float | None = None
    system_s: float | None = None
    max_rss_kb: int | None = None


class EvidenceSource(StrEnum):
    """Sources of evidence about a job, the most trusted first."""

    RECORD = "record"  #: written by the job script at its end
    MARK = "mark"  #: written by the job script at its start
    SCAN = "scan"  #: the batch system's list of jobs
    ACCOUNTING = "accounting"  #: the batch system's records of ended jobs
    SESSION = "session"  #: the accounting lines in ``SESSION.diag``


@dataclass(frozen=True, slots=True)
class Evidence:
    """The text from one source of evidence."""

    source: EvidenceSource
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The batch system's answer about one job. There is no report for a job that is missing from an answer."""

    phase: Phase
    exit_code: int | None = None  #: of the payload, after its end; None: unknown
    signal: int | None = None  #: signal that ended the payload
    cause: EndCause | None = None  #: only after the end
    message: str = ""  #: text after the code in ``lrms_done``; one line
    nodes: tuple[str, ...] = ()
    started: datetime | None = None
    ended: datetime | None = None
    usage: Usage = Usage()
    evidence: tuple[Evidence, ...] = ()  #: the evidence for this report
    doubt: str = ""  #: a sentence if the evidence is contradictory or incomplete


def lrms_done(report: Report, expected: int = 0) -> tuple[int, str]:
    """
    Code and message of ``lrms_done`` for a job that has ended: ARC's wording, then further details.

    A-REX only compares the code with the expected one. If the batch system stopped the payload, the job has failed even
    if its code is the expected one. The code is then 256 + signal, as batch systems report it.
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
