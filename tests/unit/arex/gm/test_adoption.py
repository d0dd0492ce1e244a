"""How a new job is taken up while its client is still about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arex.config.values import MaxJobs
from arex.controldir.layout import FlatLayout, Mark
from arex.controldir.store import ControlDir
from arex.gm.case import AskSubmit, Case, Job, Settings, Wait, World
from arex.gm.limits import Limits
from arex.gm.machine import Resting, drive
from arex.jobdesc import DescriptionDialect, parse
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.state import State, Status
from tests.fakes.clock import FakeClock

JOB = JobId("new")


@pytest.fixture
def world(tmp_path: Path) -> World:
    store = ControlDir(FlatLayout(tmp_path / "ctl"))
    store.prepare("me")
    (tmp_path / "session" / JOB).mkdir(parents=True)
    store.reserve(JOB, b"&(executable=/bin/true)")
    store.put_local(JOB, JobLocal(globalid=JOB, subject="/CN=me"))
    store.put_status(JOB, Status(State.ACCEPTED), None)
    return World(
        store=store,
        settings=Settings(sessiondirs=(tmp_path / "session",), lrms="fake", queue="q"),
        limits=Limits(MaxJobs()),
        clock=FakeClock(datetime.fromtimestamp(status_file(store).stat().st_mtime, UTC) + timedelta(seconds=0.1)),
        describe=lambda data: parse(data, DescriptionDialect.GRIDMANAGER)[0],
    )


def status_file(store: ControlDir) -> Path:
    return store.root / "accepting" / f"job.{JOB}.status"


def looked_at(world: World) -> Resting:
    unknown = Status(State.UNDEFINED)
    return drive(
        Case(job=Job(id=JOB, status=unknown, place=None, local=JobLocal(), changed=world.clock.now()), world=world)
    )


def test_a_status_file_that_its_client_still_works_on_stays_where_it_is(world: World) -> None:
    """ARC's client takes read permission away last of all, and wipes the job if the file is gone by then."""
    status_file(world.store).chmod(0o644)

    assert isinstance(looked_at(world), Wait)
    assert status_file(world.store).exists()
    status_file(world.store).chmod(0o600)
    assert isinstance(looked_at(world), AskSubmit)


def test_a_client_that_died_before_its_last_touch_holds_nothing_up(world: World) -> None:
    status_file(world.store).chmod(0o644)
    world.clock = FakeClock(world.clock.now() + timedelta(seconds=2))

    assert isinstance(looked_at(world), AskSubmit)


def test_a_job_given_up_before_it_was_taken_up_blames_no_state(world: World) -> None:
    """As 6.17 does: UNDEFINED to FINISHING, and no ``failedstate``."""
    world.store.set_mark(JOB, Mark.CANCEL)

    looked_at(world)

    local = world.store.read_local(JOB)
    assert local is not None
    assert (None, "client") == (local.failedstate, local.failedcause)
    errors = world.store.read(JOB, "errors") or b""
    assert b"UNDEFINED -> FINISHING   Reason: Request to cancel job" in errors
    assert b"ACCEPTED" not in errors
