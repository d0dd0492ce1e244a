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
from arex.model.files import FileEntry
from arex.model.ids import JobId, new_job_id
from arex.model.local import JobLocal
from arex.model.report import EndCause, Phase, Report
from arex.model.state import State
from arex.ports import Staged, Staging
from tests.fakes.staging import UnusedStager
from tests.unit.arex.gm.house import TRUE, House, housed, until


@pytest.fixture(autouse=True)
def detector() -> None:
    """These tests look into control files themselves, on the loop, through our own functions: that blocks."""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with housed(tmp_path) as house:
        yield house


STRAIGHT = [
    "UNDEFINED -> ACCEPTED", "ACCEPTED -> PREPARING", "PREPARING -> SUBMIT", "SUBMIT -> INLRMS",
    "INLRMS -> FINISHING", "FINISHING -> FINISHED",
]  # fmt: skip


async def test_a_job_goes_all_the_way(house: House) -> None:
    job = house.submit()
    await house.runs(job)
    house.end(job)
    await house.reaches(job, "FINISHED")

    assert STRAIGHT == house.moves(job)
    assert "" == house.store.failure(job)
    await until(lambda: house.manager.counts == {})


async def test_many_jobs_go_together(house: House) -> None:
    jobs = [house.submit() for _ in range(60)]
    for job in jobs:
        await house.runs(job)
    for job in jobs:
        house.end(job)
    for job in jobs:
        await house.reaches(job, "FINISHED")

    assert {1} == set(house.cluster.runs.values())


async def test_a_job_that_was_not_rung_for_is_found_by_the_scan(house: House) -> None:
    job = house.make()
    house.manager.rescan()

    await house.runs(job)


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
async def test_a_job_that_failed_says_why(house: House, report: Report, reason: str) -> None:
    job = house.submit()
    await house.runs(job)
    house.end_with(job, report)
    await house.reaches(job, "FINISHED")

    assert f"{reason}\n" == house.store.failure(job)
    assert (State.INLRMS, "internal") == (house.local(job).failedstate, house.local(job).failedcause)


async def test_a_refusal_of_the_batch_system_reaches_the_owner(house: House) -> None:
    house.cluster.outage = "for the moment"
    job = house.submit()
    await until(lambda: house.store.exists(job, "lrms_job") and house.lane.health.down_since)
    [tag] = house.lane._desk._asks
    house.cluster.refusals[tag] = "no such account"
    house.cluster.outage = ""
    house.clock.advance(timedelta(minutes=2))
    await house.reaches(job, "FINISHED")

    assert "Job submission to LRMS failed\nBatch system refused the job: no such account\n" == house.store.failure(job)


# --- cancel -----------------------------------------------------------------------------------------------------------

CANCELLED = "Job is canceled by external request\n"


async def test_a_cancel_before_adoption_ends_the_job_at_once(house: House) -> None:
    job = house.make()
    house.mark(job, Mark.CANCEL)
    await house.reaches(job, "FINISHED")

    assert CANCELLED == house.store.failure(job)
    assert ["UNDEFINED -> FINISHING", "FINISHING -> FINISHED"] == house.moves(job)
    assert not house.store.has_mark(job, Mark.CANCEL)


async def _accepted(house: House) -> JobId:
    later = house.clock.now() + timedelta(days=1)
    job = house.submit(f'{TRUE}(starttime="{later:%Y%m%d%H%M%S}Z")')
    await until(lambda: house.manager.counts == {"ACCEPTED": 1})
    return job


async def _preparing(house: House) -> JobId:
    job = house.submit(f'{TRUE}(inputfiles=("later" ""))')
    await house.reaches(job, "PREPARING")
    return job


async def _inlrms(house: House) -> JobId:
    job = house.submit()
    await house.runs(job)
    return job


@pytest.mark.parametrize(
    ("arrange", "state"), [(_accepted, State.ACCEPTED), (_preparing, State.PREPARING), (_inlrms, State.INLRMS)]
)
async def test_a_cancel_ends_a_job_where_it_is(house: House, arrange: object, state: State) -> None:
    assert callable(arrange)
    job = await arrange(house)
    house.mark(job, Mark.CANCEL)
    await house.reaches(job, "FINISHED")

    assert CANCELLED == house.store.failure(job)
    assert (state, "client") == (house.local(job).failedstate, house.local(job).failedcause)
    assert not house.store.has_mark(job, Mark.CANCEL)


async def test_a_cancel_in_submit_waits_for_the_batch_system(house: House) -> None:
    house.cluster.outage = "down"
    job = house.submit()
    await until(lambda: house.lane.health.down_since)
    house.mark(job, Mark.CANCEL)
    await until(lambda: house.manager.counts == {"SUBMIT": 1})
    house.cluster.outage = ""
    house.clock.advance(timedelta(minutes=2))
    await house.reaches(job, "FINISHED")

    assert [*STRAIGHT[:4], "INLRMS -> CANCELING", "CANCELING -> FINISHING", "FINISHING -> FINISHED"] == house.moves(job)
    assert CANCELLED == house.store.failure(job)


async def test_a_cancel_of_a_finished_job_is_void(house: House) -> None:
    job = await _finished(house)
    house.mark(job, Mark.CANCEL)
    await until(lambda: not house.store.has_mark(job, Mark.CANCEL))

    assert "FINISHED" == house.state(job)
    assert "" == house.store.failure(job)


async def test_a_cancel_that_the_batch_system_refuses_is_asked_again(house: House) -> None:
    job = await _inlrms(house)
    house.cluster.cancel_refusals[house.localid(job)] = "not now"
    house.mark(job, Mark.CANCEL)
    await until(lambda: "refused to cancel the job: not now" in house.tell(job))

    assert "CANCELING" == house.state(job)
    house.end(job, 143, EndCause.CANCELLED)
    house.clock.advance(timedelta(hours=2))
    house.manager.look(job)
    await house.reaches(job, "FINISHED")


# --- clean ------------------------------------------------------------------------------------------------------------


async def _finished(house: House) -> JobId:
    job = await _inlrms(house)
    house.end(job)
    await house.reaches(job, "FINISHED")
    await until(lambda: house.manager.counts == {})
    return job


async def test_a_clean_removes_every_trace(house: House) -> None:
    job = await _finished(house)
    house.mark(job, Mark.CLEAN)
    await until(lambda: house.state(job) == "")

    assert [] == [path for path in house.root.rglob("*") if job in path.name]


@pytest.mark.parametrize("arrange", [_accepted, _preparing, _inlrms])
async def test_a_clean_mark_on_an_active_job_waits_for_its_end(house: House, arrange: object) -> None:
    assert callable(arrange)
    job = await arrange(house)
    house.mark(job, Mark.CLEAN)
    house.mark(job, Mark.CANCEL)
    # a file on its way from one directory to the next is in neither for the one who looks in order
    await until(lambda: not any(job in path.name for path in house.root.rglob("*")), lambda: house.tell(job))

    assert [] == [path for path in house.root.rglob("*") if job in path.name]


# --- restart ----------------------------------------------------------------------------------------------------------


async def test_a_restart_is_a_new_attempt(house: House) -> None:
    job = house.submit(f'{TRUE}(rerun="2")')
    await house.runs(job)
    first = house.localid(job)
    house.end(job, 7)
    await house.reaches(job, "FINISHED")
    house.mark(job, Mark.RESTART)
    await house.reaches(job, "INLRMS")
    await until(lambda: house.localid(job) != first)
    await house.runs(job)
    house.end(job)
    await house.reaches(job, "FINISHED")

    assert "" == house.store.failure(job)
    assert (1, None) == (house.local(job).rerun, house.local(job).failedstate)
    assert 2 == len(house.cluster.taken)


@pytest.mark.parametrize("reruns", ["0", "1"])
async def test_a_restart_that_can_not_be_granted_changes_nothing(house: House, reruns: str) -> None:
    """No reruns left, or nothing has failed."""
    job = house.submit(f'{TRUE}(rerun="{reruns}")')
    await house.runs(job)
    house.end(job, 0 if reruns == "1" else 3)
    await house.reaches(job, "FINISHED")
    before = house.moves(job)
    house.mark(job, Mark.RESTART)
    await until(lambda: not house.store.has_mark(job, Mark.RESTART))

    assert "FINISHED" == house.state(job)
    assert before == house.moves(job)


async def test_a_restart_without_a_description_is_refused_once(house: House) -> None:
    job = house.submit(f'{TRUE}(rerun="1")')
    await house.runs(job)
    house.end(job, 3)
    await house.reaches(job, "FINISHED")
    await until(lambda: house.manager.counts == {})
    house.store.put(job, "description", b"junk")
    before = house.moves(job)
    house.mark(job, Mark.RESTART)
    await until(lambda: not house.store.has_mark(job, Mark.RESTART))

    assert before == house.moves(job)
    assert "can not be restarted" in house.tell(job)


# --- limits -----------------------------------------------------------------------------------------------------------


async def test_newcomers_beyond_the_limit_stay_outside_until_there_is_room(tmp_path: Path) -> None:
    async with housed(tmp_path, MaxJobs(tracked=2)) as house:
        first, second = house.submit(), house.submit()
        await house.runs(first)
        await house.runs(second)
        third = house.submit()

        await until(lambda: 1 == house.manager.waiting_outside)
        assert not house.store.exists(third, "errors")
        house.end(first)
        await house.runs(third)


async def test_jobs_beyond_the_running_limit_are_pending_in_order(tmp_path: Path) -> None:
    async with housed(tmp_path, MaxJobs(running=1)) as house:
        first = house.submit()
        await house.runs(first)
        second = house.submit()
        await house.reaches(second, "PENDING:PREPARING")
        urgent = house.submit(f'{TRUE}(priority="90")')
        await house.reaches(urgent, "PENDING:PREPARING")
        house.end(first)
        await house.runs(urgent)

        assert "PENDING:PREPARING" == house.state(second)
        assert "Limit of RUNNING jobs is reached" in house.tell(second)
        house.end(urgent)
        await house.runs(second)


async def test_one_owner_does_not_take_the_place_of_another(tmp_path: Path) -> None:
    async with housed(tmp_path, MaxJobs(per_owner=1)) as house:
        first = house.submit()
        await house.runs(first)
        second = house.submit()
        await house.reaches(second, "PENDING:ACCEPTED")
        other = house.submit(local=JobLocal(subject="/CN=other"))
        await house.runs(other)
        house.end(first)
        await house.runs(second)


# --- waiting ----------------------------------------------------------------------------------------------------------


async def test_a_start_time_is_waited_for(house: House) -> None:
    job = await _accepted(house)
    house.clock.advance(timedelta(days=1, seconds=1))
    house.manager.look(job)

    await house.runs(job)


async def test_a_dry_run_ends_without_running(house: House) -> None:
    job = house.submit(f'{TRUE}(dryrun="yes")')
    await house.reaches(job, "FINISHED")

    assert "Job has dryrun requested. Job skipped.\n" == house.store.failure(job)
    assert house.local(job).failedstate is None
    assert {} == house.cluster.taken


async def test_an_upload_is_waited_for(house: House) -> None:
    job = await _preparing(house)
    (house.sessions / job / "later").write_text("x")
    house.manager.look(job)

    await house.runs(job)


async def test_an_upload_that_never_comes_ends_the_wait(house: House) -> None:
    job = await _preparing(house)
    house.clock.advance(timedelta(seconds=601))
    house.manager.look(job)
    await house.reaches(job, "FINISHED")

    assert "User file: /later - Timeout waiting\n" == house.store.failure(job)


@pytest.mark.parametrize("announced", ["12x", "x", "1.y", ".", "9" * 40, "-1"])
async def test_a_size_that_does_not_read_fails_the_job(house: House, announced: str) -> None:
    job = await _preparing(house)
    (house.sessions / job / "later").write_text("x")
    house.store.put_entries(job, "input", [FileEntry("/later", announced)])
    house.manager.look(job)
    await house.reaches(job, "FINISHED", "INLRMS")

    assert announced == "." or "do not read" in house.store.failure(job)


async def test_a_job_without_an_executable_goes_to_its_end(house: House) -> None:
    job = house.submit('&(inputfiles=("later" ""))(outputfiles=("later" ""))')
    await house.reaches(job, "PREPARING")
    (house.sessions / job / "later").write_text("x")
    house.manager.look(job)
    await house.reaches(job, "FINISHED")

    assert {} == house.cluster.taken


# --- trouble ----------------------------------------------------------------------------------------------------------


async def test_a_file_that_can_not_be_written_makes_the_job_wait(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """And it goes on as if nothing had been, once the obstacle is gone."""
    job = await _inlrms(house)
    obstacle = Path(house.store.layout.job_file(job, "output"))
    obstacle.unlink()
    (obstacle / "x").mkdir(parents=True)
    house.end(job, 3)
    await until(lambda: "job waits, its files can't be handled" in caplog.text)
    (obstacle / "x").rmdir()
    obstacle.rmdir()
    house.manager.look(job)
    await house.reaches(job, "FINISHED")

    assert "LRMS error: (3) Job finished with wrong exit code - 3 != 0\n" == house.store.failure(job)
    assert "fault of arex" not in caplog.text


async def test_a_status_file_that_somebody_removed_ends_the_jobs_life(house: House) -> None:
    job = await _inlrms(house)
    os.unlink(house.store.layout.status_file(Place.PROCESSING, job))
    house.manager.rescan()

    await until(lambda: house.manager.counts == {})
    assert 0 == house.lane.inside


async def test_a_bell_for_a_job_that_is_not_there_is_forgotten(house: House) -> None:
    house.manager.look(new_job_id())
    job = house.submit()
    await house.runs(job)

    assert 1 == house.manager.tracked


async def test_a_flood_of_bells_takes_no_room(house: House) -> None:
    """Unknown ids beyond some thousands are left to the scan, which finds those that exist."""
    job = house.make()
    for _ in range(50_000):
        house.manager.heard(new_job_id())
    house.manager.heard(job)

    assert 10_000 > len(house.manager._queued)
    await house.runs(job)


async def test_a_session_directory_that_is_not_its_own_wrecks_the_job(house: House, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "sub").mkdir(parents=True)
    (home / "precious").write_text("x")
    for sessiondir in (home, house.sessions, Path("/"), Path("relative")):
        job = house.submit(local=JobLocal(sessiondir=sessiondir, gmlog="log"))
        await house.reaches(job, "FINISHED")
        assert f"sessiondir={sessiondir}" in house.store.failure(job)
        house.mark(job, Mark.CLEAN)
        await until(lambda: house.state(job) == "")  # noqa: B023 - awaited at once

    assert ["precious", "sub"] == sorted(os.listdir(home))
    assert house.sessions.is_dir()


# --- lifetimes --------------------------------------------------------------------------------------------------------


async def test_a_finished_job_is_deleted_and_then_forgotten(house: House) -> None:
    job = await _finished(house)
    (house.sessions / job / "result").write_text("x")

    house.clock.advance(timedelta(days=7, seconds=11))
    await house.reaches(job, "DELETED")
    await until(lambda: house.moves(job) == ["FINISHED -> DELETED"])
    assert not (house.sessions / job).exists()
    assert house.store.exists(job, "local")
    assert not house.store.exists(job, "output")
    await until(lambda: house.manager.counts == {})

    house.clock.advance(timedelta(days=30, seconds=11))
    await until(lambda: house.state(job) == "")
    assert [] == [path for path in house.root.rglob("*") if job in path.name]


async def test_without_a_time_for_traces_a_job_is_forgotten_at_once(house: House) -> None:
    house.world.settings = replace(house.world.settings, ttr=timedelta(0))
    job = await _finished(house)
    house.clock.advance(timedelta(days=7, seconds=11))

    await until(lambda: house.state(job) == "")


async def test_a_short_lifetime_of_its_own_counts(house: House) -> None:
    job = house.submit(f'{TRUE}(lifetime="60")')
    await house.runs(job)
    house.end(job)
    await house.reaches(job, "FINISHED")
    await until(lambda: house.manager.counts == {})
    house.clock.advance(timedelta(seconds=80))

    await house.reaches(job, "DELETED")


async def test_a_job_without_an_end_of_its_lifetime_is_left_alone(house: House) -> None:
    """It is looked at once a walk, not once a second."""
    job = house.make(state=State.FINISHED)
    looks = 0
    look = house.manager._lifetimes._look

    def count(one: JobId) -> None:
        nonlocal looks
        looks += 1
        look(one)

    house.manager._lifetimes._look = count
    for _ in range(20):
        house.clock.advance(timedelta(hours=7))
        for _ in range(50):
            await asyncio.sleep(0)

    assert 20 >= looks
    assert "FINISHED" == house.state(job)


# --- staging ----------------------------------------------------------------------------------------------------------


async def test_files_come_in_and_go_out(house: House, tmp_path: Path) -> None:
    (tmp_path / "source").write_text("in")
    job = house.submit(f'{TRUE}(inputfiles=("x" "file://{tmp_path}/source"))')
    await house.runs(job)
    house.store.put_entries(job, "output", [FileEntry("/x", f"file://{tmp_path}/target")])
    assert "in" == (house.sessions / job / "x").read_text()
    house.end(job)
    await house.reaches(job, "FINISHED")

    assert "" == house.store.failure(job)
    assert "in" == (tmp_path / "target").read_text()
    assert [] == house.store.read_entries(job, "output")
    assert ["/x"] == [entry.pfn for entry in house.store.read_entries(job, "output_status") or []]


class Broken(UnusedStager):
    """A stager with a fault."""

    async def stage_in(self, staging: Staging) -> Staged:
        raise ValueError(staging)


async def test_a_fault_of_the_stager_fails_its_job_and_not_the_service(tmp_path: Path) -> None:
    async with housed(tmp_path, stager=Broken()) as house:
        job = house.submit(f'{TRUE}(inputfiles=("x" "http://host/x"))')
        await house.reaches(job, "FINISHED")
        assert "Failed in data staging: Internal error" in house.store.failure(job)
        await house.runs(house.submit())
