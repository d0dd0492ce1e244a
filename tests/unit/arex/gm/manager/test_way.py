"""The way of a job through the grid manager: nothing here sleeps, time moves when a test says so."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from arex.gm import attempt
from arex.model.files import FileEntry
from arex.model.report import EndCause, Phase, Report
from arex.model.state import State
from arex.ports import Staged, Staging
from tests.fakes.staging import UnusedStager
from tests.trees import everything_below
from tests.unit.arex.gm.manager.moves import STRAIGHT, accepted, finished, preparing
from tests.unit.arex.gm.service import TRUE, GridService, advance_until, grid_service, until


async def test_a_job_goes_all_the_way(service: GridService) -> None:
    job = service.submit()
    await service.runs(job)
    service.end(job)
    await service.reaches(job, "FINISHED")

    assert STRAIGHT == service.moves(job)
    assert "" == service.store.failure(job)
    await until(lambda: service.manager.counts == {})


async def test_many_jobs_go_together(service: GridService) -> None:
    jobs = [service.submit() for _ in range(60)]
    for job in jobs:
        await service.runs(job)
    for job in jobs:
        service.end(job)
    for job in jobs:
        await service.reaches(job, "FINISHED")

    assert {1} == set(service.cluster.runs.values())


async def test_a_job_that_was_not_rung_for_is_found_by_the_scan(service: GridService) -> None:
    job = service.make()
    service.manager.rescan()

    await service.runs(job)


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        (
            Report(phase=Phase.ENDED, exit_code=3, cause=EndCause.EXIT_CODE),
            "LRMS error: (3) Job finished with wrong exit code - 3 != 0",
        ),
        (Report(phase=Phase.ENDED, cause=EndCause.LOST), "LRMS error: (-1) Job died unexpectedly"),
    ],
)
async def test_a_job_that_failed_says_why(service: GridService, report: Report, reason: str) -> None:
    job = service.submit()
    await service.runs(job)
    service.end_with(job, report)
    await service.reaches(job, "FINISHED")

    assert f"{reason}\n" == service.store.failure(job)
    assert (State.INLRMS, "internal") == (service.local(job).failedstate, service.local(job).failedcause)


async def test_a_refusal_of_the_batch_system_reaches_the_owner(service: GridService) -> None:
    service.cluster.outage = "for the moment"
    job = service.submit()
    await until(lambda: service.store.exists(job, "lrms_job") and service.client.health.down_since)
    known = attempt.read(service.store, job)
    assert known is not None
    service.cluster.refusals[known.tag] = "no such account"
    service.cluster.outage = ""
    service.clock.advance(timedelta(minutes=2))
    await service.reaches(job, "FINISHED")

    assert "Job submission to LRMS failed\nBatch system refused the job: no such account\n" == service.store.failure(
        job
    )


# --- waiting ----------------------------------------------------------------------------------------------------------


async def test_a_start_time_is_waited_for(service: GridService) -> None:
    job = await accepted(service)
    service.clock.advance(timedelta(days=1, seconds=1))

    await service.runs(job)


async def test_a_dry_run_ends_without_running(service: GridService) -> None:
    job = service.submit(f'{TRUE}(dryrun="yes")')
    await service.reaches(job, "FINISHED")

    assert "Job has dryrun requested. Job skipped.\n" == service.store.failure(job)
    assert service.local(job).failedstate is None
    assert {} == service.cluster.taken


async def test_an_upload_is_waited_for(service: GridService) -> None:
    job = await preparing(service)
    (service.sessions / job / "later").write_text("x")
    service.manager.look(job)

    await service.runs(job)


async def test_an_upload_that_never_comes_ends_the_wait(service: GridService) -> None:
    job = await preparing(service)
    service.clock.advance(timedelta(seconds=601))
    await service.reaches(job, "FINISHED")

    assert "User file: /later - Timeout waiting\n" == service.store.failure(job)


@pytest.mark.parametrize("announced", ["12x", "x", "1.y", ".", "9" * 40, "-1"])
async def test_an_invalid_size_fails_the_job(service: GridService, announced: str) -> None:
    job = await preparing(service)
    (service.sessions / job / "later").write_text("x")
    service.store.put_entries(job, "input", [FileEntry("/later", announced)])
    service.manager.look(job)
    await service.reaches(job, "FINISHED", "INLRMS")

    assert announced == "." or "Invalid size or checksum" in service.store.failure(job)


async def test_a_job_without_an_executable_goes_to_its_end(service: GridService) -> None:
    job = service.submit('&(inputfiles=("later" ""))(outputfiles=("later" ""))')
    await service.reaches(job, "PREPARING")
    (service.sessions / job / "later").write_text("x")
    service.manager.look(job)
    await service.reaches(job, "FINISHED")

    assert {} == service.cluster.taken


# --- lifetimes --------------------------------------------------------------------------------------------------------


async def test_a_finished_job_is_deleted_and_then_forgotten(service: GridService) -> None:
    job = await finished(service)
    (service.sessions / job / "result").write_text("x")

    service.clock.advance(timedelta(days=7, seconds=11))
    await service.reaches(job, "DELETED")
    await until(lambda: service.moves(job) == ["FINISHED -> DELETED"])
    assert not (service.sessions / job).exists()
    assert service.store.exists(job, "local")
    assert not service.store.exists(job, "output")
    await until(lambda: service.manager.counts == {})

    service.clock.advance(timedelta(days=30, seconds=11))
    await until(lambda: not any(job in path.name for path in everything_below(service.root)), lambda: service.tell(job))


async def test_without_a_time_for_traces_a_job_is_forgotten_at_once(service: GridService) -> None:
    service.services.settings = replace(service.services.settings, ttr=timedelta(0))
    job = await finished(service)
    service.clock.advance(timedelta(days=7, seconds=11))

    await until(lambda: service.state(job) == "")


async def test_a_short_lifetime_of_its_own_counts(service: GridService) -> None:
    job = service.submit(f'{TRUE}(lifetime="60")')
    await service.runs(job)
    service.end(job)
    await service.reaches(job, "FINISHED")
    await until(lambda: service.manager.counts == {})
    service.clock.advance(timedelta(seconds=80))

    await service.reaches(job, "DELETED")


async def test_a_job_without_an_end_of_its_lifetime_is_left_alone(service: GridService) -> None:
    """It is looked at once a walk, not once a second."""
    job = service.make(state=State.FINISHED)
    looks = 0
    for _ in range(20):
        service.clock.advance(timedelta(hours=7))
        for _ in range(50):
            looks += service.busy(job)
            await asyncio.sleep(0)

    assert 20 >= looks
    assert "FINISHED" == service.state(job)


# --- staging ----------------------------------------------------------------------------------------------------------


async def test_files_come_in_and_go_out(service: GridService, tmp_path: Path) -> None:
    (tmp_path / "source").write_text("in")
    job = service.submit(f'{TRUE}(inputfiles=("x" "file://{tmp_path}/source"))')
    await service.runs(job)
    service.store.put_entries(job, "output", [FileEntry("/x", f"file://{tmp_path}/target")])
    assert "in" == (service.sessions / job / "x").read_text()
    service.end(job)
    await service.reaches(job, "FINISHED")

    assert "" == service.store.failure(job)
    assert "in" == (tmp_path / "target").read_text()
    assert [] == service.store.read_entries(job, "output")
    assert ["/x"] == [entry.pfn for entry in service.store.read_entries(job, "output_status") or []]


class Broken(UnusedStager):
    """A stager with a fault."""

    async def stage_in(self, staging: Staging) -> Staged:
        raise ValueError(staging)


async def test_a_fault_of_the_stager_fails_its_job_and_not_the_service(tmp_path: Path) -> None:
    async with grid_service(tmp_path, stager=Broken()) as service:
        job = service.submit(f'{TRUE}(inputfiles=("x" "http://host/x"))')
        await service.reaches(job, "FINISHED")
        assert "Failed in data staging: Internal error" in service.store.failure(job)
        await service.runs(service.submit())


async def test_results_of_jobs_that_ended_under_a_wrong_clock_are_kept_for_an_hour_after_it_was_set_right(
    service: GridService,
) -> None:
    """The clock was in the past for some seconds, so the lifetimes that began then are over when it is right."""
    job = service.submit()
    await service.runs(job)
    service.clock.set_by(timedelta(days=-20_000))
    service.end(job)
    await service.reaches(job, "FINISHED")
    service.clock.set_by(timedelta(days=20_000))
    for _ in range(3):
        service.manager.look(job)
        await until(lambda: service.manager.tracking.get(job) is None)
        assert "FINISHED" == service.state(job)

    # DELETED only for a moment, as the time of its traces is over, too
    await advance_until(service.clock, lambda: service.state(job) != "FINISHED", timedelta(seconds=30))
    assert service.clock.monotonic() >= 3600
