"""
The state machine: a handler for each state makes the decision, and only ``advance`` changes a state.

The order of writes is the same for every change: first the facts, then the line for the owner, then the status file,
when the job waits. After a crash between them, work is repeated but never skipped.
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
from arex.gm import credentials, outputs, restart
from arex.gm.context import JobContext, base_share
from arex.gm.publishing import joblog
from arex.gm.states import accepted, canceling, finished, finishing, inlrms, preparing, submit, undefined
from arex.gm.steps import (
    AskCancel,
    AskHold,
    AskStage,
    AskStatus,
    AskSubmit,
    Fail,
    Forget,
    Move,
    Step,
    Stop,
    SubmitRefused,
    SubmitTaken,
    Wait,
    Wreck,
)
from arex.model.arc import CANCELLED
from arex.model.local import JobLocal
from arex.model.state import ACTIVE, CANCELABLE, EDGES, ON_FAILURE, State, Status

Handler = Callable[[JobContext], Step]

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

#: States in which a job needs its credential; a renewed credential is copied before the handler decides.
_WITH_CREDENTIAL: Final = frozenset({State.ACCEPTED, State.PREPARING, State.SUBMIT, State.FINISHING})

#: Maximum number of states that a job can pass in one turn; more would be an endless loop, a bug of arex.
_MOST_MOVES: Final = 24

Resting = Wait | Forget | AskSubmit | AskStatus | AskCancel | AskHold | AskStage


def drive(context: JobContext) -> Resting:
    """
    Move a job from state to state until it has to wait; blocks on the file system.

    Raises:
        OSError: the control directory is not writable; nothing is lost, retry later.
        IllegalMove: a bug of arex.
    """
    try:
        return _drive(context)
    finally:
        context.store.flush()  # after an exception, the owner sees the states so far


def _drive(context: JobContext) -> Resting:
    if context.retried and restart.is_unfinished(context, context.job.state):
        save(context)  # the turn of the restart ended with an exception, maybe before its state was on disk
        restart.complete(context)
    _drop_early_restart(context)
    for _ in range(_MOST_MOVES):
        step = _cancel_request(context) or _hopeless(context) or _decide(context)
        advance(context, step)
        context.answer = None  # after an exception, the next turn needs it again
        if isinstance(step, Resting):
            if not isinstance(step, Forget):
                save(context)
            return step
    raise IllegalMove(
        f"{context.job.id}: still changing its state after {_MOST_MOVES} states, now {context.job.status}"
    )


def _drop_early_restart(context: JobContext) -> None:
    """Refuse a restart of a job that has not ended, because it would be granted when the job fails the next time."""
    job = context.job
    if job.state not in ACTIVE or not context.store.has_mark(job.id, Mark.RESTART):
        return
    if not restart.is_unfinished(context, job.state):
        context.store.note(job.id, "The job can not be restarted: it has not ended")
        context.store.drop_mark(job.id, Mark.RESTART)


def _hopeless(context: JobContext) -> Wreck | None:
    """Give up a job whose turns end with an internal error again and again."""
    why, context.hopeless = context.hopeless, ""
    return Wreck((f"Internal error: {why}",), "Internal failure") if why and context.job.state in ACTIVE else None


def _decide(context: JobContext) -> Step:
    try:
        if context.job.state in _WITH_CREDENTIAL and not isinstance(context.answer, SubmitTaken | SubmitRefused):
            _put_local(context, credentials.refreshed(context))
        return HANDLERS[context.job.state](context)
    except (JobDescriptionError, JobRefused, CorruptFile) as exc:
        if context.job.state in {State.FINISHED, State.DELETED}:
            return _as_it_is(exc)
        return _given_up(exc)


def _as_it_is(exc: Exception) -> Wait:
    """An ended job cannot fail any more: refuse the restart, and change nothing else."""
    return Wait(notes=(f"The job can not be restarted or cleaned up: {exc}",), answered=(Mark.RESTART,))


def _given_up(exc: JobDescriptionError | JobRefused | CorruptFile) -> Wreck:
    if isinstance(exc, CorruptFile):
        if exc.path.suffix == ".description" or exc.path.name == "description":
            return _unreadable(f"Could not process job description: {exc.what}")
        return Wreck((f"Internal error: {exc}",), "Internal failure")
    return _unreadable(f"Could not process job description: {exc}")


def _unreadable(why: str) -> Wreck:
    return Wreck((why, "Failed during processing failure", "Serious troubles (problems during processing problems)"))


def _cancel_request(context: JobContext) -> Stop | None:
    """A cancel mark has an effect in states that can be cancelled; otherwise it waits for the next state."""
    if context.job.state in CANCELABLE and context.store.has_mark(context.job.id, Mark.CANCEL):
        if context.job.state is not State.FINISHING or context.job.local.failedcause != "client":
            return Stop()
        context.store.drop_mark(context.job.id, Mark.CANCEL)  # left by a crash between the change of state and this
    return None


def advance(context: JobContext, step: Step) -> None:
    """Carry out the decision of a handler: first its facts and notes, then the step itself."""
    _write_facts(context, step)
    match step:
        case Move():
            _move(context, step)
        case Wait(why=why):
            _mark_pending(context, why)
        case AskStage(staging=staging, out=out):
            share = f"{staging.share}-{'upload' if out else 'download'}"
            _put_local(context, replace(context.job.local, transfershare=share))
            _mark_pending(context, "")  # the reason for waiting may be over
        case Fail():
            _fail(context, step)
        case Wreck():
            _wreck(context, step)
        case Stop():
            _stop(context)
        case Forget():
            _forget(context)
        case AskSubmit() | AskStatus() | AskCancel() | AskHold():
            return


def _write_facts(context: JobContext, step: Step) -> None:
    for note in step.notes:
        context.store.note(context.job.id, note)
    for mark in step.answered:
        context.store.drop_mark(context.job.id, mark)
    if not isinstance(step, Move):  # for a Move, the facts are written together with its other changes
        _put_local(context, step.local)


def _put_local(context: JobContext, local: JobLocal | None) -> None:
    if local is not None and local != context.job.local:
        context.store.put_local(context.job.id, local)
        context.job = replace(context.job, local=local)


def _move(context: JobContext, move: Move) -> None:
    job = context.job
    if move.to not in EDGES[job.state]:
        raise IllegalMove(f"{job.id}: {job.state} -> {move.to}")
    if job.state is State.UNDEFINED and restart.is_unfinished(context, move.to):
        restart.complete(context)
    _change(context, Status(move.to, move.pending), move.why, move.local)


def _mark_pending(context: JobContext, why: str) -> None:
    status = context.job.status
    if bool(why) != status.pending:
        if why:
            _change(context, Status(status.state, pending=True), why, None)
        else:
            _enter(context, Status(status.state))


def _change(context: JobContext, to: Status, why: str, local: JobLocal | None) -> None:
    job = context.job
    if job.state is State.UNDEFINED and to.state in {State.FINISHED, State.DELETED} and to == job.on_disk:
        _enter(context, to)  # a finished job is not adopted: nothing changes
        save(context)
        return
    now = context.services.clock.now()
    if to.state is State.FINISHED:
        local = _with_cleanuptime(context, local or job.local)
    _put_local(context, local)
    for line in _lines(now, job.status, to, why):
        context.store.note(job.id, line)
    if to.state is State.PREPARING and job.state is State.ACCEPTED:
        joblog.started(context)
    if to.state is State.FINISHED:
        _entering_finished(context)
    if to.state is not job.state and (job.state is not State.UNDEFINED or to != job.on_disk):  # not when it is adopted
        context.entered.append(to.state)
    _enter(context, to)
    if to.state in {State.FINISHED, State.DELETED}:
        save(context)
        _entered_final(context, to, codec.state_line(now, job.status, to, why))
    elif job.state is State.FINISHED:
        save(context)
        restart.complete(context)


#: Lines that ARC 6.17 adds to the log when a restart skips completed states.
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


def _enter(context: JobContext, to: Status) -> None:
    job = context.job
    # an adopted job keeps the time of its last change
    context.job = replace(job, status=to, changed=job.changed if to == job.on_disk else context.services.clock.now())


def save(context: JobContext) -> None:
    """Write the status file. States that a job has passed within one turn are only recorded in ``.errors``."""
    job = context.job
    if job.state is State.UNDEFINED or (job.status == job.on_disk and job.place is PLACE_OF[job.state]):
        return
    place = context.store.put_status(job.id, job.status, job.place)
    context.job = replace(job, place=place, on_disk=job.status)


def _with_cleanuptime(context: JobContext, local: JobLocal) -> JobLocal:
    context.services.clock_check.was_set()  # notice now that this time may be wrong
    lifetime = min(local.lifetime or context.settings.ttl, context.settings.ttl)
    return replace(local, cleanuptime=context.services.clock.now().replace(microsecond=0) + lifetime)


def _entering_finished(context: JobContext) -> None:
    outputs.copy_logs(context)
    joblog.finished(context)
    context.failure = context.store.failure(context.job.id).strip()
    context.services.endings.add(failed=bool(context.failure))


def _entered_final(context: JobContext, to: Status, line: str) -> None:
    """Remove the files that a final state does not keep; after a crash, the next turn completes this."""
    job = context.job.id
    if to.state is State.FINISHED:
        context.store.remove(job, AT_FINISHED)
        for text in context.remove_staging():
            context.store.note(job, text)
        return
    left = context.remove_session()
    context.store.remove(job, AT_DELETED)
    for mark in Mark:
        context.store.drop_mark(job, mark)
    for text in (line, *left):
        context.store.note(job, text)


def _add_failure(context: JobContext, why: str) -> None:
    """Add a reason of failure, unless it was already written before a crash."""
    line = why.replace("\n", " ").strip() + "\n"
    if line not in context.store.failure(context.job.id).splitlines(keepends=True):
        context.store.append(context.job.id, "failed", line)


def _blamed(local: JobLocal, state: State, cause: str, *, blame: bool) -> JobLocal:
    """``.local`` after a failure or a cancellation; no transfer is active any more."""
    local = replace(local, transfershare=base_share(local))
    if local.failedstate is not None:
        return local
    return replace(
        local, failedstate=state if blame else None, failedcause=cause if blame or cause == "client" else None
    )


def _fail(context: JobContext, step: Fail) -> None:
    job = context.job
    for why in step.why.split("\n"):
        _add_failure(context, why)
    to = ON_FAILURE[job.state]
    local = _blamed(job.local, job.state, "internal", blame=step.blame)
    if to is State.FINISHING:
        try:
            local = outputs.rewrite(context, local, outputs.Ending.FAILURE)
        except (JobDescriptionError, JobRefused, CorruptFile) as exc:
            _wreck(context, _unreadable(f"Could not process job description: {exc}"))
            return
    else:
        local = replace(local, uploads=0)  # ARC 6.17 also resets this number when stage-out fails
    _change(context, Status(to), "Job failure detected", local)


def _wreck(context: JobContext, step: Wreck) -> None:
    for why in step.why:
        _add_failure(context, why)
    if not context.store.exists(context.job.id, "output"):
        context.store.put_entries(context.job.id, "output", [])
    _change(context, Status(State.FINISHED), step.reason, None)


def _stop(context: JobContext) -> None:
    """Cancel the job. ``docs/developers/control-directory.md`` lists the sequences of states."""
    job = context.job
    _add_failure(context, CANCELLED)
    adopted = job.state is not State.UNDEFINED
    local = replace(_blamed(job.local, job.state, "client", blame=adopted), failedcause="client")
    to = {State.INLRMS: State.CANCELING, State.FINISHING: State.FINISHED}.get(job.state, State.FINISHING)
    if job.state is State.INLRMS and job.status.pending:
        to = State.FINISHING  # a restart in FINISHING: the job is not in the batch system
    if to is State.FINISHED:
        local = replace(local, uploads=0)
    else:
        # if the description cannot be parsed, .output stays unchanged; the owner cancels the job anyway
        with contextlib.suppress(JobDescriptionError, JobRefused, CorruptFile):
            local = outputs.rewrite(context, local, outputs.Ending.CANCEL)
    _change(context, Status(to), _why_stopped(context, to), local)
    save(context)  # remove the mark only after the new state is on disk
    context.store.drop_mark(job.id, Mark.CANCEL)


def _why_stopped(context: JobContext, to: State) -> str:
    """ARC 6.17 reports a failure instead of a cancellation if transfers had to be stopped."""
    inputs = context.store.read_entries(context.job.id, "input") if context.job.state is State.PREPARING else None
    broken_off = to is State.FINISHED or any(entry.remote for entry in inputs or [])
    return "Job failure detected" if broken_off else "Request to cancel job"


def _forget(context: JobContext) -> None:
    if not context.store.has_mark(context.job.id, Mark.CLEAN):
        # its lifetime has ended, which no file says any more when .local is gone; without the mark, as on a full disk,
        # only a crash in the middle of the removal leaves something
        with contextlib.suppress(OSError):
            context.store.set_mark(context.job.id, Mark.CLEAN)
    context.remove_session()
    context.store.forget(context.job.id)
