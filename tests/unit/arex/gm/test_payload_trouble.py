"""Whatever a payload leaves behind, its job goes on, and its owner sees what was not possible."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from arex.controldir.layout import Mark
from arex.gm.cleanup import Leftovers
from arex.gm.context import JobContext, KnownJob
from arex.gm.machine import drive
from arex.gm.states import canceling, finishing, inlrms, submit
from arex.gm.steps import AskSubmit, Ended, Fail, Forget, Move, Step
from arex.model.files import FileEntry
from arex.model.ids import JobId, LocalId
from arex.model.local import JobLocal
from arex.model.report import Usage
from arex.model.state import State, Status
from tests import permissions
from tests.fakes.batch import ended
from tests.fakes.clock import FakeClock
from tests.unit.arex.gm.service import make_services

JOB = JobId("one")
XRSL = '&(executable="/bin/true")(stdout="out")'


@pytest.fixture(autouse=True)
def detector() -> None:
    """These tests drive jobs on the loop: that blocks."""


@pytest.fixture
def session(tmp_path: Path) -> Path:
    path = tmp_path / "session" / JOB
    path.mkdir(parents=True, mode=0o700)
    return path


@pytest.fixture
def context(tmp_path: Path, session: Path) -> JobContext:
    services = make_services(tmp_path, joblog=tmp_path / "jobs.log")
    services.store.reserve(JOB, XRSL.encode())
    local = JobLocal(globalid=JOB, localid=LocalId("7"), sessiondir=session, lrms="fake")
    services.store.put_local(JOB, local)
    return _in(JobContext(job=_job(local, State.INLRMS), services=services), State.INLRMS)


def _job(local: JobLocal, state: State) -> KnownJob:
    return KnownJob(id=JOB, status=Status(state), place=None, local=local, changed=FakeClock().now())


def _in(context: JobContext, state: State, *outputs: FileEntry) -> JobContext:
    """The next turn of the job, in another state."""
    store = context.services.store
    store.put_entries(JOB, "output", outputs)
    found = store.read_status(JOB)
    place = store.put_status(JOB, Status(state), None if found is None else found.place)
    job = replace(context.job, status=Status(state), on_disk=Status(state), place=place)
    return JobContext(job=job, services=context.services)


def _errors(context: JobContext) -> str:
    context.store.flush()
    return (context.services.store.read(JOB, "errors") or b"").decode()


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o500, 0o555])
def test_a_closed_session_is_pruned_and_the_job_finishes(context: JobContext, session: Path, mode: int) -> None:
    (session / "junk").touch()
    (session / "kept").mkdir()
    (session / "kept" / "result").touch()
    (session / "kept").chmod(mode)

    with permissions.closed(session):
        session.chmod(mode)
        step = finishing.decide(_in(context, State.FINISHING, FileEntry("/kept/")))

    assert Move(State.FINISHED, "Stage-out finished.") == step
    assert ["kept"] == os.listdir(session)
    assert mode == stat.S_IMODE((session / "kept").stat().st_mode)


def test_what_cannot_be_removed_is_told_and_the_job_finishes(
    context: JobContext, session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (session / "stuck").touch()
    _refuse_unlink(monkeypatch)

    step = finishing.decide(_in(context, State.FINISHING))

    assert isinstance(step, Move)
    assert step.to is State.FINISHED
    assert ("Cannot remove everything but the outputs from the session directory: stuck: Operation not permitted",) == (
        step.notes
    )


def test_a_missing_list_of_outputs_fails_the_job(context: JobContext) -> None:
    here = _in(context, State.FINISHING, FileEntry("/@list"))

    step = finishing.decide(here)

    assert isinstance(step, Fail)
    assert "Error reading user generated output file list in list" == step.why


def test_a_failed_job_is_not_blamed_for_its_missing_list(context: JobContext) -> None:
    context.services.store.append(JOB, "failed", "LRMS error: (1) \n")

    assert Move(State.FINISHED, "Job failure detected") == finishing.decide(
        _in(context, State.FINISHING, FileEntry("/@list"))
    )


@pytest.mark.parametrize("odd", ["closed", "link", "directory", "pipe"])
@pytest.mark.parametrize("state", [State.INLRMS, State.CANCELING])
def test_output_of_the_job_script_that_is_odd_does_not_hold_up_the_job(
    context: JobContext, session: Path, odd: str, state: State
) -> None:
    for suffix in (".diag", ".comment"):
        path = session.with_name(f"{JOB}{suffix}")
        match odd:
            case "closed":
                path.write_text("exitcode=0\n")
                path.chmod(0)
            case "link":
                path.symlink_to("/etc/passwd")
            case "directory":
                path.mkdir()
            case _:
                os.mkfifo(path)
    here = _in(context, state)
    report = replace(ended(0), usage=Usage(user_s=1.0))
    here.answer = Ended(report)

    with permissions.closed(session):  # modes count for this thread
        step: Step = (inlrms if state is State.INLRMS else canceling).decide(here)

    assert isinstance(step, Move)
    assert step.to is State.FINISHING
    diag = context.services.store.read(JOB, "diag")
    assert (odd == "closed") == (diag is not None and b"exitcode=0" in diag and b"UserTime=" in diag)
    assert (odd == "closed") == any("exitcode=0" in note for note in step.notes)


# --- the run directory ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", ["link", "file"])
def test_nothing_is_written_where_a_link_in_place_of_the_run_directories_leads(
    context: JobContext, session: Path, tmp_path: Path, odd: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    lrms = session.with_name(f"{JOB}.lrms")
    if odd == "link":
        lrms.symlink_to(tmp_path / "elsewhere")
    else:
        lrms.touch()

    step = submit.decide(_in(context, State.SUBMIT))

    assert isinstance(step, Fail)
    assert f"Job submission to LRMS failed\n{lrms} is a link, or not a directory" == step.why
    assert [] == os.listdir(tmp_path / "elsewhere")


def test_an_attempt_that_may_run_already_is_looked_for_whatever_it_has_put_there(
    context: JobContext, tmp_path: Path
) -> None:
    first = submit.decide(_in(context, State.SUBMIT))
    assert isinstance(first, AskSubmit)
    first.submission.rundir.rmdir()
    first.submission.rundir.parent.rmdir()
    first.submission.rundir.parent.symlink_to(tmp_path)

    again = submit.decide(_in(context, State.SUBMIT))

    assert isinstance(again, AskSubmit)
    assert (first.submission.tag, False) == (again.submission.tag, again.sure)
    assert not (tmp_path / first.submission.tag).exists()


def test_a_run_directory_of_another_account_is_refused(
    context: JobContext, session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner could put any program there, which would run as this account."""
    session.with_name(f"{JOB}.lrms").mkdir()
    here = _in(context, State.SUBMIT)
    assert here.session.exists()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    (session.with_name(f"{JOB}.diag")).touch()

    step = submit.decide(here)

    assert isinstance(step, Fail)
    assert "another account" in step.why


def test_a_run_directory_is_private(context: JobContext, session: Path) -> None:
    before = os.umask(0)
    try:
        step = submit.decide(_in(context, State.SUBMIT))
    finally:
        os.umask(before)

    assert isinstance(step, AskSubmit)
    for path in (step.submission.rundir, step.submission.rundir.parent):
        assert 0o700 == stat.S_IMODE(path.stat().st_mode)
    for suffix in (".diag", ".comment"):
        assert 0o600 == stat.S_IMODE(session.with_name(f"{JOB}{suffix}").stat().st_mode)


# --- the end ----------------------------------------------------------------------------------------------------------


def _refuse_unlink(monkeypatch: pytest.MonkeyPatch) -> None:
    unlink = os.unlink

    def refuse(path: str, *, dir_fd: int | None = None) -> None:
        if path == "stuck":
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), path)
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuse)


async def test_a_session_that_cannot_be_removed_does_not_keep_the_job(
    context: JobContext, session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (session / "stuck").touch()
    store = context.services.store
    here = _in(context, State.FINISHED)
    past = context.services.clock.now() - timedelta(hours=1)
    here.job = replace(here.job, local=replace(here.job.local, cleanuptime=past))
    leftovers = Leftovers(store, [session.parent], context.services.clock)

    with monkeypatch.context() as broken:
        _refuse_unlink(broken)
        drive(here)
        assert not session.exists()
        assert "DELETED" == str(here.job.status)
        assert "one/stuck: Operation not permitted. It is in" in _errors(here)
        store.set_mark(JOB, Mark.CLEAN)
        assert isinstance(drive(JobContext(job=here.job, services=context.services)), Forget)
        assert 1 == await leftovers.round()

    assert store.read_status(JOB) is None
    assert 0 == await leftovers.round()
    assert [] == os.listdir(session.parent)


async def test_killed_submissions_are_removed_while_the_service_runs(context: JobContext, session: Path) -> None:
    store = context.services.store
    killed = JobId("killed")
    store.reserve(killed, b"&")
    leftovers = Leftovers(store, [session.parent], context.services.clock)
    now = context.services.clock.now().timestamp()

    for age, there in ((30.0, True), (4000.0, False)):
        os.utime(store.root / "job.killed.description", (now - age, now - age))
        await leftovers.round()
        assert there is store.exists(killed, "description")
