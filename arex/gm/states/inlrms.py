"""INLRMS: in the batch system until ``lrms_done`` says that it has left."""

from __future__ import annotations

from arex.controldir import atomic, codec
from arex.controldir.layout import Mark
from arex.errors import CorruptFile
from arex.gm import attempt, evidence
from arex.gm.case import AskHold, AskStatus, Case, Ended, Fail, HoldTaken, Move, Step
from arex.model.report import Usage, lrms_done
from arex.model.state import State


def decide(case: Case) -> Step:
    if case.job.status.pending:  # a restart of a job that had failed in FINISHING
        return Move(State.FINISHING, "Job finished executing in LRMS")
    done = read_done(case)
    if done is None:
        return _hold_request(case) or ask_status(case)
    collect_diag(case)
    code, message = done
    if code != (case.job.local.argscode or 0) or code < 0:
        return Fail(f"LRMS error: ({code}) {message}".rstrip())
    return Move(State.FINISHING, "Job finished executing in LRMS")


def _hold_request(case: Case) -> Step | None:
    """A mark asks to hold or to release the job; it goes once the batch system has answered, and no other with it."""
    if isinstance(case.answer, HoldTaken):
        release, why = case.answer.release, case.answer.refusal
        if why:
            case.store.note(case.job.id, f"Batch system refused to {'release' if release else 'hold'} the job: {why}")
        case.store.drop_mark(case.job.id, Mark.RELEASE if release else Mark.HOLD)
    release = case.store.has_mark(case.job.id, Mark.RELEASE)
    if release:
        case.store.drop_mark(case.job.id, Mark.HOLD)  # it came before
    elif not case.store.has_mark(case.job.id, Mark.HOLD):
        return None
    status = ask_status(case)
    return AskHold(status.lrms, status.job, release) if isinstance(status, AskStatus) else status


def read_done(case: Case) -> tuple[int, str] | None:
    """
    How the job left, from ``lrms_done`` or from the batch system's report.

    A report makes no ``lrms_done`` of its own: the batch system, asked again after a crash, says the same.
    """
    data = case.store.read(case.job.id, "lrms_done")
    if data:  # scan scripts of ARC make the file before they fill it
        return codec.parse_lrms_done(data)
    if isinstance(case.answer, Ended):
        copy_comment(case)
        evidence.write(case.session, case.answer.report, case.world.clock.now())
        return lrms_done(case.answer.report, case.job.local.argscode or 0)
    return None


def ask_status(case: Case) -> Step:
    localid = case.job.local.localid
    if localid is None and (known := attempt.read(case.store, case.job.id)) is not None:
        localid = known.localid  # the other record of it was lost
    if localid is None:
        return Fail("LRMS error: (-1) Job died unexpectedly: no local id is on record")
    return AskStatus(case.lrms, attempt.local_job(case.store, case.job.id, case.session, localid))


def copy_comment(case: Case) -> None:
    """What the job script printed becomes part of the job's log."""
    try:
        data = atomic.read(str(case.session.comment))
    except CorruptFile as exc:
        case.store.note(case.job.id, f"The output of the job wrapper script can't be shown: {exc.what}")
        return
    if data:
        case.store.note(
            case.job.id,
            "---------- Output of the job wrapper script -----------\n"
            f"{codec.decode(data).rstrip()}\n"
            "------------------------- End of output -------------------------\n",
        )


def collect_diag(case: Case) -> None:
    """Move ``SESSION.diag`` over ``job.ID.diag``; done before, it changes nothing."""
    if isinstance(case.answer, Ended):
        _add_usage(case, case.answer.report.usage)
    case.store.take(case.job.id, "diag", case.session.diag)


def _add_usage(case: Case, usage: Usage) -> None:
    """What the job used, in ARC's keys, where its script did not measure by itself."""
    amounts = (
        ("UserTime", usage.user_s, "s"),
        ("KernelTime", usage.system_s, "s"),
        ("MaxResidentMemory", usage.max_rss_kb, "kB"),
    )
    lines = "".join(f"{key}={amount}{unit}\n" for key, amount, unit in amounts if amount is not None)
    try:
        before = atomic.read(str(case.session.diag))
        if lines and before is not None and b"UserTime=" not in before:
            atomic.append(str(case.session.diag), codec.encode(f"\n{lines}"))
    except CorruptFile:
        return  # the job has put something else there
