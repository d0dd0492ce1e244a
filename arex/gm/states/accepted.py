"""ACCEPTED: parse the description, write the file lists, wait for the start time and the limit of the owner."""

from __future__ import annotations

from arex.gm import outputs
from arex.gm.context import JobContext
from arex.gm.steps import Fail, Move, Step, Wait
from arex.model.local import JobLocal
from arex.model.state import State

#: A start time is checked at least this often, because the clock may be changed.
_LOOK_AGAIN_S = 60.0


def decide(context: JobContext) -> Step:
    local = _accept(context)
    if local.dryrun:
        return Fail("Job has dryrun requested. Job skipped.", blame=False, local=local)
    if not context.services.limits.may_start(context.job.id, local.subject or "", local.priority or 50):
        return Wait(why="Jobs per DN limit is reached", local=local)
    if (
        local.processtime is not None
        and (left := (local.processtime - context.services.clock.now()).total_seconds()) > 0
    ):
        return Wait(min(left, _LOOK_AGAIN_S), local=local)
    for suffix in ("diag", "statistics"):
        context.store.touch(context.job.id, suffix)
    return Move(State.PREPARING, "Starting job processing", local=local)


def _accept(context: JobContext) -> JobLocal:
    """
    Write the file lists; returns ``.local`` with the values that the client left out.

    Raises:
        JobDescriptionError, JobRefused, CorruptFile: the description is invalid.
    """
    job = context.job
    if job.status.pending and context.store.exists(job.id, "output"):
        return job.local  # a restart has already written the lists, without completed files
    local, inputs, made = outputs.from_description(context)
    context.store.put_entries(job.id, "input", inputs)
    context.store.put_entries(job.id, "output", made)
    return local
