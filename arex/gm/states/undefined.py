"""UNDEFINED: a status file exists, but the job is not adopted yet."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from arex.controldir.layout import Mark, Place
from arex.controldir.store import Found
from arex.gm.context import JobContext
from arex.gm.steps import (
    Fail,
    Move,
    Step,
    Stop,
    Wait,
    Wreck,
)
from arex.model.state import ACTIVE, RUNNING, State, Status

ADOPTED: Final = "(Re)Accepting new job"

#: Time for a client to complete its submission. If the client was killed meanwhile, its job is delayed by this time
#: only.
_MAKING_S: Final = 1.0
_MOMENT_S: Final = 0.02


def decide(context: JobContext) -> Step:
    found = context.store.read_status(context.job.id)
    if found is None:
        for mark in Mark:  # requests for a job that no longer exists
            context.store.drop_mark(context.job.id, mark)
        return Wait()  # the status file was removed: the manager drops the job
    if not context.room and found.place is not Place.FINISHED:
        context.job = replace(context.job, place=found.place)
        return Wait()  # the manager wakes the job when maxjobs allows it
    if _in_the_making(context, found):
        return Wait(_MOMENT_S)
    context.job = replace(context.job, place=found.place, changed=found.changed, on_disk=found.status)
    try:
        local = context.store.read_local(context.job.id)
    except BlockingIOError:
        return Wait(0.2)  # a client or another daemon holds the lock of .local for some milliseconds
    if local is None:
        return Wreck(("Internal error",), "Internal failure")
    context.job = replace(context.job, local=local)
    if found.status is None:
        return Fail("Failed reading status of the job", blame=False)
    context.store.drop_old_status(context.job.id, found.place)
    if found.status == Status(State.ACCEPTED) and context.store.has_mark(context.job.id, Mark.CANCEL):
        return Stop()  # cancelled before it was adopted
    return _adopt(context, found.status.state, pending=found.status.pending)


def _in_the_making(context: JobContext, found: Found) -> bool:
    """
    Whether an ARC client is still creating the job.

    The client renames the status file into place and then removes the read permission of others. If arex moves the file
    before that, the client considers the submission failed and removes the job, although it runs.
    """
    age_s = (context.services.clock.now() - found.changed).total_seconds()
    return found.shown and found.place is Place.ACCEPTING and 0 <= age_s < _MAKING_S


def _adopt(context: JobContext, state: State, *, pending: bool) -> Step:
    job, local = context.job, context.job.local
    if state in RUNNING and not pending:
        context.services.limits.runs(job.id, _slots(context))
    if state in ACTIVE and state is not State.ACCEPTED:
        context.services.limits.started(job.id, local.subject or "")
    return Move(state, ADOPTED, pending=pending)


def _slots(context: JobContext) -> int:
    data = context.store.read(context.job.id, "grami") or b""
    count = re.search(rb"^joboption_count=([0-9]{1,9})$", data, re.MULTILINE)
    return int(count.group(1)) if count else 1
