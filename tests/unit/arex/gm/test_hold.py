"""Hold and release, the evidence of a job, and an attempt whose record was lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from arex.controldir.layout import Mark
from arex.model.ids import JobId
from arex.model.report import EndCause, Evidence, Phase, Report, Witness
from tests.fakes.batch import RUNNING
from tests.unit.arex.gm.house import TRUE, House, housed, living, until

QUEUED = Report(phase=Phase.QUEUED)


@pytest.fixture(autouse=True)
def detector() -> None:
    """These tests look into control files themselves, on the loop, through our own functions: that blocks."""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with housed(tmp_path) as house:
        yield house


def lines(house: House, job: JobId) -> list[str]:
    path = house.sessions / f"{job}.lrms" / "evidence"
    return path.read_text().splitlines() if path.exists() else []


async def test_a_job_that_is_held_before_it_is_submitted_waits(house: House) -> None:
    job = house.submit(f'{TRUE}(inputfiles=("later" ""))')
    await house.reaches(job, "PREPARING")
    house.mark(job, Mark.HOLD)
    (house.sessions / job / "later").write_text("here")
    house.store.append(job, "input_status", "/later\n")
    house.manager.look(job)
    await house.reaches(job, "PENDING:PREPARING")
    assert {} == house.cluster.taken

    house.mark(job, Mark.RELEASE)
    await house.runs(job)

    assert not house.store.has_mark(job, Mark.HOLD)
    assert not house.store.has_mark(job, Mark.RELEASE)


async def test_a_held_job_takes_nobodys_turn(house: House) -> None:
    held = house.make()
    house.store.set_mark(held, Mark.HOLD)
    house.manager.look(held)
    await house.reaches(held, "PENDING:PREPARING")

    await house.runs(house.submit())


async def test_a_queued_job_is_held_in_its_batch_system(house: House) -> None:
    house.cluster.outcome = lambda _: QUEUED
    job = house.submit()
    await house.reaches(job, "INLRMS")
    localid = house.localid(job)
    house.cluster.reports[localid] = QUEUED
    house.mark(job, Mark.HOLD)
    await until(lambda: house.cluster.reports[localid].phase is Phase.HELD, lambda: house.tell(job))
    await until(lambda: not house.store.has_mark(job, Mark.HOLD))

    house.mark(job, Mark.RELEASE)
    await until(lambda: house.cluster.reports[localid].phase is Phase.QUEUED, lambda: house.tell(job))
    await until(lambda: not house.store.has_mark(job, Mark.RELEASE))


async def test_that_a_running_job_can_not_be_held_is_told_to_its_owner(house: House) -> None:
    job = house.submit()
    await house.runs(job)
    house.mark(job, Mark.HOLD)
    await until(lambda: not house.store.has_mark(job, Mark.HOLD))

    assert "Batch system refused to hold the job: the job is running" in house.tell(job)


async def test_a_held_job_can_still_be_cancelled(house: House) -> None:
    job = house.make()
    house.store.set_mark(job, Mark.HOLD)
    house.manager.look(job)
    await house.reaches(job, "PENDING:PREPARING")
    house.mark(job, Mark.CANCEL)

    await house.reaches(job, "FINISHED")


async def test_what_the_witnesses_said_at_the_end_is_kept(house: House) -> None:
    job = house.submit()
    await house.runs(job)
    said = (Evidence(Witness.RECORD, "exit code 3"), Evidence(Witness.SCAN, "FAILED\n(NonZeroExitCode)"))
    house.end_with(job, Report(phase=Phase.ENDED, exit_code=3, cause=EndCause.EXIT_CODE, evidence=said, doubt="odd"))
    await house.reaches(job, "FINISHED")

    assert [
        "phase=EXECUTED",
        "cause=exit code",
        "doubt=odd",
        "record=exit code 3",
        "scan=FAILED (NonZeroExitCode)",
    ] == (lines(house, job)[1:])


async def test_a_doubt_is_seen_while_the_job_waits(house: House) -> None:
    job = house.submit()
    localid = await house.runs(job)
    house.cluster.reports[localid] = Report(phase=Phase.EXITING, doubt="the record is not there yet")
    house.lane._look_at(localid)

    await until(lambda: "doubt=the record is not there yet" in lines(house, job), lambda: house.tell(job))
    house.cluster.reports[localid] = RUNNING


async def test_an_attempt_whose_record_was_lost_is_found_by_its_run_directory(tmp_path: Path) -> None:
    """The daemon died after the batch system had taken the job; then the control file was lost."""
    async with housed(tmp_path) as house:
        house.cluster.lost_answers = 1
        job = house.submit()
        await until(lambda: house.cluster.taken, lambda: house.tell(job))
        [taken] = house.cluster.taken
    house.store.remove(job, ("lrms_job",))
    again = await asyncio.to_thread(House, tmp_path, house.limits.maxjobs)
    again.cluster.taken, again.cluster.reports = house.cluster.taken, house.cluster.reports
    async with living(again):
        await again.runs(job)

    assert [taken] == list(again.cluster.taken)
    assert 0 == sum(again.cluster.runs.values())
