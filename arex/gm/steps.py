"""
Steps, which state handlers return, and answers of batch systems and staging.

This module contains only data; ``machine.advance`` carries the steps out.
"""

from __future__ import annotations

from dataclasses import dataclass

from arex.controldir.layout import Mark
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
    """The batch system refused the submission."""

    why: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The owner cancels the job, and it was taken back before it reached the batch system."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The job left the batch system, as described in the report."""

    report: Report


@dataclass(frozen=True, slots=True)
class CancelTaken:
    """The batch system accepted the request to cancel, or refused it with a reason."""

    refusal: str = ""


@dataclass(frozen=True, slots=True)
class HoldTaken:
    """The batch system accepted the request to hold or release, or refused it with a reason."""

    release: bool
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class StagingEnded:
    """The stager has answered."""

    staged: Staged
    out: bool  #: whether it was asked about outputs


Answer = SubmitTaken | SubmitRefused | Withdrawn | Ended | CancelTaken | HoldTaken | StagingEnded

# --- steps -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decision:
    """Fields of every step, which the state machine writes before it carries the step out."""

    local: JobLocal | None = None  #: replaces ``.local``
    notes: tuple[str, ...] = ()  #: for the owner, at the end of ``.errors``
    answered: tuple[Mark, ...] = ()  #: requests of the owner; their marks are removed after the notes are on disk


@dataclass(frozen=True, slots=True)
class Move(_Decision):
    to: State
    why: str  #: ARC's wording
    pending: bool = False


@dataclass(frozen=True, slots=True)
class Wait(_Decision):
    """Wait until the job is woken by an event, or after some seconds."""

    seconds: float | None = None
    why: str = ""  #: with a reason, the status is PENDING


@dataclass(frozen=True, slots=True)
class Fail(_Decision):
    """The job has failed; outputs for a failed job are still uploaded."""

    why: str  #: ARC's wording first, then details
    blame: bool = True  #: record this state as ``failedstate``, which makes a restart possible


@dataclass(frozen=True, slots=True)
class Wreck(_Decision):
    """The job cannot be processed at all: it goes to FINISHED, without changes in its session directory."""

    why: tuple[str, ...]
    reason: str = "Job processing failed"


@dataclass(frozen=True, slots=True)
class Stop(_Decision):
    """The owner cancels the job."""


@dataclass(frozen=True, slots=True)
class Forget(_Decision):
    """Remove all files of the job."""


@dataclass(frozen=True, slots=True)
class AskSubmit(_Decision):
    """Submit the job to its batch system. ``sure`` is False if the batch system may already have this attempt."""

    lrms: str
    submission: Submission
    sure: bool


@dataclass(frozen=True, slots=True)
class AskStatus(_Decision):
    """Wait until the batch system reports the end of the job."""

    lrms: str
    job: LocalJob


@dataclass(frozen=True, slots=True)
class AskCancel(_Decision):
    lrms: str
    job: LocalJob


@dataclass(frozen=True, slots=True)
class AskHold(_Decision):
    """Hold a queued job in its batch system, or release it."""

    lrms: str
    job: LocalJob
    release: bool


@dataclass(frozen=True, slots=True)
class AskStage(_Decision):
    """Download the inputs, or upload the outputs."""

    staging: Staging
    out: bool


Ask = AskSubmit | AskStatus | AskCancel | AskHold | AskStage
Step = Move | Wait | Fail | Wreck | Stop | Forget | Ask
