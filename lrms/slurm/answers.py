"""What squeue and sacct say about jobs. Source: squeue(1), sacct(1) of SLURM 22.05 and newer."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from arex.model.report import EndCause, Phase
from lrms.command.dialect import Seen, unknown_state

_OTHER: Final = Phase.OTHER
#: Phase and, for an ended job, cause of each state; None: the state alone does not tell the cause. Source: squeue(1).
STATES: Final[Mapping[str, tuple[Phase, EndCause | None]]] = {
    "PENDING": (Phase.QUEUED, None),
    "CONFIGURING": (Phase.QUEUED, None),
    "REQUEUED": (Phase.QUEUED, None),
    "REQUEUE_FED": (Phase.QUEUED, None),
    "POWER_UP_NODE": (Phase.QUEUED, None),
    "REQUEUE_HOLD": (Phase.HELD, None),
    "RESV_DEL_HOLD": (Phase.HELD, None),
    "SPECIAL_EXIT": (Phase.HELD, None),
    "RUNNING": (Phase.RUNNING, None),
    "RESIZING": (Phase.RUNNING, None),
    "SIGNALING": (Phase.RUNNING, None),
    "UPDATE_DB": (Phase.RUNNING, None),
    "SUSPENDED": (Phase.SUSPENDED, None),
    "STOPPED": (Phase.SUSPENDED, None),
    "COMPLETING": (Phase.EXITING, None),
    "STAGE_OUT": (Phase.EXITING, None),
    "EXPEDITING": (Phase.QUEUED, None),
    "REVOKED": (_OTHER, None),  # it is on another cluster of the federation
    "COMPLETED": (Phase.ENDED, EndCause.EXIT_CODE),
    "FAILED": (Phase.ENDED, None),
    "CANCELLED": (Phase.ENDED, EndCause.CANCELLED_BY_ADMIN),
    "DEADLINE": (Phase.ENDED, EndCause.CANCELLED_BY_LIMIT),
    "TIMEOUT": (Phase.ENDED, EndCause.WALLTIME),
    "OUT_OF_MEMORY": (Phase.ENDED, EndCause.MEMORY),
    "NODE_FAIL": (Phase.ENDED, EndCause.NODE_FAILURE),
    "BOOT_FAIL": (Phase.ENDED, EndCause.NODE_FAILURE),
    "PREEMPTED": (Phase.ENDED, EndCause.PREEMPTED),
    "LAUNCH_FAILED": (Phase.ENDED, EndCause.NEVER_STARTED),
    "RECONFIG_FAIL": (Phase.ENDED, EndCause.NEVER_STARTED),
}
#: Signals that SLURM shows for its own errors: 53 is a launch that failed, 125 a lack of memory.
_OWN_ERRORS: Final = 50
#: Usual reasons for waiting.
_USUAL: Final = frozenset({"", "None", "(null)", "Resources", "Priority", "BeginTime", "Cleaning", "JobArrayTaskLimit"})
_HELD: Final = re.compile(r"job ?h[eo]ld|requeued (in )?held", re.IGNORECASE)
#: Fields of squeue -O with their widths; longer values are cut off. The comment is free text of the job's owner, and
#: comes last: whatever it contains, what follows a line break in it is shorter than the fields before the comment, so
#: that it cannot pass for an entry.
FIELDS: Final = (
    ("JobArrayID", 30),
    ("ArrayJobID", 15),
    ("ArrayTaskID", 60),
    ("State", 16),
    ("exit_code", 12),
    ("Reason", 80),
    ("NodeList", 120),
    ("StartTime", 20),
    ("EndTime", 20),
    ("Cluster", 40),
    ("Comment", 160),
)
#: One job: fields of exactly these widths; only a reason with characters of several bytes is narrower.
_ENTRY: Final = re.compile(
    "".join(
        rf"(?P<{name}>.{{{'0,' if name == 'Reason' else ''}{width}}})\|" for name, width in FIELDS if name != "Comment"
    )
    + "(?P<Comment>.*)"
)
ACCOUNT: Final = ("JobID", "State", "ExitCode", "Start", "End", "NodeList", "Reason")


def entries(out: str) -> list[dict[str, str]]:
    """The fields of each job in the output of squeue; other lines are parts of comments, or names of clusters."""
    found = (_ENTRY.fullmatch(line) for line in out.split("\n"))
    return [{name: value.strip() for name, value in each.groupdict().items()} for each in found if each]


def indices(text: str) -> Iterator[int]:
    """``1,3-5%2``: the children in a line about an array; none if the list is cut off, or if it is not an array."""
    for part in text.partition("%")[0].split(","):
        if not (found := re.fullmatch(r"(\d{1,7})(?:-(\d{1,7})(?::([1-9]\d{0,6}))?)?", part, re.ASCII)):
            continue
        yield from range(int(found[1]), int(found[2] or found[1]) + 1, int(found[3] or 1))


def listed(fields: Mapping[str, str]) -> Seen:
    state, reason = fields["State"].partition(" ")[0], fields["Reason"]
    phase, cause = _phase(state)
    code, number = _wait_status(fields["exit_code"]) if phase is Phase.ENDED else (None, None)
    if phase is Phase.QUEUED and _HELD.search(reason):
        phase = Phase.HELD
    if state == "FAILED":
        cause = _failed(fields["exit_code"])
    elif state == "TIMEOUT" and reason not in {*_USUAL, "TimeLimit"}:
        cause = EndCause.CANCELLED_BY_LIMIT
    comment = fields["Comment"].removesuffix("|").strip()
    return Seen(
        phase=phase,
        word=state if reason in {"", "None", "(null)"} else f"{state} ({reason})",
        tag="" if comment == "(null)" else comment,
        cause=cause,
        exit_code=code,
        signal=number,
        nodes=_nodes(fields["NodeList"]),
        started=_time(fields["StartTime"]),
        ended=_time(fields["EndTime"]) if phase is Phase.ENDED else None,
        message=f"waits: {reason}" if phase in {Phase.QUEUED, Phase.HELD} and reason not in _USUAL else "",
        vague=state == "CANCELLED",
    )


def _phase(state: str) -> tuple[Phase, EndCause | None]:
    if state not in STATES:
        unknown_state("SLURM", state)
    return STATES.get(state, (_OTHER, None))


def _wait_status(text: str) -> tuple[int | None, int | None]:
    """
    Exit code and signal from ``exit_code``; None for both after an error of SLURM itself.

    Until 23.02 squeue prints what wait(2) gave slurmd, later ``code:signal``.
    """
    if found := re.fullmatch(r"(\d{1,9}):(\d{1,9})", text, re.ASCII):
        code, number = int(found[1]), int(found[2])
    elif re.fullmatch(r"\d{1,9}", text, re.ASCII) and (int(text) <= 0xFF or int(text) & 0xFF == 0):
        code, number = int(text) >> 8, int(text) & 0x7F
    else:
        return None, None
    if number >= _OWN_ERRORS:
        return None, None
    return (None, number) if number else (code, None)


def _failed(text: str) -> EndCause | None:
    """SLURM also calls a script that kills itself a launch failure; the exit status distinguishes the two."""
    code, number = _wait_status(text)
    if number is not None:
        return EndCause.SIGNAL
    if code is not None:
        return EndCause.EXIT_CODE
    return EndCause.NEVER_STARTED if text[:1].isdecimal() else None


def accounted(fields: Mapping[str, str]) -> Seen:
    """``CANCELLED by 1000`` names the account; the exit code reads ``code:signal``."""
    state, _, who = fields["State"].partition(" ")
    phase, cause = _phase(state.rstrip("+"))
    code, number = _wait_status(fields["ExitCode"]) if phase is Phase.ENDED else (None, None)
    if state == "CANCELLED" and (uid := who.removeprefix("by ")).isdecimal():
        cause = EndCause.CANCELLED if int(uid) == os.geteuid() else EndCause.CANCELLED_BY_ADMIN
    elif state == "FAILED":
        cause = _failed(fields["ExitCode"])
    return Seen(
        phase=phase,
        word=fields["State"],
        cause=cause,
        exit_code=code,
        signal=number,
        nodes=_nodes(fields["NodeList"]),
        started=_time(fields["Start"]),
        ended=_time(fields["End"]),
    )


def _nodes(text: str) -> tuple[str, ...]:
    """Names as SLURM abbreviates them: ``n[1-3]`` stays one word."""
    return () if text in {"", "(null)", "None assigned"} else (text,)


def _time(text: str) -> datetime | None:
    """Seconds of the epoch, which arex asks for; local time if something in between asks for something else."""
    try:
        if text.isdecimal():
            return datetime.fromtimestamp(int(text), UTC)
        return datetime.fromisoformat(text).replace(fold=1).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
