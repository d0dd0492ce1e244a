"""
Why a job failed, in plain words. ARC's words stay in ``.failed``, where its tools compare them.

Everything here is a pure function of texts that the service has written about the job.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from arex.model.arc import CANCELLED
from arex.model.grami import Grami
from arex.model.reason import Reason, ReasonKind
from arex.model.report import EndCause

_LRMS_ERROR: Final = re.compile(r"LRMS error: \((-?\d+)\) ?(.*)")
_WRONG_CODE: Final = re.compile(r"Job finished with wrong exit code - -?\d+ != -?\d+(?:: (.*))?")
_NO_PATH: Final = re.compile(r'never started \(Path "([^"]*)" does not seem to exist\)')
_NOT_STARTED: Final = re.compile(r"Job failed: never started \((.*)\)")
#: A script whose first line ends with a carriage return, in the words of lrms/jobscript.
_WINDOWS: Final = re.compile(r"Cannot run (?:\./)?(\S+): .*Windows line ends.*")
_SIGNAL: Final = re.compile(r"signal (\d+)")
_REFUSED: Final = "Batch system refused the job: "
_MB: Final = 1024
#: What each cause is for programs.
_KINDS: Final[Mapping[EndCause, ReasonKind]] = {
    EndCause.EXIT_CODE: ReasonKind.EXIT_CODE,
    EndCause.SIGNAL: ReasonKind.SIGNAL,
    EndCause.WALLTIME: ReasonKind.WALLTIME,
    EndCause.CPUTIME: ReasonKind.CPUTIME,
    EndCause.MEMORY: ReasonKind.MEMORY,
    EndCause.NODE_FAILURE: ReasonKind.NODE_FAILURE,
    EndCause.PREEMPTED: ReasonKind.PREEMPTED,
    EndCause.CANCELLED: ReasonKind.CANCELED,
    EndCause.CANCELLED_BY_ADMIN: ReasonKind.CANCELED,
    EndCause.CANCELLED_BY_LIMIT: ReasonKind.CANCELED,
    EndCause.NEVER_STARTED: ReasonKind.NEVER_STARTED,
    EndCause.LOST: ReasonKind.LOST,
}
_PLAIN: Final[Mapping[EndCause, str]] = {
    EndCause.NODE_FAILURE: "ended: its node failed",
    EndCause.PREEMPTED: "ended: the batch system preempted it",
    EndCause.CANCELLED: "canceled in the batch system",
    EndCause.CANCELLED_BY_ADMIN: "canceled by an administrator of the batch system",
    EndCause.CANCELLED_BY_LIMIT: "canceled by the batch system because of a limit of the site",
    EndCause.NEVER_STARTED: "it never started",
    EndCause.LOST: "lost: the batch system does not know it any more, and it left no exit code",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedJob:
    """What the files say about a job that has failed or was canceled."""

    failure: str  #: ``.failed``
    batch_system: str = ""
    ended: datetime | None = None
    evidence: Mapping[str, str] = field(default_factory=dict)  #: keys of ``gm/publishing/evidence``
    limits: Grami | None = None
    wall_s: int | None = None
    cpu_s: int | None = None
    memory_kb: int | None = None
    crlf: str = ""  #: the program, if its first line ends with a carriage return
    interpreter: str = ""  #: of this program


def why_ended(job: EndedJob) -> Reason | None:
    """The reason; None if the job has not failed."""
    lines = [line.strip() for line in job.failure.splitlines() if line.strip()]
    if not lines:
        return None
    kind, text = _explained(job, lines)
    return Reason(kind, text, job.ended)


def _explained(job: EndedJob, lines: list[str]) -> tuple[ReasonKind, str]:
    if CANCELLED in lines:
        return _canceled([line for line in lines if line != CANCELLED])
    for line in lines:
        if found := _LRMS_ERROR.fullmatch(line):
            return _lrms_error(job, int(found[1]), found[2])
        if line.startswith(_REFUSED):
            by = job.batch_system or "the batch system"
            return ReasonKind.REFUSED, f"refused by {by}: {line.removeprefix(_REFUSED)}"
    return _other(lines)


def _canceled(others: list[str]) -> tuple[ReasonKind, str]:
    """A quota cancels a job too, and writes its reason first."""
    if others:
        return ReasonKind.QUOTA, f"canceled by the service: {others[0]}"
    return ReasonKind.CANCELED, "canceled by its owner"


def _other(lines: list[str]) -> tuple[ReasonKind, str]:
    first = lines[0]
    if first.startswith("Job has dryrun requested"):
        return ReasonKind.DRY_RUN, "dry run: the description is valid, and the job was not run"
    if first.startswith("Failed in data staging: "):
        return ReasonKind.STAGING, f"a transfer failed: {first.removeprefix('Failed in data staging: ')}"
    if first.startswith("User file: ") and first.endswith("Timeout waiting"):
        name = first.removeprefix("User file: ").removesuffix(" - Timeout waiting")
        return ReasonKind.STAGING, f"the client did not upload the input file {name} in time"
    if first.startswith("Could not process job description: "):
        text = first.removeprefix("Could not process job description: ")
        return ReasonKind.DESCRIPTION, f"the description cannot be used: {text}"
    # the second line says what the first one is about
    text = lines[1] if first == "Job submission to LRMS failed" and len(lines) > 1 else first
    return ReasonKind.FAILURE, text


def _lrms_error(job: EndedJob, code: int, message: str) -> tuple[ReasonKind, str]:
    if found := _NO_PATH.search(message):
        return ReasonKind.NEVER_STARTED, f"it never started: there is no {found[1]}"
    if found := _NOT_STARTED.fullmatch(message):
        return ReasonKind.NEVER_STARTED, _not_started(found[1])
    cause = _cause(job, message)
    match cause:
        case EndCause.WALLTIME:
            return ReasonKind.WALLTIME, _over("it ran longer than its wall time limit", _wall_limit(job), job.wall_s)
        case EndCause.CPUTIME:
            return ReasonKind.CPUTIME, _over("it used more CPU time than its limit", _cpu_limit(job), job.cpu_s)
        case EndCause.MEMORY:
            return ReasonKind.MEMORY, _memory(job)
        case EndCause.SIGNAL:
            return ReasonKind.SIGNAL, _signal(message, code)
        case EndCause.EXIT_CODE | None:
            pass
        case _:
            return _KINDS[cause], _with_detail(_PLAIN[cause], message)
    if _WRONG_CODE.fullmatch(message) or not message:
        return ReasonKind.EXIT_CODE, _exit_code(job, code)
    if code < 0:
        return (_KINDS[cause] if cause else ReasonKind.FAILURE), message
    return ReasonKind.EXIT_CODE, f"exit code {code}: {message}"


def _not_started(detail: str) -> str:
    if found := _WINDOWS.fullmatch(detail):
        return f"it never started: {found[1]} has Windows line ends; convert it with: sed -i 's/\\r$//' {found[1]}"
    return f"it never started: {detail}"


def _cause(job: EndedJob, message: str) -> EndCause | None:
    """The cause in ARC's message if arex wrote one there, otherwise that of the evidence."""
    found = _WRONG_CODE.fullmatch(message)
    word = (found[1] or "") if found else ""
    if _SIGNAL.fullmatch(word):
        return EndCause.SIGNAL
    for text in (word, job.evidence.get("cause", "")):
        if text in _CAUSES:
            return EndCause(text)
    return None


_CAUSES: Final = frozenset(EndCause)


def _wall_limit(job: EndedJob) -> int | None:
    return None if job.limits is None else job.limits.walltime_s


def _cpu_limit(job: EndedJob) -> int | None:
    return None if job.limits is None else job.limits.cputime_s


def _over(what: str, limit_s: int | None, used_s: int | None) -> str:
    limit = "" if limit_s is None else f" of {shown_seconds(limit_s)}"
    used = f" (it used {shown_seconds(used_s)})" if used_s is not None and limit_s is not None else ""
    return f"ended: {what}{limit}{used}"


def _memory(job: EndedJob) -> str:
    limit = None
    if job.limits is not None and job.limits.memory_mb is not None:
        limit = job.limits.memory_mb * job.limits.count  # the description names the memory of one slot
    used = None if job.memory_kb is None else -(-job.memory_kb // _MB)
    if used is not None and limit is not None and used > limit:
        return f"ended: it used {used} MB of memory, its limit is {limit} MB"
    # the batch system measures in its own way, or the last measurement was before the end
    return "ended: it used more memory than " + ("allowed" if limit is None else f"its limit of {limit} MB")


def _signal(message: str, code: int) -> str:
    found = _SIGNAL.search(message)
    number = int(found[1]) if found else code - 128
    try:
        name = signal.strsignal(number)
    except ValueError:
        name = None
    return f"ended by signal {number}" + (f" ({name.lower()})" if name else "")


def _exit_code(job: EndedJob, code: int) -> str:
    text = f"exit code {code}"
    if job.crlf and code in {126, 127}:
        return (
            f"{text}: {job.crlf} has Windows line ends, so its interpreter '{job.interpreter}\\r' does not exist; "
            f"convert it, for example with: sed -i 's/\\r$//' {job.crlf}"
        )
    if code == 127:
        return f"{text}: a command was not found"
    if code == 126:
        return f"{text}: a command could not be executed"
    if code > 256:
        return f"ended by signal {code - 256}"
    return text


def _with_detail(text: str, message: str) -> str:
    found = _WRONG_CODE.fullmatch(message)
    detail = "" if found or message == "Job died unexpectedly" else message.removeprefix("Job failed: ")
    return f"{text}: {detail}" if detail else text


def shown_seconds(seconds: float) -> str:
    """``45 s``, ``1 h 30 min``, ``2 d 3 h``: at most two units."""
    left = int(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= size or (unit == "s" and not parts):
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2])
