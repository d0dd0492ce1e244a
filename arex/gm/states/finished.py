"""FINISHED and DELETED: the job is kept until a mark arrives or its lifetime ends."""

from __future__ import annotations

import logging
from datetime import datetime

from arex.controldir.layout import Mark
from arex.controldir.store import AT_DELETED, AT_FINISHED
from arex.gm import restart
from arex.gm.context import JobContext
from arex.gm.steps import Forget, Move, Step, Wait
from arex.model.state import State

log = logging.getLogger(__name__)


def decide(context: JobContext) -> Step:
    job = context.job
    if context.store.has_mark(job.id, Mark.CLEAN):
        return Forget()
    context.store.remove(job.id, AT_FINISHED)  # they may remain after a crash
    if context.store.has_mark(job.id, Mark.CANCEL):
        context.store.drop_mark(job.id, Mark.CANCEL)  # too late to cancel
    if context.store.has_mark(job.id, Mark.RESTART):
        step = restart.decide(context)
        if step is not None:
            return step
    if job.local.cleanuptime is None or not _has_passed(context, job.local.cleanuptime):
        return Wait()
    log.info("the lifetime of the results has ended: they are removed", extra={"event": "job.expired", "job": job.id})
    if not context.settings.ttr:
        return Forget()
    return Move(State.DELETED, "Job stayed unattended too long")


def decide_deleted(context: JobContext) -> Step:
    job = context.job
    if context.store.has_mark(job.id, Mark.CLEAN):
        return Forget()
    until = job.local.cleanuptime
    if until is None or _has_passed(context, until + context.settings.ttr):
        return Forget()
    if context.session.exists():  # after a crash between the state and the removal
        left = context.remove_session()
        context.store.remove(job.id, AT_DELETED)
        return Wait(notes=tuple(left))
    return Wait()


def _has_passed(context: JobContext, moment: datetime) -> bool:
    return not context.services.clock_check.was_set() and moment <= context.services.clock.now()
