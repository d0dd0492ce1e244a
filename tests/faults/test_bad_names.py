"""Names that lead out of a session, strange names of jobs, and noise in the pipe, against a real daemon."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import threading
import time

import pytest

from arex.controldir.layout import Mark
from arex.model.ids import JobId, new_job_id
from arex.model.state import State
from tests.faults.service import Service
from tests.faults.strange import TRUE

pytestmark = pytest.mark.timeout(600)


# --- names that lead out ----------------------------------------------------------------------------------------------

OUT = ("../canary/precious", "a/../../canary/precious", "/CANARY/precious", "..", "x/..", "/", "a\nb")


@pytest.mark.parametrize("name", OUT)
@pytest.mark.parametrize(
    "text",
    [
        '&(executable="NAME")',
        '&(executable="/bin/cat")(stdin="NAME")',
        '&(executable="/bin/echo")(stdout="NAME")',
        '&(executable="/bin/ls")(arguments="/no")(stderr="NAME")',
        '&(executable="/bin/echo")(gmlog="NAME")',
        '&(executable="/bin/true")(inputfiles=("NAME" ""))',
        '&(executable="/bin/true")(outputfiles=("NAME" ""))',
        '&(executable="/bin/true")(outputfiles=("@NAME" ""))',
        '&(executable="/bin/true")(outputfiles=("NAME/" "file:///CANARY/x/"))',
    ],
    ids=["executable", "stdin", "stdout", "stderr", "gmlog", "input", "output", "list", "directory"],
)
def test_names_that_lead_out_of_the_session_are_refused_by_client_and_service(
    site: Service, text: str, name: str
) -> None:
    """What ARC allows stays allowed: absolute programs and standard inputs, and ``/`` as all of the session."""
    text = text.replace("NAME", name).replace("/CANARY", str(site.canary))
    outcome = site.offer(text)
    job = site.by_hand(text)

    site.reaches(job, "FINISHED")
    refused = not hasattr(outcome, "session")
    if refused:
        error = str(outcome.error)  # type: ignore[union-attr]
        assert error
        assert len(error.splitlines()) == 1
    else:
        site.reaches(outcome.id, "FINISHED")  # type: ignore[union-attr]
        site.cleans(outcome.id)  # type: ignore[union-attr]
    if ".." in name.split("/"):
        assert refused
        assert "leads out of the session directory" in site.store.failure(job)
    site.cleans(job)


@pytest.mark.parametrize(
    "path",
    [
        "{canary}",
        "{canary}/",
        "{canary}/below",
        "{session}",
        "{session}/",
        "{session}/..",
        "/",
        "",
        ".",
        "..",
        "canary",
        "{session}/@JOB@/..",
        "{session}/@JOB@/../../canary",
        "{ctl}",
        "{session}/OTHER",
        "{session}/OTHER.lrms",
        "{session}/@JOB@\0",
        "{links}/@JOB@",
        "{session}/" + "x" * 5000,
    ],
)
@pytest.mark.parametrize("state", [State.ACCEPTED, State.PREPARING, State.INLRMS, State.FINISHING, State.FINISHED])
def test_a_session_directory_that_is_not_the_jobs_own_is_left_alone(site: Service, state: State, path: str) -> None:
    """Whatever ``.local`` says is the session: nothing in it is read, pruned or removed, also not by a clean."""
    links = site.root / "links"
    links.mkdir(exist_ok=True)
    other = new_job_id()
    for name in (other, f"{other}.lrms"):
        (site.sessions / name).mkdir()
        (site.sessions / name / "result").write_text("of another job", encoding="utf-8")
    text = path.format(canary=site.canary, session=site.sessions, ctl=site.ctl, links=links).replace("OTHER", other)
    job = new_job_id()
    (links / job).symlink_to(site.canary)
    (site.sessions / job).mkdir()
    site.path(job, "description").write_text(f'{TRUE}(gmlog=log)(outputfiles=(x ""))')
    site.path(job, "local").write_text(f"gmlog=log\nlocalid=1\nsessiondir={text.replace('@JOB@', job)}\n")
    site.path(job, "output").write_bytes(b"")
    before = sorted(path.name for path in site.sessions.iterdir())
    place = {State.ACCEPTED: "accepting", State.FINISHED: "finished"}.get(state, "processing")
    (site.ctl / place / f"job.{job}.status").write_text(state)
    site.ring(job)

    site.reaches(job, "FINISHED")
    if state is not State.FINISHED and text:
        assert "sessiondir=" in site.store.failure(job)
    if text:
        assert set(before) <= {path.name for path in site.sessions.iterdir()} | {job}
    site.cleans(job)
    for name in (other, f"{other}.lrms"):
        assert "of another job" == (site.sessions / name / "result").read_text()
    assert (links / job).is_symlink()
    assert site.ctl.is_dir()
    assert site.untouched


# --- names of jobs, and the pipe --------------------------------------------------------------------------------------

NAMES = (
    b"a b",
    b"",
    b".",
    b"..",
    b"$(reboot)",
    b"`x`",
    b"a\nb",
    b"\xff\xfe",
    b"x" * 200,
    b"-rf",
    b";",
    b"'",
    b"a'b",
    b"*",
    b"\x01",
)


def test_strange_names_in_the_control_directory_are_nobodys_jobs(site: Service) -> None:
    made = []
    for place, name in itertools.product(("accepting", "processing", "finished", "restarting"), NAMES):
        for end in (b"status", b"cancel", b"clean", b"restart"):
            odd = os.path.join(os.fsencode(site.ctl), place.encode(), b"job." + name + b"." + end)
            with open(odd, "wb") as file:
                file.write(b"ACCEPTED")
            made.append(odd)
    for place in ("accepting", "processing", "finished", "restarting"):
        directory = site.ctl / place / f"job.{new_job_id()}.status"
        directory.mkdir()
        link = site.ctl / place / f"job.{new_job_id()}.status"
        link.symlink_to(site.canary / "precious")
        pipe = site.ctl / place / f"job.{new_job_id()}.status"
        os.mkfifo(pipe)
        for path in (directory, link, pipe):
            site.ring(JobId(path.name[4:-7]))

    site.unharmed()
    time.sleep(2.5)  # two scans of everything

    for made_path in made:
        with contextlib.suppress(FileNotFoundError):  # "-rf" is a name like any other
            os.unlink(made_path)


def test_noise_in_the_pipe_is_answered_with_a_scan(site: Service) -> None:
    noise = random.Random(1).randbytes(200_000)
    with open(site.ctl / "gm.fifo", "wb", buffering=0) as pipe:
        pipe.write(noise)
        pipe.write(b"x" * 100_000 + b"\0")
        pipe.writelines(name + b"\0" + name + b"\n" for name in NAMES)
        pipe.write(b"../../canary\0job.x\0" + b"\0" * 50_000)


def test_a_flood_of_unknown_jobs_in_the_pipe_passes(site: Service) -> None:
    """Two seconds of as many messages as a process can write; a real job gets through soon after."""
    stop = threading.Event()

    def flood() -> None:
        with open(site.ctl / "gm.fifo", "wb", buffering=0) as pipe:
            for number in itertools.count():
                pipe.write(b"".join(b"%054d\0" % (100 * number + each) for each in range(70)))
                if stop.is_set():
                    return

    thread = threading.Thread(target=flood)
    thread.start()
    time.sleep(2)
    job = site.submit(TRUE)
    stop.set()
    thread.join()

    site.finishes(job, limit_s=90)


def test_a_flood_of_marks_for_unknown_jobs_passes(site: Service) -> None:
    for _ in range(300):
        for mark in Mark:
            site.store.set_mark(new_job_id(), mark)

    site.unharmed()
