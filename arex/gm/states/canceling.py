"""CANCELING: cancel the job in the batch system, and wait until it has left."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from arex.gm.context import JobContext
from arex.gm.states import inlrms
from arex.gm.steps import (
    AskCancel,
    AskStatus,
    CancelTaken,
    Fail,
    Move,
    Step,
    Wait,
)
from arex.model.state import State

#: How long the batch system may take to end a job. Source: ARC 6.17.
_PATIENCE: Final = timedelta(hours=1)
_ASK_AGAIN_S: Final = 30.0


def decide(context: JobContext) -> Step:
    done = inlrms.read_done(context)
    if done is not None:
        inlrms.collect_diag(context)
        return Move(State.FINISHING, "Job cancellation succeeded", notes=done.notes)
    if context.services.clock.now() - context.job.changed > _PATIENCE:
        return Fail("Job cancellation failed: the batch system did not end the job within an hour")
    status = inlrms.ask_status(context)
    if not isinstance(status, AskStatus):
        return status
    match context.answer:
        case CancelTaken(refusal=""):
            return status
        case CancelTaken(refusal=why):
            return Wait(_ASK_AGAIN_S, notes=(f"Batch system refused to cancel the job: {why}",))
        case _:
            return AskCancel(status.lrms, status.job)
