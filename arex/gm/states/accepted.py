"""ACCEPTED: read the description, make the lists, wait for the start time and for room for its owner."""

from __future__ import annotations

from dataclasses import replace

from arex.gm import credentials, outputs
from arex.gm.context import JobContext
from arex.gm.steps import Fail, Move, Step, Wait
from arex.model.local import JobLocal
from arex.model.state import State

#: A start time is looked at again at least this often: clocks are set.
_LOOK_AGAIN_S = 60.0


def decide(context: JobContext) -> Step:
    credentials.refresh(context)
    local = _accept(context)
    if local.dryrun:
        context.store.put_local(context.job.id, local)
        context.job = replace(context.job, local=local)
        return Fail("Job has dryrun requested. Job skipped.", blame=False)
    if not context.services.limits.may_start(context.job.id, local.subject or "", local.priority or 50):
        return _waiting(context, local, Wait(why="Jobs per DN limit is reached"))
    if (
        local.processtime is not None
        and (left := (local.processtime - context.services.clock.now()).total_seconds()) > 0
    ):
        return _waiting(context, local, Wait(min(left, _LOOK_AGAIN_S)))
    for suffix in ("diag", "statistics"):
        context.store.touch(context.job.id, suffix)
    return Move(State.PREPARING, "Starting job processing", local)


def _waiting(context: JobContext, local: JobLocal, wait: Wait) -> Wait:
    if local != context.job.local:
        context.store.put_local(context.job.id, local)
        context.job = replace(context.job, local=local)
    return wait


def _accept(context: JobContext) -> JobLocal:
    """
    Lists from the description, and ``.local`` with what the client left out.

    Raises:
        JobDescriptionError, JobRefused, CorruptFile: the description can't be used.
    """
    job = context.job
    if job.status.pending and context.store.exists(job.id, "output"):
        return job.local  # a restart has made the lists already, without what is done
    local, inputs, made = outputs.from_description(context)
    context.store.put_entries(job.id, "input", inputs)
    context.store.put_entries(job.id, "output", made)
    return local
