"""What clients see of jobs: read from what a real A-REX left."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from arex.config.model import Configuration
from arex.config.values import SessionDir
from arex.errors import ControlDirError, NoSuchJob, UnsafePath
from arex.model.ids import JobId
from arex.model.reason import ReasonKind
from arex.model.state import State, Status
from plugins.local import LocalPlugin
from plugins.local.status import ClientState, JobStatus, client_state, read_status
from tests import environments
from tests.fakes.clock import FakeClock
from tests.permissions import closed

FIXTURES = environments.DATA / "fixtures"


def site(case: str, tmp_path: Path) -> tuple[LocalPlugin, str]:
    """A control directory with one recorded job, and its id."""
    shutil.copytree(FIXTURES / case / "ctl", tmp_path / "ctl")
    if (FIXTURES / case / "session").exists():
        shutil.copytree(FIXTURES / case / "session", tmp_path / "session")
    arex = replace(
        Configuration().arex, controldir=tmp_path / "ctl", sessiondir=(SessionDir(path=tmp_path / "session"),)
    )
    [status] = (tmp_path / "ctl").glob("*/job.*.status")
    return LocalPlugin(Configuration(arex=arex), clock=FakeClock()), status.name[4:-7]


def status_of(case: str, tmp_path: Path) -> JobStatus:
    plugin, job = site(case, tmp_path)
    return plugin.one(job)


@pytest.mark.parametrize(
    ("case", "state", "specific"),
    [
        ("client_hello", ClientState.ACCEPTED, "ACCEPTED"),
        ("slowin_preparing", ClientState.PREPARING, "PREPARING"),
        ("pending_preparing", ClientState.PREPARING, "PENDING:PREPARING"),
        ("running_inlrms", ClientState.RUNNING, "INLRMS:R"),
        ("slowout_finishing", ClientState.FINISHING, "FINISHING"),
        ("hello", ClientState.FINISHED, "FINISHED"),
        ("fail3", ClientState.FAILED, "FAILED"),
        ("missing", ClientState.FAILED, "FAILED"),
        ("cancel_inlrms", ClientState.KILLED, "KILLED"),
        ("deleted", ClientState.DELETED, "DELETED"),
        ("handA", ClientState.FAILED, "FAILED"),
    ],
)
def test_states_are_those_of_the_job(case: str, state: ClientState, specific: str, tmp_path: Path) -> None:
    """Running, failed and killed jobs are distinguished, which ARC's own plugin can't."""
    found = status_of(case, tmp_path)

    assert (found.state, found.specific) == (state, specific)


@pytest.mark.parametrize(
    ("phase", "state"),
    [("", ClientState.QUEUING), ("Q", ClientState.QUEUING), ("R", ClientState.RUNNING), ("S", ClientState.HOLD),
     ("E", ClientState.RUNNING), ("strange", ClientState.RUNNING)],
)  # fmt: skip
def test_the_batch_system_decides_between_queuing_and_running(phase: str, state: ClientState) -> None:
    assert client_state(Status(State.INLRMS), phase, "")[0] is state


def test_a_status_file_with_an_unknown_word_is_other() -> None:
    assert client_state(None, "", "")[0] is ClientState.OTHER


def test_a_failed_job_tells_exit_code_reason_and_usage(tmp_path: Path) -> None:
    found = status_of("fail3", tmp_path)

    assert found.exit_code == 3
    assert found.failure.startswith("LRMS error: (3)")
    assert found.nodes == ("vm",)
    assert found.wall_s is not None
    assert found.started is not None
    assert found.name


def test_a_pending_job_tells_what_it_waits_for(tmp_path: Path) -> None:
    plugin, job = site("pending_preparing", tmp_path)
    reason = read_status(plugin.store, JobId(job), now=FakeClock().now()).reason

    assert reason is not None
    assert (ReasonKind.SLOTS, "all slots are in use") == (reason.kind, reason.text)


def test_the_status_shows_the_start_time(tmp_path: Path) -> None:
    plugin, job = site("client_opts", tmp_path)

    reason = read_status(plugin.store, JobId(job), now=FakeClock().now()).reason

    assert reason is not None
    assert (ReasonKind.START_TIME, datetime(2027, 1, 1, tzinfo=UTC)) == (reason.kind, reason.next_try)


def test_a_job_without_a_service_tells_how_to_start_one(tmp_path: Path) -> None:
    reason = status_of("client_hello", tmp_path).reason

    assert reason is not None
    assert (ReasonKind.SERVICE, f"no service is running for {tmp_path}/ctl; start it with 'arex start'") == (
        reason.kind, reason.text,
    )  # fmt: skip


def test_jobs_without_any_facts_have_a_status(tmp_path: Path) -> None:
    """A hand-made job: an empty .local is enough."""
    found = status_of("handB", tmp_path)

    assert found.state in set(ClientState)
    assert found.url.startswith("file:///")


def test_every_waiting_job_has_its_place_in_the_line(plugin: LocalPlugin) -> None:
    """Which one is unknown here: change times of files made within some milliseconds are equal."""
    plugin.submit(["&(executable=/bin/true)"] * 3)

    answers = plugin.status(plugin.jobs())

    assert {one.position for one in answers if isinstance(one, JobStatus)} == {1, 2, 3}


def test_unknown_and_hostile_ids_get_their_own_answer(plugin: LocalPlugin) -> None:
    plugin.submit("&(executable=/bin/true)")
    [known] = plugin.jobs()

    answers = plugin.status(["nosuch", known, "../../etc/passwd"])

    assert [type(one) for one in answers] == [NoSuchJob, JobStatus, UnsafePath]


def test_a_link_in_place_of_a_control_file_is_not_followed(tmp_path: Path) -> None:
    plugin, job = site("fail3", tmp_path)
    failed = tmp_path / "ctl" / f"job.{job}.failed"
    failed.unlink()
    (tmp_path / "secret").write_text("secret")
    failed.symlink_to(tmp_path / "secret")

    assert plugin.one(job).failure == ""


@pytest.mark.parametrize("case", sorted(path.name for path in FIXTURES.iterdir() if (path / "ctl").is_dir()))
def test_every_recorded_job_has_a_status(case: str, tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / case / "ctl", tmp_path / "ctl")
    arex = replace(
        Configuration().arex, controldir=tmp_path / "ctl", sessiondir=(SessionDir(path=tmp_path / "session"),)
    )
    plugin = LocalPlugin(Configuration(arex=arex), clock=FakeClock(datetime(2026, 11, 20, tzinfo=UTC)))

    answers = plugin.status(plugin.jobs())

    assert {type(one) for one in answers} <= {JobStatus}


def test_a_session_root_of_another_user_does_not_hide_the_status(tmp_path: Path) -> None:
    """As below /var/spool/arc, where root has once used ARC; the ``.local`` of "handG" names no session directory."""
    plugin, job = site("handG", tmp_path)
    (tmp_path / "theirs" / "sessiondir").mkdir(parents=True)
    (tmp_path / "session" / job).mkdir(parents=True)
    here, theirs = SessionDir(path=tmp_path / "session"), SessionDir(path=tmp_path / "theirs" / "sessiondir")

    with closed(tmp_path / "theirs"):
        first = LocalPlugin(_with_roots(plugin.config, theirs), clock=FakeClock()).one(job)
        second = LocalPlugin(_with_roots(plugin.config, theirs, here), clock=FakeClock()).one(job)

    assert (ClientState.FAILED, theirs.path / job) == (first.state, first.sessiondir)
    assert (ClientState.FAILED, here.path / job) == (second.state, second.sessiondir)


def _with_roots(config: Configuration, *roots: SessionDir) -> Configuration:
    return replace(config, arex=replace(config.arex, sessiondir=roots))


def test_a_job_whose_files_cannot_be_read_is_an_error_of_that_job_only(tmp_path: Path) -> None:
    plugin, job = site("hello", tmp_path)

    with closed(tmp_path / "ctl"):
        [unreadable, unsafe] = plugin.status([job, "../x"])
        with pytest.raises(ControlDirError, match=f"can't read job {job}: .*: Permission denied"):
            next(plugin.watch([job]))

    assert isinstance(unreadable, ControlDirError)
    assert isinstance(unsafe, UnsafePath)
