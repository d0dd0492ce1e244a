"""INLRMS: in the batch system until ``lrms_done`` says that it has left."""

from __future__ import annotations

from arex.controldir import atomic, codec
from arex.controldir.layout import Mark
from arex.errors import CorruptFile
from arex.gm import attempt
from arex.gm.context import JobContext
from arex.gm.publishing import evidence
from arex.gm.steps import (
    AskHold,
    AskStatus,
    Ended,
    Fail,
    HoldTaken,
    Move,
    Step,
)
from arex.model.report import Usage, lrms_done
from arex.model.state import State


def decide(context: JobContext) -> Step:
    if context.job.status.pending:  # a restart of a job that had failed in FINISHING
        return Move(State.FINISHING, "Job finished executing in LRMS")
    done = read_done(context)
    if done is None:
        return _hold_request(context) or ask_status(context)
    collect_diag(context)
    code, message = done
    if code != (context.job.local.argscode or 0) or code < 0:
        return Fail(f"LRMS error: ({code}) {message}".rstrip())
    return Move(State.FINISHING, "Job finished executing in LRMS")


def _hold_request(context: JobContext) -> Step | None:
    """A mark asks to hold or to release the job; it goes once the batch system has answered, and no other with it."""
    if isinstance(context.answer, HoldTaken):
        release, why = context.answer.release, context.answer.refusal
        if why:
            context.store.note(
                context.job.id, f"Batch system refused to {'release' if release else 'hold'} the job: {why}"
            )
        context.store.drop_mark(context.job.id, Mark.RELEASE if release else Mark.HOLD)
    release = context.store.has_mark(context.job.id, Mark.RELEASE)
    if release:
        context.store.drop_mark(context.job.id, Mark.HOLD)  # it came before
    elif not context.store.has_mark(context.job.id, Mark.HOLD):
        return None
    status = ask_status(context)
    return AskHold(status.lrms, status.job, release) if isinstance(status, AskStatus) else status


def read_done(context: JobContext) -> tuple[int, str] | None:
    """
    How the job left, from ``lrms_done`` or from the batch system's report.

    A report makes no ``lrms_done`` of its own: the batch system, asked again after a crash, says the same.
    """
    data = context.store.read(context.job.id, "lrms_done")
    if data:  # scan scripts of ARC make the file before they fill it
        return codec.parse_lrms_done(data)
    if isinstance(context.answer, Ended):
        copy_comment(context)
        evidence.write(context.session, context.answer.report, context.services.clock.now())
        return lrms_done(context.answer.report, context.job.local.argscode or 0)
    return None


def ask_status(context: JobContext) -> Step:
    localid = context.job.local.localid
    if localid is None and (known := attempt.read(context.store, context.job.id)) is not None:
        localid = known.localid  # the other record of it was lost
    if localid is None:
        return Fail("LRMS error: (-1) Job died unexpectedly: no local id is on record")
    return AskStatus(context.lrms, attempt.local_job(context.store, context.job.id, context.session, localid))


def copy_comment(context: JobContext) -> None:
    """What the job script printed becomes part of the job's log."""
    try:
        data = atomic.read(str(context.session.comment))
    except CorruptFile as exc:
        context.store.note(context.job.id, f"The output of the job wrapper script can't be shown: {exc.what}")
        return
    if data:
        context.store.note(
            context.job.id,
            "---------- Output of the job wrapper script -----------\n"
            f"{codec.decode(data).rstrip()}\n"
            "------------------------- End of output -------------------------\n",
        )


def collect_diag(context: JobContext) -> None:
    """Move ``SESSION.diag`` over ``job.ID.diag``; done before, it changes nothing."""
    if isinstance(context.answer, Ended):
        _add_usage(context, context.answer.report.usage)
    context.store.take(context.job.id, "diag", context.session.diag)


def _add_usage(context: JobContext, usage: Usage) -> None:
    """What the job used, in ARC's keys, where its script did not measure by itself."""
    amounts = (
        ("UserTime", usage.user_s, "s"),
        ("KernelTime", usage.system_s, "s"),
        ("MaxResidentMemory", usage.max_rss_kb, "kB"),
    )
    lines = "".join(f"{key}={amount}{unit}\n" for key, amount, unit in amounts if amount is not None)
    try:
        before = atomic.read(str(context.session.diag))
        if lines and before is not None and b"UserTime=" not in before:
            atomic.append(str(context.session.diag), codec.encode(f"\n{lines}"))
    except CorruptFile:
        return  # the job has put something else there
