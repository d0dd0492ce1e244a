"""
SUBMIT: submit the job to the batch system exactly once.

The run directory, ``.grami`` and the tag of this attempt are on disk before the submission. After a crash or a lost
answer, the batch system is searched for the tag before the job is submitted again.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from arex.controldir import confined_fs
from arex.errors import UnsafePath
from arex.gm import attempt
from arex.gm.context import JobContext
from arex.gm.steps import (
    AskSubmit,
    Fail,
    Move,
    Step,
    Stop,
    SubmitRefused,
    SubmitTaken,
    Withdrawn,
)
from arex.jobdesc.control.grami import build_grami, dump_grami, parse_grami
from arex.jobdesc.model import JobDescription
from arex.model.grami import Grami
from arex.model.ids import LocalId
from arex.model.state import State
from arex.ports import Submission


def decide(context: JobContext) -> Step:
    match context.answer:
        case SubmitTaken(localid=localid):
            return _submitted(context, localid)
        case SubmitRefused(why=why):
            refused = f"Batch system refused the job: {why}"
            return Fail(f"Job submission to LRMS failed\n{refused}", notes=(refused,))
        case Withdrawn():
            return Stop()
        case _:
            return _submit(context)


def _submit(context: JobContext) -> Step:
    job = context.job
    known = attempt.read(context.store, job.id)
    if known is not None and known.localid is not None:
        return _submitted(context, known.localid)
    if (localid := _noted_localid(context)) is not None:
        return _to_inlrms(context, localid) if known is None else _submitted(context, localid)
    try:
        return _ask(context, known)
    except UnsafePath as exc:
        return Fail(f"Job submission to LRMS failed\n{exc}")


def _ask(context: JobContext, known: attempt.Attempt | None) -> AskSubmit:
    """
    Raises:
        UnsafePath: something is in the way that the service has not made.
    """
    job, session = context.job, context.session
    grami = _make_ready(context)
    sure = False
    try:
        session.make_output_files()
        known, sure = _with_run_directory(context, known)
    except UnsafePath:
        if known is None:
            raise
        # this attempt may run already, and have put something there: the batch system is asked for it first
    submission = Submission(job=job.id, tag=known.tag, grami=grami, rundir=session.lrms / known.tag)
    return AskSubmit(known.lrms, submission, sure)


def _with_run_directory(context: JobContext, known: attempt.Attempt | None) -> tuple[attempt.Attempt, bool]:
    """
    Make the run directory of the known attempt, of one that has left a directory, or of a new one; only a new one is
    surely not submitted yet.

    Raises:
        UnsafePath: something is in the way that the service has not made. Where others can write in the session root,
            they may have made a directory of that name.
    """
    store, job = context.store, context.job
    fresh = _made(context.session.lrms)
    with confined_fs.own_directory(context.session.lrms, create=False) as lrms:
        if known is None and not fresh and (tag := attempt.left_behind(lrms, job.id, job.changed)) is not None:
            known = attempt.adopt(store, job.id, tag, context.lrms)
        sure = known is None
        if known is None:
            durable = context.lrms.lower() not in context.services.fragile
            known = attempt.begin(store, job.id, context.lrms, durable=durable)
        os.close(confined_fs.open_own_directory(lrms / known.tag))
    return known, sure


def _made(directory: Path) -> bool:
    """Create a directory; False if it already exists."""
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        return False
    return True


def _noted_localid(context: JobContext) -> LocalId | None:
    """The ``joboption_jobid`` that another daemon or a submit script of ARC wrote into ``.grami``."""
    data = context.store.read(context.job.id, "grami")
    return None if data is None or b"joboption_jobid=" not in data else parse_grami(data).localid


def _make_ready(context: JobContext) -> Grami:
    """Write the files that the job script needs; can be repeated."""
    job, session = context.job, context.session
    grami = build_grami(
        context.description, job.local, jobid=job.id, session=session.path, controldir=context.store.root
    )
    data = dump_grami(grami)
    if context.store.read(job.id, "grami") != data:  # a client may already have written the same content
        context.store.put(job.id, "grami", data)
    for name in _executables(context.description):
        confined_fs.make_executable(session.path, name)
    return grami


def _executables(description: JobDescription) -> list[str]:
    """Files in the session directory to make executable: the program, and marked inputs."""
    own = [] if description.executable.startswith(("/", "$")) else [description.executable]
    return [*own, *(file.name for file in description.inputs if file.executable)]


def _submitted(context: JobContext, localid: LocalId) -> Step:
    """Write the local id into the record of the attempt, then once into ``.grami``."""
    known = attempt.read(context.store, context.job.id)
    new = False
    if known is not None and known.localid is None:
        attempt.taken(context.store, context.job.id, localid)
        # the record is written before .grami, and arex does not submit while .grami has an id: no need to read it
        new = isinstance(context.answer, SubmitTaken)
    if new or _noted_localid(context) is None:
        context.store.append(context.job.id, "grami", f"joboption_jobid={localid}\n")
    return _to_inlrms(context, localid, f"local job id: {localid}")


def _to_inlrms(context: JobContext, localid: LocalId, *notes: str) -> Move:
    return Move(State.INLRMS, "Job is passed to LRMS", local=replace(context.job.local, localid=localid), notes=notes)
