"""
The state machine: a handler per state decides, ``advance`` carries it out, and nothing else changes a state.

The order of writes is the same for every move: facts, then the line for the owner, then, when the job comes to
rest, the status file. A crash in between repeats work and never skips any.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from arex.controldir import codec
from arex.controldir.layout import PLACE_OF, Mark
from arex.controldir.store import AT_DELETED, AT_FINISHED
from arex.errors import CorruptFile, IllegalMove, JobDescriptionError, JobRefused
from arex.gm import joblog, outputs, restart
from arex.gm.case import (
    AskCancel,
    AskHold,
    AskStage,
    AskStatus,
    AskSubmit,
    Case,
    Fail,
    Forget,
    Move,
    Step,
    Stop,
    Wait,
    Wreck,
)
from arex.gm.states import accepted, canceling, finished, finishing, inlrms, preparing, submit, undefined
from arex.model.local import JobLocal
from arex.model.state import CANCELABLE, EDGES, ON_FAILURE, State, Status

Handler = Callable[[Case], Step]

HANDLERS: Final[Mapping[State, Handler]] = {
    State.UNDEFINED: undefined.decide,
    State.ACCEPTED: accepted.decide,
    State.PREPARING: preparing.decide,
    State.SUBMIT: submit.decide,
    State.INLRMS: inlrms.decide,
    State.CANCELING: canceling.decide,
    State.FINISHING: finishing.decide,
    State.FINISHED: finished.decide,
    State.DELETED: finished.decide_deleted,
}

#: A job passes at most this many states in one go; more is a loop of ours.
_MOST_MOVES: Final = 24

CANCELLED: Final = "Job is canceled by external request"
Resting = Wait | Forget | AskSubmit | AskStatus | AskCancel | AskHold | AskStage


def drive(case: Case) -> Resting:
    """
    Take a job as far as it goes without waiting; blocks on the file system.

    Raises:
        OSError: the control directory could not be written; nothing is lost, try again later.
        IllegalMove: a bug of ours.
    """
    for _ in range(_MOST_MOVES):
        step = _cancel_request(case) or _decide(case)
        case.answer = None
        advance(case, step)
        if isinstance(step, Resting):
            if not isinstance(step, Forget):
                save(case)
            return step
    raise IllegalMove(f"{case.job.id}: still moving after {_MOST_MOVES} states, now {case.job.status}")


def _decide(case: Case) -> Step:
    try:
        return HANDLERS[case.job.state](case)
    except (JobDescriptionError, JobRefused, CorruptFile) as exc:
        if case.job.state in {State.FINISHED, State.DELETED}:
            return _as_it_is(case, exc)
        return _given_up(exc)


def _as_it_is(case: Case, exc: Exception) -> Wait:
    """What is over can't fail any more: a restart that is not possible is refused, anything else stays as it is."""
    case.store.note(case.job.id, f"The job can not be restarted or cleaned up: {exc}")
    case.store.drop_mark(case.job.id, Mark.RESTART)
    return Wait()


def _given_up(exc: JobDescriptionError | JobRefused | CorruptFile) -> Wreck:
    if isinstance(exc, CorruptFile):
        if exc.path.suffix == ".description" or exc.path.name == "description":
            return _unreadable(f"Could not process job description: {exc.what}")
        return Wreck((f"Internal error: {exc}",), "Internal failure")
    return _unreadable(f"Could not process job description: {exc}")


def _unreadable(why: str) -> Wreck:
    return Wreck((why, "Failed during processing failure", "Serious troubles (problems during processing problems)"))


def _cancel_request(case: Case) -> Stop | None:
    """A cancel mark is acted on where something can still be stopped; elsewhere it waits for the next state."""
    if case.job.state in CANCELABLE and case.store.has_mark(case.job.id, Mark.CANCEL):
        if case.job.state is not State.FINISHING or case.job.local.failedcause != "client":
            return Stop()
        case.store.drop_mark(case.job.id, Mark.CANCEL)  # a crash fell between the move and this
    return None


def advance(case: Case, step: Step) -> None:
    """Carry out what a handler decided."""
    match step:
        case Move():
            _move(case, step)
        case Wait(why=why):
            _mark_pending(case, why)
        case AskStage():
            _mark_pending(case, "")  # what it was held for may be over
        case Fail():
            _fail(case, step)
        case Wreck():
            _wreck(case, step)
        case Stop():
            _stop(case)
        case Forget():
            _forget(case)
        case AskSubmit() | AskStatus() | AskCancel() | AskHold():
            return


def _move(case: Case, move: Move) -> None:
    job = case.job
    if move.to not in EDGES[job.state]:
        raise IllegalMove(f"{job.id}: {job.state} -> {move.to}")
    _change(case, Status(move.to, move.pending), move.why, move.local)


def _mark_pending(case: Case, why: str) -> None:
    status = case.job.status
    if bool(why) != status.pending:
        if why:
            _change(case, Status(status.state, pending=True), why, None)
        else:
            _enter(case, Status(status.state))


def _change(case: Case, to: Status, why: str, local: JobLocal | None) -> None:
    job = case.job
    if job.state is State.UNDEFINED and to.state in {State.FINISHED, State.DELETED} and to == job.on_disk:
        _enter(case, to)  # a finished job is looked at, not adopted: nothing happens to it
        save(case)
        return
    now = case.world.clock.now()
    if to.state is State.FINISHED:
        local = _with_cleanuptime(case, local or job.local)
    if local is not None and local != job.local:
        case.store.put_local(job.id, local)
        case.job = replace(job, local=local)
    for line in _lines(now, job.status, to, why):
        case.store.note(job.id, line)
    if to.state is State.PREPARING and job.state is State.ACCEPTED:
        joblog.started(case)
    if to.state is State.FINISHED:
        _entering_finished(case)
    _enter(case, to)
    if to.state in {State.FINISHED, State.DELETED}:
        save(case)
        _entered_final(case, to, codec.state_line(now, job.status, to, why))
    elif job.state is State.FINISHED:
        save(case)
        restart.complete(case)


#: What 6.17 adds to the log when a restart skips what is done.
_SKIPS: Final = {
    State.ACCEPTED: "Skip job to PREPARING immediately",
    State.PREPARING: "Skip job to next state immediately",
    State.INLRMS: "Skip job to FINISHING immediately",
}


def _lines(now: datetime, old: Status, to: Status, why: str) -> list[str]:
    if to.pending and old.state is State.FINISHED:
        plain = Status(to.state)
        return [codec.state_line(now, old, plain, why), codec.state_line(now, plain, to, _SKIPS[to.state])]
    if to.pending and old.state is not State.UNDEFINED:
        old = Status(old.state)
    return [codec.state_line(now, Status(old.state), to, why)]


def _enter(case: Case, to: Status) -> None:
    if to != case.job.on_disk:  # adopted as it lies, the time of its last change stays
        case.job = replace(case.job, changed=case.world.clock.now())
    case.job = replace(case.job, status=to)


def save(case: Case) -> None:
    """Bring the status file up to date; states that were passed through in one go leave their lines in ``.errors``."""
    job = case.job
    if job.state is State.UNDEFINED or (job.status == job.on_disk and job.place is PLACE_OF[job.state]):
        return
    place = case.store.put_status(job.id, job.status, job.place)
    case.job = replace(job, place=place, on_disk=job.status)


def _with_cleanuptime(case: Case, local: JobLocal) -> JobLocal:
    lifetime = min(local.lifetime or case.settings.ttl, case.settings.ttl)
    return replace(local, cleanuptime=case.world.clock.now().replace(microsecond=0) + lifetime)


def _entering_finished(case: Case) -> None:
    outputs.copy_logs(case)
    joblog.finished(case)


def _entered_final(case: Case, to: Status, line: str) -> None:
    """What a final state removes; begun before a crash, it is finished with the next look."""
    job = case.job.id
    if to.state is State.FINISHED:
        case.store.remove(job, AT_FINISHED)
        case.remove_staging()
        return
    case.remove_session()
    case.store.remove(job, AT_DELETED)
    for mark in Mark:
        case.store.drop_mark(job, mark)
    case.store.note(job, line)


def _add_failure(case: Case, why: str) -> None:
    """A reason that stands there already was written before a crash."""
    line = why.replace("\n", " ").strip() + "\n"
    if line not in case.store.failure(case.job.id).splitlines(keepends=True):
        case.store.append(case.job.id, "failed", line)


def _blamed(local: JobLocal, state: State, cause: str, *, blame: bool) -> JobLocal:
    if local.failedstate is not None:
        return local
    return replace(
        local, failedstate=state if blame else None, failedcause=cause if blame or cause == "client" else None
    )


def _fail(case: Case, step: Fail) -> None:
    job = case.job
    for why in step.why.split("\n"):
        _add_failure(case, why)
    to = ON_FAILURE[job.state]
    local = _blamed(job.local, job.state, "internal", blame=step.blame)
    if to is State.FINISHING:
        try:
            local = outputs.rewrite(case, local, outputs.Ending.FAILURE)
        except (JobDescriptionError, JobRefused, CorruptFile) as exc:
            _wreck(case, _unreadable(f"Could not process job description: {exc}"))
            return
    else:
        local = replace(local, uploads=0)  # as 6.17 counts when stage-out fails
    _change(case, Status(to), "Job failure detected", local)


def _wreck(case: Case, step: Wreck) -> None:
    for why in step.why:
        _add_failure(case, why)
    if not case.store.exists(case.job.id, "output"):
        case.store.put_entries(case.job.id, "output", [])
    _change(case, Status(State.FINISHED), step.reason, None)


def _stop(case: Case) -> None:
    """Source of the sequences: spec, section on cancel."""
    job = case.job
    _add_failure(case, CANCELLED)
    adopted = job.state is not State.UNDEFINED
    local = replace(_blamed(job.local, job.state, "client", blame=adopted), failedcause="client")
    to = {State.INLRMS: State.CANCELING, State.FINISHING: State.FINISHED}.get(job.state, State.FINISHING)
    if job.state is State.INLRMS and job.status.pending:
        to = State.FINISHING  # a restart of the stage-out: nothing is in the batch system
    if to is State.FINISHED:
        local = replace(local, uploads=0)
    else:
        # a description that does not read leaves .output as it is: the owner gave the job up anyway
        with contextlib.suppress(JobDescriptionError, JobRefused, CorruptFile):
            local = outputs.rewrite(case, local, outputs.Ending.CANCEL)
    _change(case, Status(to), _why_stopped(case, to), local)
    save(case)  # the mark may go only when the state that it brought about is on disk
    case.store.drop_mark(job.id, Mark.CANCEL)


def _why_stopped(case: Case, to: State) -> str:
    """6.17 words it as a failure where transfers had to be broken off."""
    inputs = case.store.read_entries(case.job.id, "input") if case.job.state is State.PREPARING else None
    broken_off = to is State.FINISHED or any(entry.remote for entry in inputs or [])
    return "Job failure detected" if broken_off else "Request to cancel job"


def _forget(case: Case) -> None:
    case.remove_session()
    case.store.forget(case.job.id)
