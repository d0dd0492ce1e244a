"""INLRMS: wait until the job has left the batch system."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

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
    if context.job.status.pending:  # a rerun of a job that failed in FINISHING
        return Move(State.FINISHING, "Job finished executing in LRMS")
    done = read_done(context)
    if done is None:
        return _hold_request(context) or ask_status(context)
    collect_diag(context)
    if done.code != (context.job.local.argscode or 0) or done.code < 0:
        return Fail(f"LRMS error: ({done.code}) {done.message}".rstrip(), notes=done.notes)
    return Move(State.FINISHING, "Job finished executing in LRMS", notes=done.notes)


def _hold_request(context: JobContext) -> Step | None:
    """Handle a mark to hold or release the job. The mark is removed after the batch system has answered."""
    marks = {mark for mark in (Mark.HOLD, Mark.RELEASE) if context.store.has_mark(context.job.id, mark)}
    if isinstance(context.answer, HoldTaken):
        return _hold_taken(context, context.answer, marks)
    if Mark.RELEASE in marks:
        context.store.drop_mark(context.job.id, Mark.HOLD)  # the hold is older
    return _ask_hold(context, marks)


def _ask_hold(context: JobContext, marks: set[Mark]) -> Step | None:
    if not marks:
        return None
    status = ask_status(context)
    return AskHold(status.lrms, status.job, Mark.RELEASE in marks) if isinstance(status, AskStatus) else status


def _hold_taken(context: JobContext, answer: HoldTaken, marks: set[Mark]) -> Step:
    answered = Mark.RELEASE if answer.release else Mark.HOLD
    step = _ask_hold(context, marks - {answered}) or ask_status(context)
    if not answer.refusal:
        return replace(step, answered=(answered,))
    what = "release" if answer.release else "hold"
    note = f"Batch system refused to {what} the job: {answer.refusal}"
    return replace(step, notes=(*step.notes, note), answered=(answered,))


class LeftBatch(NamedTuple):
    """How the job left its batch system, with notes for its owner."""

    code: int
    message: str
    notes: tuple[str, ...] = ()


def read_done(context: JobContext) -> LeftBatch | None:
    """
    How the job left, from ``lrms_done`` or from the report of the batch system; None if it has not left.

    A report is not saved as ``lrms_done``, because after a crash the batch system reports the end again.
    """
    data = context.store.read(context.job.id, "lrms_done")
    if data:  # ARC's scan scripts create the file before they write to it
        return LeftBatch(*codec.parse_lrms_done(data))
    if isinstance(context.answer, Ended):
        evidence.write(context.session, context.answer.report, context.services.clock.now())
        code, message = lrms_done(context.answer.report, context.job.local.argscode or 0)
        return LeftBatch(code, message, _printed(context))
    return None


def ask_status(context: JobContext) -> Step:
    localid = context.job.local.localid
    if localid is None and (known := attempt.read(context.store, context.job.id)) is not None:
        localid = known.localid  # the id in .local was lost
    if localid is None:
        return Fail("LRMS error: (-1) Job died unexpectedly: no local id is on record")
    return AskStatus(context.lrms, attempt.local_job(context.store, context.job.id, context.session, localid))


def _printed(context: JobContext) -> tuple[str, ...]:
    """The output of the job script, for the job's log."""
    try:
        data = context.session.printed()
    except CorruptFile as exc:
        return (f"Cannot read the output of the job wrapper script: {exc.what}",)
    if not data:
        return ()
    first = "---------- Output of the job wrapper script -----------\n"
    last = "------------------------- End of output -------------------------\n"
    return (f"{first}{codec.decode(data).rstrip()}\n{last}",)


def collect_diag(context: JobContext) -> None:
    """Replace ``job.ID.diag`` with ``SESSION.diag``; a repeated call has no effect."""
    data = _add_usage(context, context.answer.report.usage) if isinstance(context.answer, Ended) else None
    try:
        context.store.take(context.job.id, "diag", context.session.diag, data)
    except CorruptFile as exc:
        context.store.note(context.job.id, f"Cannot read the accounting lines of the job: {exc.what}")


def _add_usage(context: JobContext, usage: Usage) -> bytes | None:
    """Add the usage to ``SESSION.diag`` unless the job script has measured it; returns the new content."""
    amounts = (
        ("UserTime", usage.user_s, "s"),
        ("KernelTime", usage.system_s, "s"),
        ("MaxResidentMemory", usage.max_rss_kb, "kB"),
    )
    lines = "".join(f"{key}={amount}{unit}\n" for key, amount, unit in amounts if amount is not None)
    try:
        before = context.session.accounted()
        if not lines or before is None or b"UserTime=" in before:
            return before
        more = codec.encode(f"\n{lines}")
        atomic.append(str(context.session.diag), more)
    except (CorruptFile, OSError):
        return None  # the job has replaced the file, or the disk is full: there is no usage then
    return before + more
