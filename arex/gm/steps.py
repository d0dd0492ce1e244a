"""
What a state handler may say (a step), and what the outside of the grid manager has answered.

``machine.advance`` carries steps out; nothing in this module acts.
"""

from __future__ import annotations

from dataclasses import dataclass

from arex.model.ids import LocalId
from arex.model.local import JobLocal
from arex.model.report import Report
from arex.model.state import State
from arex.ports import LocalJob, Staged, Staging, Submission

# --- answers --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SubmitTaken:
    localid: LocalId


@dataclass(frozen=True, slots=True)
class SubmitRefused:
    """The batch system said no to the submission."""

    why: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The job left the batch system; the report says how."""

    report: Report


@dataclass(frozen=True, slots=True)
class CancelTaken:
    """The batch system took the request to cancel, or refused it with a reason."""

    refusal: str = ""


@dataclass(frozen=True, slots=True)
class HoldTaken:
    """The batch system took the request to hold or release, or refused it with a reason."""

    release: bool
    refusal: str = ""


Answer = SubmitTaken | SubmitRefused | Ended | CancelTaken | HoldTaken | Staged

# --- steps -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decision:
    """What every step may carry; the state machine writes it before it carries the step out."""

    local: JobLocal | None = None  #: replaces ``.local``
    notes: tuple[str, ...] = ()  #: for the owner, at the end of ``.errors``


@dataclass(frozen=True, slots=True)
class Move(_Decision):
    to: State
    why: str  #: ARC's wording
    pending: bool = False


@dataclass(frozen=True, slots=True)
class Wait(_Decision):
    """Nothing to do before the job is woken: by an event, or after some seconds."""

    seconds: float | None = None
    why: str = ""  #: with a reason the status reads PENDING


@dataclass(frozen=True, slots=True)
class Fail(_Decision):
    """The job has failed here; its outputs for this case are still delivered."""

    why: str  #: ARC's wording first, then what else we know
    blame: bool = True  #: record this state as ``failedstate``, which makes a restart possible


@dataclass(frozen=True, slots=True)
class Wreck(_Decision):
    """The job can't even fail in order: straight to FINISHED, its session untouched."""

    why: tuple[str, ...]
    reason: str = "Job processing failed"


@dataclass(frozen=True, slots=True)
class Stop(_Decision):
    """The owner asked for the end."""


@dataclass(frozen=True, slots=True)
class Forget(_Decision):
    """Every trace of the job goes."""


@dataclass(frozen=True, slots=True)
class AskSubmit(_Decision):
    """Hand the job to its batch system. ``sure`` is off when an earlier attempt may have arrived."""

    lrms: str
    submission: Submission
    sure: bool


@dataclass(frozen=True, slots=True)
class AskStatus(_Decision):
    """Wait for the batch system to say that the job has ended."""

    lrms: str
    job: LocalJob


@dataclass(frozen=True, slots=True)
class AskCancel(_Decision):
    lrms: str
    job: LocalJob


@dataclass(frozen=True, slots=True)
class AskHold(_Decision):
    """Keep a job that waits in its batch system from starting; or, with ``release``, let it start again."""

    lrms: str
    job: LocalJob
    release: bool


@dataclass(frozen=True, slots=True)
class AskStage(_Decision):
    """Bring remote files in or out."""

    staging: Staging
    out: bool


Ask = AskSubmit | AskStatus | AskCancel | AskHold | AskStage
Step = Move | Wait | Fail | Wreck | Stop | Forget | Ask
