"""Hold and release, the evidence of a job, and an attempt whose record was lost."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from arex.controldir.layout import Mark
from arex.model.ids import JobId
from arex.model.report import EndCause, Evidence, EvidenceSource, Phase, Report
from tests.fakes.batch import RUNNING
from tests.unit.arex.gm.service import TRUE, GridService, grid_service, running, until

QUEUED = Report(phase=Phase.QUEUED)


@pytest.fixture(autouse=True)
def detector() -> None:
    """These tests look into control files themselves, on the loop, through our own functions: that blocks."""


def lines(service: GridService, job: JobId) -> list[str]:
    path = service.sessions / f"{job}.lrms" / "evidence"
    return path.read_text().splitlines() if path.exists() else []


async def test_a_job_that_is_held_before_it_is_submitted_waits(service: GridService) -> None:
    job = service.submit(f'{TRUE}(inputfiles=("later" ""))')
    await service.reaches(job, "PREPARING")
    service.mark(job, Mark.HOLD)
    (service.sessions / job / "later").write_text("here")
    service.store.append(job, "input_status", "/later\n")
    service.manager.look(job)
    await service.reaches(job, "PENDING:PREPARING")
    assert {} == service.cluster.taken

    service.mark(job, Mark.RELEASE)
    await service.runs(job)

    assert not service.store.has_mark(job, Mark.HOLD)
    assert not service.store.has_mark(job, Mark.RELEASE)


async def test_a_held_job_takes_nobodys_turn(service: GridService) -> None:
    held = service.make()
    service.store.set_mark(held, Mark.HOLD)
    service.manager.look(held)
    await service.reaches(held, "PENDING:PREPARING")

    await service.runs(service.submit())


async def test_a_queued_job_is_held_in_its_batch_system(service: GridService) -> None:
    service.cluster.outcome = lambda _: QUEUED
    job = service.submit()
    await service.reaches(job, "INLRMS")
    localid = service.localid(job)
    service.cluster.reports[localid] = QUEUED
    service.mark(job, Mark.HOLD)
    await until(lambda: service.cluster.reports[localid].phase is Phase.HELD, lambda: service.tell(job))
    await until(lambda: not service.store.has_mark(job, Mark.HOLD))

    service.mark(job, Mark.RELEASE)
    await until(lambda: service.cluster.reports[localid].phase is Phase.QUEUED, lambda: service.tell(job))
    await until(lambda: not service.store.has_mark(job, Mark.RELEASE))


async def test_that_a_running_job_can_not_be_held_is_told_to_its_owner(service: GridService) -> None:
    job = service.submit()
    await service.runs(job)
    service.mark(job, Mark.HOLD)
    await until(lambda: not service.store.has_mark(job, Mark.HOLD))

    assert "Batch system refused to hold the job: the job is running" in service.tell(job)


async def test_a_held_job_can_still_be_cancelled(service: GridService) -> None:
    job = service.make()
    service.store.set_mark(job, Mark.HOLD)
    service.manager.look(job)
    await service.reaches(job, "PENDING:PREPARING")
    service.mark(job, Mark.CANCEL)

    await service.reaches(job, "FINISHED")


async def test_the_evidence_of_the_end_is_kept(service: GridService) -> None:
    job = service.submit()
    await service.runs(job)
    said = (Evidence(EvidenceSource.RECORD, "exit code 3"), Evidence(EvidenceSource.SCAN, "FAILED\n(NonZeroExitCode)"))
    service.end_with(job, Report(phase=Phase.ENDED, exit_code=3, cause=EndCause.EXIT_CODE, evidence=said, doubt="odd"))
    await service.reaches(job, "FINISHED")

    assert [
        "phase=EXECUTED",
        "cause=exit code",
        "doubt=odd",
        "record=exit code 3",
        "scan=FAILED (NonZeroExitCode)",
    ] == (lines(service, job)[1:])


async def test_a_doubt_is_seen_while_the_job_waits(service: GridService) -> None:
    job = service.submit()
    localid = await service.runs(job)
    service.cluster.reports[localid] = Report(phase=Phase.EXITING, doubt="the record is not there yet")
    service.clock.advance(timedelta(seconds=1))

    await until(lambda: "doubt=the record is not there yet" in lines(service, job), lambda: service.tell(job))
    service.cluster.reports[localid] = RUNNING


async def test_an_attempt_whose_record_was_lost_is_found_by_its_run_directory(tmp_path: Path) -> None:
    """The daemon died after the batch system had taken the job; then the control file was lost."""
    async with grid_service(tmp_path) as service:
        service.cluster.lost_answers = 1
        job = service.submit()
        await until(lambda: service.cluster.taken, lambda: service.tell(job))
        [taken] = service.cluster.taken
    service.store.remove(job, ("lrms_job",))
    again = await asyncio.to_thread(GridService, tmp_path, service.limits.maxjobs)
    again.cluster.taken, again.cluster.reports = service.cluster.taken, service.cluster.reports
    async with running(again):
        await again.runs(job)

    assert [taken] == list(again.cluster.taken)
    assert 0 == sum(again.cluster.runs.values())
