"""One turn of a job in a worker thread: drive it and publish its state; an exception affects only this job."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from arex.gm.context import Job, JobContext
from arex.gm.machine import Resting, drive
from arex.gm.publishing import activity
from arex.gm.steps import AskStatus, AskSubmit, Forget
from arex.logs import job_context
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.state import State, Status

log = logging.getLogger(__name__)


def unknown(job: JobId) -> Job:
    """A job of which only the id is known; its first turn reads the rest from disk."""
    long_ago = datetime.fromtimestamp(0, UTC)
    return Job(id=job, status=Status(State.UNDEFINED), place=None, local=JobLocal(), changed=long_ago)


def take_turns(contexts: list[JobContext]) -> list[Resting | Exception]:
    """Drive each job, then flush durable files to disk; an exception is returned in place of the resting step."""
    rests = [_take_turn(context) for context in contexts]
    return [_synced(context, rest) for context, rest in zip(contexts, rests, strict=True)]


def _synced(context: JobContext, rest: Resting | Exception) -> Resting | Exception:
    """Flush the tag of an attempt to disk, since the job must not be submitted before that."""
    try:
        context.store.sync()
    except OSError as exc:
        return exc
    return rest


def _take_turn(context: JobContext) -> Resting | Exception:
    token = job_context.set(context.job.id)
    before = context.job.status
    try:
        rest = drive(context)
        if context.job.status != before and not isinstance(rest, Forget | AskSubmit | AskStatus):
            # a submitted job is published with its phase within a second, so it is not published here
            activity.publish(context)
    except Exception as exc:  # noqa: BLE001 - an exception of one job must not affect others; it is logged and retried
        return exc
    finally:
        job_context.reset(token)
    if context.job.status != before:
        log.debug("%s -> %s", before, context.job.status, extra={"event": "job.moved", "job": context.job.id})
    return rest
