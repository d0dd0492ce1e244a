"""Limits and trouble of the grid manager."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from arex.config.values import MaxJobs
from arex.controldir.layout import Mark, Place
from arex.model.ids import new_job_id
from arex.model.local import JobLocal
from tests.unit.arex.gm.manager.moves import inlrms
from tests.unit.arex.gm.service import TRUE, GridService, grid_service, until

# --- limits -----------------------------------------------------------------------------------------------------------


async def test_newcomers_beyond_the_limit_stay_outside_until_there_is_room(tmp_path: Path) -> None:
    async with grid_service(tmp_path, MaxJobs(tracked=2)) as service:
        first, second = service.submit(), service.submit()
        await service.runs(first)
        await service.runs(second)
        third = service.submit()

        await until(lambda: 1 == service.manager.waiting_outside)
        assert not service.store.exists(third, "errors")
        service.end(first)
        await service.runs(third)


async def test_jobs_beyond_the_running_limit_are_pending_in_order(tmp_path: Path) -> None:
    async with grid_service(tmp_path, MaxJobs(running=1)) as service:
        first = service.submit()
        await service.runs(first)
        second = service.submit()
        await service.reaches(second, "PENDING:PREPARING")
        urgent = service.submit(f'{TRUE}(priority="90")')
        await service.reaches(urgent, "PENDING:PREPARING")
        service.end(first)
        await service.runs(urgent)

        assert "PENDING:PREPARING" == service.state(second)
        assert "Limit of RUNNING jobs is reached" in service.tell(second)
        service.end(urgent)
        await service.runs(second)


async def test_one_owner_does_not_take_the_place_of_another(tmp_path: Path) -> None:
    async with grid_service(tmp_path, MaxJobs(per_owner=1)) as service:
        first = service.submit()
        await service.runs(first)
        second = service.submit()
        await service.reaches(second, "PENDING:ACCEPTED")
        other = service.submit(local=JobLocal(subject="/CN=other"))
        await service.runs(other)
        service.end(first)
        await service.runs(second)


# --- trouble ----------------------------------------------------------------------------------------------------------


async def test_a_file_that_can_not_be_written_makes_the_job_wait(
    service: GridService, caplog: pytest.LogCaptureFixture
) -> None:
    """And it goes on as if nothing had been, once the obstacle is gone."""
    job = await inlrms(service)
    obstacle = Path(service.store.layout.job_file(job, "output"))
    obstacle.unlink()
    (obstacle / "x").mkdir(parents=True)
    service.end(job, 3)
    await until(lambda: "cannot access the files of the job; arex retries within a minute" in caplog.text)
    (obstacle / "x").rmdir()
    obstacle.rmdir()
    service.clock.advance(timedelta(minutes=1))
    await service.reaches(job, "FINISHED")

    assert "LRMS error: (3) Job finished with wrong exit code - 3 != 0\n" == service.store.failure(job)
    assert "fault of arex" not in caplog.text


async def test_a_job_is_dropped_if_its_status_file_is_removed(service: GridService) -> None:
    job = await inlrms(service)
    os.unlink(service.store.layout.status_file(Place.PROCESSING, job))
    service.manager.rescan()

    await until(lambda: service.manager.counts == {})
    assert 0 == service.client.inside


async def test_a_message_about_an_unknown_job_is_forgotten(service: GridService) -> None:
    service.manager.look(new_job_id())
    job = service.submit()
    await service.runs(job)

    assert 1 == service.manager.tracking.active


async def test_many_messages_about_unknown_jobs_use_no_memory(service: GridService) -> None:
    """Unknown ids beyond some thousands are left to the scan, which finds those that exist."""
    job = service.make()
    for _ in range(50_000):
        service.manager.heard(new_job_id())
    service.manager.heard(job)

    assert 10_000 > service.manager.tracking.queued
    await service.runs(job)


async def test_a_session_directory_that_is_not_its_own_wrecks_the_job(service: GridService, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "sub").mkdir(parents=True)
    (home / "precious").write_text("x")
    for sessiondir in (home, service.sessions, Path("/"), Path("relative")):
        job = service.submit(local=JobLocal(sessiondir=sessiondir, gmlog="log"))
        await service.reaches(job, "FINISHED")
        assert f"sessiondir={sessiondir}" in service.store.failure(job)
        service.mark(job, Mark.CLEAN)
        await until(lambda: service.state(job) == "")  # noqa: B023 - awaited at once

    assert ["precious", "sub"] == sorted(os.listdir(home))
    assert service.sessions.is_dir()
