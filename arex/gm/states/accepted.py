"""ACCEPTED: read the description, make the lists, wait for the start time and for room for its owner."""

from __future__ import annotations

from dataclasses import replace

from arex.gm import credentials, outputs
from arex.gm.case import Case, Fail, Move, Step, Wait
from arex.model.local import JobLocal
from arex.model.state import State

#: A start time is looked at again at least this often: clocks are set.
_LOOK_AGAIN_S = 60.0


def decide(case: Case) -> Step:
    credentials.refresh(case)
    local = _accept(case)
    if local.dryrun:
        case.store.put_local(case.job.id, local)
        case.job = replace(case.job, local=local)
        return Fail("Job has dryrun requested. Job skipped.", blame=False)
    if not case.world.limits.may_start(case.job.id, local.subject or "", local.priority or 50):
        return _waiting(case, local, Wait(why="Jobs per DN limit is reached"))
    if local.processtime is not None and (left := (local.processtime - case.world.clock.now()).total_seconds()) > 0:
        return _waiting(case, local, Wait(min(left, _LOOK_AGAIN_S)))
    for suffix in ("diag", "statistics"):
        case.store.touch(case.job.id, suffix)
    return Move(State.PREPARING, "Starting job processing", local)


def _waiting(case: Case, local: JobLocal, wait: Wait) -> Wait:
    if local != case.job.local:
        case.store.put_local(case.job.id, local)
        case.job = replace(case.job, local=local)
    return wait


def _accept(case: Case) -> JobLocal:
    """
    Lists from the description, and ``.local`` with what the client left out.

    Raises:
        JobDescriptionError, JobRefused, CorruptFile: the description can't be used.
    """
    job = case.job
    if job.status.pending and case.store.exists(job.id, "output"):
        return job.local  # a restart has made the lists already, without what is done
    local, inputs, made = outputs.from_description(case)
    case.store.put_entries(job.id, "input", inputs)
    case.store.put_entries(job.id, "output", made)
    return local
