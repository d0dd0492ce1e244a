"""CANCELING: the batch system was asked to end the job; it leaves when ``lrms_done`` appears."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from arex.gm.case import AskCancel, AskStatus, CancelTaken, Case, Fail, Move, Step, Wait
from arex.gm.states import inlrms
from arex.model.state import State

#: How long the batch system may take to end a job. Source: spec, timing constants.
_PATIENCE: Final = timedelta(hours=1)
_ASK_AGAIN_S: Final = 30.0


def decide(case: Case) -> Step:
    done = inlrms.read_done(case)
    if done is not None:
        inlrms.collect_diag(case)
        return Move(State.FINISHING, "Job cancellation succeeded")
    if case.world.clock.now() - case.job.changed > _PATIENCE:
        return Fail("Job cancellation failed: the batch system did not end the job within an hour")
    status = inlrms.ask_status(case)
    if not isinstance(status, AskStatus):
        return status
    match case.answer:
        case CancelTaken(refusal=""):
            return status
        case CancelTaken(refusal=why):
            case.store.note(case.job.id, f"Batch system refused to cancel the job: {why}")
            return Wait(_ASK_AGAIN_S)
        case _:
            return AskCancel(status.lrms, status.job)
