"""The grid manager as a whole, in this process: nothing here sleeps, time moves when a test says so."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from arex.config.values import MaxJobs
from arex.controldir.layout import Mark, Place
from arex.gm import attempt
from arex.model.files import FileEntry
from arex.model.ids import JobId, new_job_id
from arex.model.local import JobLocal
from arex.model.report import EndCause, Phase, Report
from arex.model.state import State
from arex.ports import Staged, Staging
from tests.fakes.staging import UnusedStager
from tests.unit.arex.gm.service import TRUE, GridService, grid_service, until


@pytest.fixture(autouse=True)
def detector() -> None:
    """These tests look into control files themselves, on the loop, through our own functions: that blocks."""


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[GridService]:
    async with grid_service(tmp_path) as service:
        yield service


STRAIGHT = [
    "UNDEFINED -> ACCEPTED", "ACCEPTED -> PREPARING", "PREPARING -> SUBMIT", "SUBMIT -> INLRMS",
    "INLRMS -> FINISHING", "FINISHING -> FINISHED",
]  # fmt: skip


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


# --- cancel -----------------------------------------------------------------------------------------------------------

CANCELLED = "Job is canceled by external request\n"


async def test_a_cancel_before_adoption_ends_the_job_at_once(service: GridService) -> None:
    job = service.make()
    service.mark(job, Mark.CANCEL)
    await service.reaches(job, "FINISHED")

    assert CANCELLED == service.store.failure(job)
    assert ["UNDEFINED -> FINISHING", "FINISHING -> FINISHED"] == service.moves(job)
    assert not service.store.has_mark(job, Mark.CANCEL)


async def _accepted(service: GridService) -> JobId:
    later = service.clock.now() + timedelta(days=1)
    job = service.submit(f'{TRUE}(starttime="{later:%Y%m%d%H%M%S}Z")')
    await until(lambda: service.manager.counts == {"ACCEPTED": 1})
    return job


async def _preparing(service: GridService) -> JobId:
    job = service.submit(f'{TRUE}(inputfiles=("later" ""))')
    await service.reaches(job, "PREPARING")
    return job


async def _inlrms(service: GridService) -> JobId:
    job = service.submit()
    await service.runs(job)
    return job


@pytest.mark.parametrize(
    ("arrange", "state"), [(_accepted, State.ACCEPTED), (_preparing, State.PREPARING), (_inlrms, State.INLRMS)]
)
async def test_a_cancel_ends_a_job_where_it_is(service: GridService, arrange: object, state: State) -> None:
    assert callable(arrange)
    job = await arrange(service)
    service.mark(job, Mark.CANCEL)
    await service.reaches(job, "FINISHED")

    assert CANCELLED == service.store.failure(job)
    assert (state, "client") == (service.local(job).failedstate, service.local(job).failedcause)
    assert not service.store.has_mark(job, Mark.CANCEL)


async def test_a_cancel_in_submit_waits_for_the_batch_system(service: GridService) -> None:
    service.cluster.outage = "down"
    job = service.submit()
    await until(lambda: service.client.health.down_since)
    service.mark(job, Mark.CANCEL)
    await until(lambda: service.manager.counts == {"SUBMIT": 1})
    service.cluster.outage = ""
    service.clock.advance(timedelta(minutes=2))
    await service.reaches(job, "FINISHED")

    assert [*STRAIGHT[:4], "INLRMS -> CANCELING", "CANCELING -> FINISHING", "FINISHING -> FINISHED"] == service.moves(
        job
    )
    assert CANCELLED == service.store.failure(job)


async def test_a_cancel_of_a_finished_job_is_void(service: GridService) -> None:
    job = await _finished(service)
    service.mark(job, Mark.CANCEL)
    await until(lambda: not service.store.has_mark(job, Mark.CANCEL))

    assert "FINISHED" == service.state(job)
    assert "" == service.store.failure(job)


async def test_a_cancel_that_the_batch_system_refuses_is_asked_again(service: GridService) -> None:
    job = await _inlrms(service)
    service.cluster.cancel_refusals[service.localid(job)] = "not now"
    service.mark(job, Mark.CANCEL)
    await until(lambda: "refused to cancel the job: not now" in service.tell(job))

    assert "CANCELING" == service.state(job)
    service.end(job, 143, EndCause.CANCELLED)
    service.clock.advance(timedelta(hours=2))
    await service.reaches(job, "FINISHED")


# --- clean ------------------------------------------------------------------------------------------------------------


async def _finished(service: GridService) -> JobId:
    job = await _inlrms(service)
    service.end(job)
    await service.reaches(job, "FINISHED")
    await until(lambda: service.manager.counts == {})
    return job


async def test_a_clean_removes_every_trace(service: GridService) -> None:
    job = await _finished(service)
    service.mark(job, Mark.CLEAN)
    await until(lambda: service.state(job) == "")

    assert [] == [path for path in service.root.rglob("*") if job in path.name]


@pytest.mark.parametrize("arrange", [_accepted, _preparing, _inlrms])
async def test_a_clean_mark_on_an_active_job_waits_for_its_end(service: GridService, arrange: object) -> None:
    assert callable(arrange)
    job = await arrange(service)
    service.mark(job, Mark.CLEAN)
    service.mark(job, Mark.CANCEL)
    # a file on its way from one directory to the next is in neither for the one who looks in order
    await until(lambda: not any(job in path.name for path in service.root.rglob("*")), lambda: service.tell(job))

    assert [] == [path for path in service.root.rglob("*") if job in path.name]


# --- restart ----------------------------------------------------------------------------------------------------------


async def test_a_restart_is_a_new_attempt(service: GridService) -> None:
    job = service.submit(f'{TRUE}(rerun="2")')
    await service.runs(job)
    first = service.localid(job)
    service.end(job, 7)
    await service.reaches(job, "FINISHED")
    service.mark(job, Mark.RESTART)
    await service.reaches(job, "INLRMS")
    await until(lambda: service.localid(job) != first)
    await service.runs(job)
    service.end(job)
    await service.reaches(job, "FINISHED")

    assert "" == service.store.failure(job)
    assert (1, None) == (service.local(job).rerun, service.local(job).failedstate)
    assert 2 == len(service.cluster.taken)


@pytest.mark.parametrize("reruns", ["0", "1"])
async def test_a_restart_that_can_not_be_granted_changes_nothing(service: GridService, reruns: str) -> None:
    """No reruns left, or nothing has failed."""
    job = service.submit(f'{TRUE}(rerun="{reruns}")')
    await service.runs(job)
    service.end(job, 0 if reruns == "1" else 3)
    await service.reaches(job, "FINISHED")
    before = service.moves(job)
    service.mark(job, Mark.RESTART)
    await until(lambda: not service.store.has_mark(job, Mark.RESTART))

    assert "FINISHED" == service.state(job)
    assert before == service.moves(job)


async def test_a_restart_without_a_description_is_refused_once(service: GridService) -> None:
    job = service.submit(f'{TRUE}(rerun="1")')
    await service.runs(job)
    service.end(job, 3)
    await service.reaches(job, "FINISHED")
    await until(lambda: service.manager.counts == {})
    service.store.put(job, "description", b"junk")
    before = service.moves(job)
    service.mark(job, Mark.RESTART)
    await until(lambda: not service.store.has_mark(job, Mark.RESTART))

    assert before == service.moves(job)
    assert "can not be restarted" in service.tell(job)


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


# --- waiting ----------------------------------------------------------------------------------------------------------


async def test_a_start_time_is_waited_for(service: GridService) -> None:
    job = await _accepted(service)
    service.clock.advance(timedelta(days=1, seconds=1))

    await service.runs(job)


async def test_a_dry_run_ends_without_running(service: GridService) -> None:
    job = service.submit(f'{TRUE}(dryrun="yes")')
    await service.reaches(job, "FINISHED")

    assert "Job has dryrun requested. Job skipped.\n" == service.store.failure(job)
    assert service.local(job).failedstate is None
    assert {} == service.cluster.taken


async def test_an_upload_is_waited_for(service: GridService) -> None:
    job = await _preparing(service)
    (service.sessions / job / "later").write_text("x")
    service.manager.look(job)

    await service.runs(job)


async def test_an_upload_that_never_comes_ends_the_wait(service: GridService) -> None:
    job = await _preparing(service)
    service.clock.advance(timedelta(seconds=601))
    await service.reaches(job, "FINISHED")

    assert "User file: /later - Timeout waiting\n" == service.store.failure(job)


@pytest.mark.parametrize("announced", ["12x", "x", "1.y", ".", "9" * 40, "-1"])
async def test_an_invalid_size_fails_the_job(service: GridService, announced: str) -> None:
    job = await _preparing(service)
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


# --- trouble ----------------------------------------------------------------------------------------------------------


async def test_a_file_that_can_not_be_written_makes_the_job_wait(
    service: GridService, caplog: pytest.LogCaptureFixture
) -> None:
    """And it goes on as if nothing had been, once the obstacle is gone."""
    job = await _inlrms(service)
    obstacle = Path(service.store.layout.job_file(job, "output"))
    obstacle.unlink()
    (obstacle / "x").mkdir(parents=True)
    service.end(job, 3)
    await until(lambda: "cannot access the files of the job, it will be retried" in caplog.text)
    (obstacle / "x").rmdir()
    obstacle.rmdir()
    service.clock.advance(timedelta(minutes=1))
    await service.reaches(job, "FINISHED")

    assert "LRMS error: (3) Job finished with wrong exit code - 3 != 0\n" == service.store.failure(job)
    assert "fault of arex" not in caplog.text


async def test_a_job_is_dropped_if_its_status_file_is_removed(service: GridService) -> None:
    job = await _inlrms(service)
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


# --- lifetimes --------------------------------------------------------------------------------------------------------


async def test_a_finished_job_is_deleted_and_then_forgotten(service: GridService) -> None:
    job = await _finished(service)
    (service.sessions / job / "result").write_text("x")

    service.clock.advance(timedelta(days=7, seconds=11))
    await service.reaches(job, "DELETED")
    await until(lambda: service.moves(job) == ["FINISHED -> DELETED"])
    assert not (service.sessions / job).exists()
    assert service.store.exists(job, "local")
    assert not service.store.exists(job, "output")
    await until(lambda: service.manager.counts == {})

    service.clock.advance(timedelta(days=30, seconds=11))
    await until(lambda: service.state(job) == "")
    assert [] == [path for path in service.root.rglob("*") if job in path.name]


async def test_without_a_time_for_traces_a_job_is_forgotten_at_once(service: GridService) -> None:
    service.services.settings = replace(service.services.settings, ttr=timedelta(0))
    job = await _finished(service)
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
