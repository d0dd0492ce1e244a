"""Strange content of control files, against a real daemon."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from arex.controldir.layout import Mark, Place
from arex.model.ids import new_job_id
from arex.model.state import State
from tests.faults.service import Service, wait_for
from tests.faults.strange import JUNK, TRUE, Held, dangling, link, pipe

pytestmark = pytest.mark.timeout(600)


# --- descriptions -----------------------------------------------------------------------------------------------------


def _directory(_site: Service, path: Path) -> None:
    path.mkdir()


# --- strange content of control files ---------------------------------------------------------------------------------

SUFFIXES = (
    "description",
    "local",
    "grami",
    "input",
    "output",
    "input_status",
    "output_status",
    "errors",
    "diag",
    "failed",
    "xml",
    "lrms_job",
    "lrms_done",
    "statistics",
    "proxy",
    "acl",
)
HOLDS = ("accepted", "preparing", "inlrms", "finished")


@pytest.mark.parametrize("hold", HOLDS)
def test_junk_in_any_control_file_leaves_a_job_that_ends_and_goes(site: Service, hold: str) -> None:
    held = {suffix: Held(site, hold) for suffix in SUFFIXES}

    for suffix, one in held.items():
        site.path(one.job, suffix).write_bytes(JUNK)
    for one in held.values():
        one.let_go()

    for suffix, one in held.items():
        wait_for(lambda: site.state(one.job) == "FINISHED", 90, lambda: (suffix, site.tell(one.job)))  # noqa: B023
        if hold == "finished":
            site.mark(one.job, Mark.RESTART)
        site.cleans(one.job)
        assert not (site.sessions / one.job).exists()


@pytest.mark.parametrize("kind", [link, dangling, _directory, pipe], ids=lambda kind: kind.__name__.strip("_"))
@pytest.mark.parametrize("hold", HOLDS)
def test_what_is_no_file_is_not_followed_and_the_job_goes_on_without_it(
    site: Service, hold: str, kind: Callable[[Service, Path], None]
) -> None:
    """A job may wait while it is there; as soon as it is gone, the job can be cancelled and removed."""
    held = {suffix: Held(site, hold) for suffix in SUFFIXES}

    for suffix, one in held.items():
        path = site.path(one.job, suffix)
        path.unlink(missing_ok=True)
        kind(site, path)
    for one in held.values():
        site.ring(one.job)
        if one.gate.exists():
            one.let_go()
    site.unharmed()

    for suffix, one in held.items():
        path = site.path(one.job, suffix)
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        elif not path.is_file() or path.is_symlink():
            path.unlink(missing_ok=True)
        one.let_go()
    for suffix, one in held.items():
        wait_for(lambda: site.state(one.job) == "FINISHED", 90, lambda: (suffix, site.tell(one.job)))  # noqa: B023
        site.cleans(one.job)


@pytest.mark.parametrize("data", [b"", b"NONSENSE", b"INLRMS:R", b"PENDING:", b"\xff" * 100, b"A" * 9000, JUNK])
def test_a_status_file_that_says_nothing_ends_the_job_with_that_cause(site: Service, data: bytes) -> None:
    job = new_job_id()
    (site.sessions / job).mkdir()
    site.path(job, "description").write_text(TRUE)
    site.path(job, "local").touch()
    (site.ctl / "accepting" / f"job.{job}.status").write_bytes(data)
    site.ring(job)

    assert site.fails(job).startswith("Failed reading status of the job")
    site.cleans(job)


@pytest.mark.parametrize("word", [state.value for state in State if state not in {State.UNDEFINED, State.DELETED}])
def test_a_job_that_begins_in_any_state_out_of_nothing_ends(site: Service, word: str) -> None:
    """No list, no grami, no local id, no session: whatever is missing is a reason to fail, not to fall."""
    job = site.by_hand(None, state=State(word), session=False)

    site.reaches(job, "FINISHED")
    site.cleans(job)


@pytest.mark.parametrize(
    "line",
    [
        b"cleanuptime=99991231235959Z",
        b"cleanuptime=00000000000000Z",
        b"lifetime=999999999999999999",
        b"lifetime=-5",
        b"processtime=99999999999999Z",
        b"localid=" + b"9" * 5000,
        b"localid=1",
        b"localid=-1",
        b"localid=/etc/passwd",
        b"rerun=999999999999999999",
        b"failedstate=DELETED",
        b"priority=-999999999999999999",
        b"argscode=x",
        b"args=\\",
        b"lrms=../../nothing",
        b"delegationid=../../../../etc/passwd",
        b"gmlog=..",
        b"gmlog=/",
        b"=" * 100000,
    ],
    ids=lambda line: line[:40].decode(),
)
@pytest.mark.parametrize("state", [State.ACCEPTED, State.INLRMS, State.FINISHED, State.DELETED])
def test_values_that_make_no_sense_in_local_do_not_fell_the_service(site: Service, line: bytes, state: State) -> None:
    job = site.by_hand(TRUE, line + b"\n", state=state)

    if line.startswith(b"lrms=") and state is State.ACCEPTED:
        wait_for(lambda: "is not configured" in site.log.read_text(errors="replace"), 90, "the log has a warning")
        site.reaches(job, "SUBMIT")
        os.unlink(site.store.layout.status_file(Place.PROCESSING, job))
        return
    if state in {State.ACCEPTED, State.INLRMS}:
        site.reaches(job, "FINISHED")
    site.ring(job)
    if state is not State.DELETED:
        site.cleans(job)


def test_a_local_id_of_another_job_takes_nothing_from_that_job(site: Service) -> None:
    """Neither its watch, when the false owner is cancelled, nor its life."""
    honest = Held(site, "inlrms")
    local = site.store.read_local(honest.job)
    assert local is not None
    assert local.localid is not None

    thief = site.by_hand(TRUE, f"localid={local.localid}\nlrms=fork\n".encode(), state=State.INLRMS)
    site.mark(thief, Mark.CANCEL)
    site.reaches(thief, "CANCELING", "FINISHED")

    assert "INLRMS" == site.state(honest.job)
    honest.let_go()
    site.finishes(honest.job)
    site.reaches(thief, "FINISHED", limit_s=90)


def test_lists_that_lead_everywhere_fail_their_jobs(site: Service) -> None:
    """``.input`` and ``.output`` written by hand into a running job."""
    outside = f"/../../canary/precious file://{site.root}/arc.conf\n".encode()
    cases = {
        "input": [outside, b"/x file:///etc/hosts%00\n", b"/x nosuchscheme://h/p\n", b"/later 12x.y\n", b"x:y z:z\n"],
        "output": [
            outside,
            b"/out file:///\n",
            b"/out file://otherhost/x\n",
            b"/../../canary/\n",
            b"/@../../canary/precious\n",
            b"/ \n",
            b"\\ \n",
            f"/out file://{site.canary}/precious\n".encode(),
        ],
    }
    held = [
        (suffix, data, Held(site, "preparing" if suffix == "input" else "inlrms"))
        for suffix, several in cases.items()
        for data in several
    ]
    for suffix, data, one in held:
        site.path(one.job, suffix).write_bytes(data)
    for _, _, one in held:
        one.let_go()

    for _, _, one in held:
        site.reaches(one.job, "FINISHED")
        site.cleans(one.job)


def test_inputs_that_never_end_do_not_hold_the_service(site: Service) -> None:
    """A pipe, a device and a directory as the source of a file."""
    os.mkfifo(site.root / "pipe")
    jobs = [
        site.by_hand(f'&(executable="/bin/true")(inputfiles=("x" "file://{source}"))')
        for source in (site.root / "pipe", Path("/dev/zero"), site.canary, Path("/proc/self/mem"))
        for _ in range(4)
    ]

    for job in jobs:
        assert "Failed in data staging" in site.fails(job)
        site.cleans(job)
    (site.root / "pipe").unlink()
