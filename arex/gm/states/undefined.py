"""UNDEFINED: a status file was found, the job is not adopted yet."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from arex.controldir.layout import Mark, Place
from arex.controldir.store import Found
from arex.gm import restart
from arex.gm.case import Case, Fail, Move, Step, Stop, Wait, Wreck
from arex.model.state import ACTIVE, RUNNING, State, Status

ADOPTED: Final = "(Re)Accepting new job"

#: The time that a client gets for the last touch; one that died in between must not hold up its job.
_MAKING_S: Final = 1.0
_MOMENT_S: Final = 0.02


def decide(case: Case) -> Step:
    found = case.store.read_status(case.job.id)
    if found is None:
        for mark in Mark:  # a request about a job that is no more
            case.store.drop_mark(case.job.id, mark)
        return Wait()  # gone again: whoever removed it had its reason, the loop drops the job
    if not case.room and found.place is not Place.FINISHED:
        case.job = replace(case.job, place=found.place)
        return Wait()  # the loop calls it when there is room
    if _in_the_making(case, found):
        return Wait(_MOMENT_S)
    case.job = replace(case.job, place=found.place, changed=found.changed, on_disk=found.status)
    try:
        local = case.store.read_local(case.job.id)
    except BlockingIOError:
        return Wait(0.2)  # a client or another daemon holds the lock of .local; it is a matter of milliseconds
    if local is None:
        return Wreck(("Internal error",), "Internal failure")
    case.job = replace(case.job, local=local)
    if found.status is None:
        return Fail("Failed reading status of the job", blame=False)
    case.store.drop_stray_status(case.job.id, found.place)
    if found.status == Status(State.ACCEPTED) and case.store.has_mark(case.job.id, Mark.CANCEL):
        return Stop()  # given up before anything was made of it
    return _adopt(case, found.status.state, pending=found.status.pending)


def _in_the_making(case: Case, found: Found) -> bool:
    """
    A client of ARC puts the status file in place and then takes its read permission for others away. If the file
    has moved on by then, the client takes the submission for failed and wipes the job, which runs already.
    """
    age_s = (case.world.clock.now() - found.changed).total_seconds()
    return found.shown and found.place is Place.ACCEPTING and 0 <= age_s < _MAKING_S


def _adopt(case: Case, state: State, *, pending: bool) -> Step:
    if restart.is_unfinished(case, state):
        restart.complete(case)
    job, local = case.job, case.job.local
    if state in RUNNING and not pending:
        case.world.limits.runs(job.id, _slots(case))
    if state in ACTIVE and state is not State.ACCEPTED:
        case.world.limits.started(job.id, local.subject or "")
    return Move(state, ADOPTED, pending=pending)


def _slots(case: Case) -> int:
    data = case.store.read(case.job.id, "grami") or b""
    count = re.search(rb"^joboption_count=([0-9]{1,9})$", data, re.MULTILINE)
    return int(count.group(1)) if count else 1
