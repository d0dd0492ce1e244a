"""
SUBMIT: hand the job to the batch system, once.

First pass: the run directory, ``.grami`` and a tag of this attempt are on disk, then the batch system is asked.
After a crash or a lost answer the tag is looked up before anything is submitted again.
"""

from __future__ import annotations

from dataclasses import replace

from arex.controldir import atomic, beneath
from arex.gm import attempt, credentials
from arex.gm.case import AskSubmit, Case, Fail, Move, Refused, Step, Submitted
from arex.jobdesc.control.grami import build_grami, dump_grami, parse_grami
from arex.jobdesc.model import JobDescription
from arex.model.grami import Grami
from arex.model.ids import LocalId
from arex.model.state import State
from arex.ports import Submission


def decide(case: Case) -> Step:
    match case.answer:
        case Submitted(localid=localid):
            return _submitted(case, localid)
        case Refused(why=why):
            case.store.note(case.job.id, f"Batch system refused the job: {why}")
            return Fail(f"Job submission to LRMS failed\nBatch system refused the job: {why}")
        case _:
            return _submit(case)


def _submit(case: Case) -> Step:
    job = case.job
    known = attempt.read(case.store, job.id)
    if known is not None and known.localid is not None:
        return _submitted(case, known.localid)
    if (localid := _noted_localid(case)) is not None:
        return _to_inlrms(case, localid) if known is None else _submitted(case, localid)
    credentials.refresh(case)
    grami = _make_ready(case)
    if known is None and (tag := attempt.left_behind(case.session, case.job.changed)) is not None:
        known = attempt.adopt(case.store, job.id, tag, case.lrms)
    if known is None:
        known = attempt.begin(case.store, job.id, case.lrms, durable=case.lrms.lower() not in case.world.fragile)
        sure = True
    else:
        sure = False
    rundir = case.session.lrms / known.tag
    rundir.mkdir(mode=0o700, parents=True, exist_ok=True)
    submission = Submission(job=job.id, tag=known.tag, grami=grami, rundir=rundir)
    return AskSubmit(known.lrms, submission, sure)


def _noted_localid(case: Case) -> LocalId | None:
    """Another daemon, or a submit script of ARC, has left ``joboption_jobid`` and our record does not say so yet."""
    data = case.store.read(case.job.id, "grami")
    return None if data is None or b"joboption_jobid=" not in data else parse_grami(data).localid


def _make_ready(case: Case) -> Grami:
    """Everything the job script needs; harmless if done before."""
    job, session = case.job, case.session
    grami = build_grami(case.description, job.local, jobid=job.id, session=session.path, controldir=case.store.root)
    data = dump_grami(grami)
    if case.store.read(job.id, "grami") != data:  # clients write the same
        case.store.put(job.id, "grami", data)
    for name in _executables(case.description):
        beneath.make_executable(session.path, name)
    for path in (session.diag, session.comment):
        atomic.touch(str(path))
    return grami


def _executables(description: JobDescription) -> list[str]:
    """Files in the session that need their x bit: the executable itself, and inputs that say so."""
    own = [] if description.executable.startswith(("/", "$")) else [description.executable]
    return [*own, *(file.name for file in description.inputs if file.executable)]


def _submitted(case: Case, localid: LocalId) -> Step:
    """The id goes where every reader looks: our record, then ``.grami`` once."""
    known = attempt.read(case.store, case.job.id)
    if known is not None and known.localid is None:
        attempt.taken(case.store, case.job.id, localid)
    if _noted_localid(case) is None:
        case.store.append(case.job.id, "grami", f"joboption_jobid={localid}\n")
    case.store.note(case.job.id, f"local job id: {localid}")
    return _to_inlrms(case, localid)


def _to_inlrms(case: Case, localid: LocalId) -> Move:
    return Move(State.INLRMS, "Job is passed to LRMS", replace(case.job.local, localid=localid))
