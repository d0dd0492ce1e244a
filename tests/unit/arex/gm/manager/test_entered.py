"""Which states the grid manager reports, so that mail can be sent about them."""

from __future__ import annotations

import asyncio
import errno
from datetime import timedelta
from pathlib import Path

import pytest

from arex.config.values import MaxJobs
from arex.controldir.layout import Mark, Place
from arex.controldir.store import ControlDir
from arex.gm.context import KnownJob
from arex.model.arc import CANCELLED
from arex.model.ids import JobId
from arex.model.state import State, Status
from tests.unit.arex.gm.service import GridService, grid_service, running, until

Reported = list[tuple[JobId, State, str]]
ON_THE_WAY = [State.PREPARING, State.SUBMIT, State.INLRMS]


def listening(service: GridService) -> Reported:
    reported: Reported = []

    def entered(job: KnownJob, states: list[State], failure: str) -> None:
        reported.extend((job.id, state, failure if state is State.FINISHED else "") for state in states)

    service.services.entered = entered  # type: ignore[assignment]
    return reported


async def ended(reported: Reported, number: int = 1) -> None:
    await until(lambda: [state for _, state, _ in reported].count(State.FINISHED) == number, lambda: reported)


async def test_each_state_is_reported_once_and_in_order(service: GridService) -> None:
    reported = listening(service)
    job = service.submit()
    await service.runs(job)
    service.end(job)
    await ended(reported)

    assert [*ON_THE_WAY, State.FINISHING, State.FINISHED] == [state for _, state, _ in reported]
    assert {(job, "")} == {(one, failure) for one, _, failure in reported}


async def test_a_failure_is_reported_with_its_reason(service: GridService) -> None:
    reported = listening(service)
    job = service.submit()
    await service.runs(job)
    service.end(job, 9)
    await ended(reported)

    assert "LRMS error: (9) Job finished with wrong exit code - 9 != 0" == reported[-1][2]


async def test_a_job_that_waits_in_a_state_has_entered_it_once(tmp_path: Path) -> None:
    async with grid_service(tmp_path, MaxJobs(running=1)) as service:
        reported = listening(service)
        first = service.submit()
        await service.runs(first)
        second = service.submit()
        await service.reaches(second, "PENDING:PREPARING")
        service.end(first)
        await service.runs(second)

    assert ON_THE_WAY == [state for job, state, _ in reported if job == second]


async def test_a_cancellation_is_reported(service: GridService) -> None:
    reported = listening(service)
    job = service.submit()
    await service.runs(job)
    service.mark(job, Mark.CANCEL)
    await ended(reported)

    assert [*ON_THE_WAY, State.CANCELING, State.FINISHING, State.FINISHED] == [state for _, state, _ in reported]
    assert CANCELLED in reported[-1][2].splitlines()


async def test_a_restart_of_the_service_reports_nothing_again(tmp_path: Path) -> None:
    async with grid_service(tmp_path) as first:
        done = first.submit()
        await first.runs(done)
        first.end(done)
        await first.reaches(done, "FINISHED")
        at_work = first.submit()
        await first.runs(at_work)

    second = await asyncio.to_thread(GridService, tmp_path, MaxJobs())
    reported = listening(second)
    async with running(second):
        await second.runs(at_work)
        second.manager.look(done)
        new = second.submit()
        await second.runs(new)
        second.end(new)
        await ended(reported)

    assert {new} == {job for job, _, _ in reported}


async def test_a_job_that_could_never_start_is_reported_as_ended(service: GridService) -> None:
    reported = listening(service)
    job = service.submit("no description at all (")
    await ended(reported)

    assert [(job, State.FINISHED)] == [(one, state) for one, state, _ in reported if state is State.FINISHED]
    assert reported[-1][2]


async def test_an_end_that_is_not_on_disk_yet_is_reported_when_it_is(
    service: GridService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a crash would cause the same report again."""
    reported = listening(service)
    full = True
    put_status = ControlDir.put_status

    def on_a_full_disk(self: ControlDir, job: JobId, status: Status, at: Place | None) -> Place:
        if full and status.state is State.FINISHED:
            raise OSError(errno.ENOSPC, "No space left on device")
        return put_status(self, job, status, at)

    monkeypatch.setattr(ControlDir, "put_status", on_a_full_disk)
    job = service.submit()
    await service.runs(job)
    service.end(job, 9)
    await until(lambda: service.manager.troubled)
    assert State.FINISHED not in [state for _, state, _ in reported]
    full = False
    service.clock.advance(timedelta(minutes=1))
    await ended(reported)

    assert [State.FINISHING, State.FINISHED] == [state for _, state, _ in reported][-2:]
    assert "LRMS error: (9)" in reported[-1][2]
