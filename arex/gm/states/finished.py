"""FINISHED and DELETED: kept for the owner, until a mark or the lifetime says otherwise."""

from __future__ import annotations

from arex.controldir.layout import Mark
from arex.controldir.store import AT_DELETED, AT_FINISHED
from arex.gm import restart
from arex.gm.case import Case, Forget, Move, Step, Wait
from arex.model.state import State


def decide(case: Case) -> Step:
    job = case.job
    if case.store.has_mark(job.id, Mark.CLEAN):
        return Forget()
    case.store.remove(job.id, AT_FINISHED)  # a crash may have left them
    if case.store.has_mark(job.id, Mark.CANCEL):
        case.store.drop_mark(job.id, Mark.CANCEL)  # too late to cancel
    if case.store.has_mark(job.id, Mark.RESTART):
        step = restart.decide(case)
        if step is not None:
            return step
    if job.local.cleanuptime is None or job.local.cleanuptime > case.world.clock.now():
        return Wait()
    if not case.settings.ttr:
        return Forget()
    return Move(State.DELETED, "Job stayed unattended too long")


def decide_deleted(case: Case) -> Step:
    job = case.job
    if case.store.has_mark(job.id, Mark.CLEAN):
        return Forget()
    until = job.local.cleanuptime
    if until is None or until + case.settings.ttr <= case.world.clock.now():
        return Forget()
    if case.session.exists():  # a crash fell between the state and what it removes
        case.remove_session()
        case.store.remove(job.id, AT_DELETED)
    return Wait()
