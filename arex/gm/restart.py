"""
A failed job starts again where it failed, as often as ``rerun`` allows.

The mark is dropped last: a crash in between finds it, and whatever is left to do is done at adoption.
Source: spec, section on restart. Unlike 6.17 a job that failed in the batch system is submitted anew.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

from arex.controldir.layout import Mark
from arex.gm import outputs
from arex.gm.case import Case, Move, Step
from arex.model.local import JobLocal
from arex.model.state import State

log = logging.getLogger(__name__)

#: Where a restart leads and what 6.17 says about it.
_PATHS: Final = {
    State.PREPARING: (State.ACCEPTED, "Request to restart job failed in PREPARING"),
    State.SUBMIT: (State.PREPARING, "Request to restart job failed in INLRMS (no input files are missing)"),
    State.INLRMS: (State.PREPARING, "Request to restart job failed in INLRMS (no input files are missing)"),
    State.FINISHING: (State.INLRMS, "Request to restart job failed in FINISHING"),
}
_MISSING: Final = (State.ACCEPTED, "Request to restart job failed in INLRMS (some input files are missing)")


def decide(case: Case) -> Step | None:
    """The move that a restart mark asks for; None and no mark any more if it can't be granted."""
    job, local = case.job, case.job.local
    path = _PATHS.get(local.failedstate) if local.failedstate else None
    if path is None or not local.rerun or local.rerun <= 0:
        log.info("restart refused: failed in %s, %s reruns left", local.failedstate, local.rerun or 0)
        case.store.drop_mark(job.id, Mark.RESTART)
        return None
    cleared = clear_failure(case, keep_mark=True)
    if local.failedstate in {State.SUBMIT, State.INLRMS} and outputs.missing_downloads(case):
        path = _MISSING
    to, why = path
    return Move(to, why, cleared, pending=True)


def clear_failure(case: Case, *, keep_mark: bool = False) -> JobLocal:
    """Take back what the failure left; the failure itself goes with the rewrite of ``.local`` that follows."""
    job, local = case.job, case.job.local
    assert local.failedstate is not None
    cleared = replace(local, failedstate=None, failedcause=None, rerun=max(0, (local.rerun or 1) - 1), cleanuptime=None)
    cleared = outputs.for_restart(case, cleared)
    case.session.remove_siblings()
    case.store.remove(job.id, ("failed", "lrms_done", "lrms_job"))
    outputs.drop_jobid(case)
    if not keep_mark:
        case.store.drop_mark(job.id, Mark.RESTART)
    return cleared
