"""
Reruns: a failed job starts again in the state where it failed, as often as ``rerun`` allows.

The order of writes is: everything that can be repeated, then the new state, then the removal of the failure, then the
removal of the mark. After a crash in between, the mark still exists, and adoption completes the rerun.
Source: ARC 6.17. Unlike ARC 6.17, arex also submits jobs again that failed in the batch system.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

from arex.controldir.layout import Mark
from arex.gm import outputs
from arex.gm.context import JobContext
from arex.gm.steps import Move, Step
from arex.model.state import State

log = logging.getLogger(__name__)

#: The state after a rerun and the reason in ARC 6.17's wording, by the failed state.
_PATHS: Final = {
    State.PREPARING: (State.ACCEPTED, "Request to restart job failed in PREPARING"),
    State.SUBMIT: (State.PREPARING, "Request to restart job failed in INLRMS (no input files are missing)"),
    State.INLRMS: (State.PREPARING, "Request to restart job failed in INLRMS (no input files are missing)"),
    State.FINISHING: (State.INLRMS, "Request to restart job failed in FINISHING"),
}
_MISSING: Final = (State.ACCEPTED, "Request to restart job failed in INLRMS (some input files are missing)")


def decide(context: JobContext) -> Step | None:
    """The move for a restart mark; if it is not possible, None, and the mark is removed."""
    job, local = context.job, context.job.local
    path = _PATHS.get(local.failedstate) if local.failedstate else None
    if path is None or not local.rerun or local.rerun <= 0:
        log.info("restart refused: failed in %s, %s reruns left", local.failedstate, local.rerun or 0)
        context.store.drop_mark(job.id, Mark.RESTART)
        return None
    outputs.for_restart(context)
    context.session.remove_siblings()
    context.store.remove(job.id, ("lrms_done", "lrms_job"))
    context.store.drop_jobid(job.id)
    if local.failedstate in {State.SUBMIT, State.INLRMS} and outputs.missing_downloads(context):
        path = _MISSING
    to, why = path
    return Move(to, why, pending=True)


def is_unfinished(context: JobContext, state: State) -> bool:
    """Whether a daemon was killed between the new state of a rerun and the removal of the mark."""
    return (
        state in {State.ACCEPTED, State.PREPARING, State.INLRMS}
        and context.store.has_mark(context.job.id, Mark.RESTART)
        and (context.job.local.failedstate is not None or context.store.exists(context.job.id, "failed"))
    )


def complete(context: JobContext) -> None:
    """Remove the failure and the mark; the new state of the job is already on disk."""
    job, local = context.job, context.job.local
    if local.failedstate is not None:
        local = replace(
            local, failedstate=None, failedcause=None, rerun=max(0, (local.rerun or 1) - 1), cleanuptime=None
        )
        context.store.put_local(job.id, local)
        context.job = replace(job, local=local)
    context.store.remove(job.id, ("failed",))
    context.store.drop_mark(job.id, Mark.RESTART)
