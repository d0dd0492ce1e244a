"""How a new job is taken up while its client is still about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arex.controldir.layout import Mark
from arex.controldir.store import ControlDir
from arex.gm.context import JobContext, KnownJob, Services
from arex.gm.machine import Resting, drive
from arex.gm.steps import AskSubmit, Wait
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.state import State, Status
from tests.fakes.clock import FakeClock
from tests.unit.arex.gm.service import make_services

JOB = JobId("new")


@pytest.fixture
def services(tmp_path: Path) -> Services:
    services = make_services(tmp_path)
    store = services.store
    (tmp_path / "session" / JOB).mkdir(parents=True)
    store.reserve(JOB, b"&(executable=/bin/true)")
    store.put_local(JOB, JobLocal(globalid=JOB, subject="/CN=me"))
    store.put_status(JOB, Status(State.ACCEPTED), None)
    modified = status_file(store).stat().st_mtime
    services.clock = FakeClock(datetime.fromtimestamp(modified, UTC) + timedelta(seconds=0.1))
    return services


def status_file(store: ControlDir) -> Path:
    return store.root / "accepting" / f"job.{JOB}.status"


def looked_at(services: Services) -> Resting:
    unknown = Status(State.UNDEFINED)
    return drive(
        JobContext(
            job=KnownJob(id=JOB, status=unknown, place=None, local=JobLocal(), changed=services.clock.now()),
            services=services,
        )
    )


def test_a_status_file_that_its_client_still_works_on_stays_where_it_is(services: Services) -> None:
    """ARC's client takes read permission away last of all, and wipes the job if the file is gone by then."""
    status_file(services.store).chmod(0o644)

    assert isinstance(looked_at(services), Wait)
    assert status_file(services.store).exists()
    status_file(services.store).chmod(0o600)
    assert isinstance(looked_at(services), AskSubmit)


def test_a_client_that_died_before_its_last_touch_holds_nothing_up(services: Services) -> None:
    status_file(services.store).chmod(0o644)
    services.clock = FakeClock(services.clock.now() + timedelta(seconds=2))

    assert isinstance(looked_at(services), AskSubmit)


def test_a_job_given_up_before_it_was_taken_up_blames_no_state(services: Services) -> None:
    """As 6.17 does: UNDEFINED to FINISHING, and no ``failedstate``."""
    services.store.set_mark(JOB, Mark.CANCEL)

    looked_at(services)

    local = services.store.read_local(JOB)
    assert local is not None
    assert (None, "client") == (local.failedstate, local.failedcause)
    errors = services.store.read(JOB, "errors") or b""
    assert b"UNDEFINED -> FINISHING   Reason: Request to cancel job" in errors
    assert b"ACCEPTED" not in errors
