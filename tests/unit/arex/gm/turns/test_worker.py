"""Whose turn it is: nothing that happens during a turn is lost, and no one stands where others should pass."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from arex.config.values import MaxJobs
from arex.controldir import codec
from arex.controldir.layout import Mark, Place
from arex.gm import machine
from arex.gm.context import JobContext
from arex.gm.machine import Resting
from arex.gm.publishing import activity
from arex.gm.turns import worker
from arex.jobdesc import JobDescription
from arex.model.ids import JobId, new_job_id
from arex.model.local import JobLocal
from arex.model.report import Phase, Report
from arex.model.state import State, Status
from arex.ports import Staged, Staging
from tests.fakes.staging import UnusedStager
from tests.trees import everything_below
from tests.unit.arex.gm.service import GridService, grid_service, until


@pytest.fixture(autouse=True)
def detector() -> None:
    """These tests look into control files themselves, on the loop, through our own functions: that blocks."""


async def _finished(service: GridService) -> JobId:
    job = service.submit()
    await service.runs(job)
    service.end(job)
    await service.reaches(job, "FINISHED")
    await until(lambda: service.manager.tracking.get(job) is None)
    return job


def _outside(service: GridService) -> list[JobId]:
    return list(service.manager.tracking.line)


class Held:
    """A description that is not read before a test says so: the turn of its job lasts as long."""

    def __init__(self, service: GridService) -> None:
        self._go = threading.Event()
        self.reached = threading.Event()  #: a turn waits for the description
        self._describe = service.services.describe
        service.services.describe = self._read

    def _read(self, data: bytes) -> JobDescription:
        self.reached.set()
        assert self._go.wait(20)
        return self._describe(data)

    def go(self) -> None:
        self._go.set()


# --- wake-ups ---------------------------------------------------------------------------------------------------------


async def test_a_wake_up_during_a_turn_is_another_turn(service: GridService) -> None:
    """The mark was set after the turn had looked for it."""
    held = Held(service)
    job = service.submit('&(executable="/bin/true")(inputfiles=("later" ""))')
    await until(lambda: service.busy(job))
    await until(held.reached.is_set)
    service.mark(job, Mark.CANCEL)
    held.go()

    await service.reaches(job, "FINISHED")


async def test_many_wake_ups_are_one_turn(service: GridService) -> None:
    job = service.make()
    for _ in range(100):
        service.manager.look(job)
    assert 1 == service.manager.tracking.queued
    await service.runs(job)


async def test_a_request_about_a_job_that_is_no_more_is_thrown_away(service: GridService) -> None:
    """Else each scan would meet it again."""
    job = new_job_id()
    service.mark(job, Mark.CANCEL)

    await until(lambda: not service.store.has_mark(job, Mark.CANCEL))
    assert {} == service.manager.counts


# --- documents --------------------------------------------------------------------------------------------------------


def document(service: GridService, job: JobId) -> str:
    return codec.decode(service.store.read(job, "xml") or b"")


async def test_the_owner_sees_the_phase_of_a_job_in_its_batch_system(service: GridService) -> None:
    job = service.submit()

    await until(lambda: "nordugrid:INLRMS:R<" in document(service, job), lambda: service.tell(job))


async def test_a_phase_that_comes_during_a_turn_is_shown_after_it(
    service: GridService, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = service.submit()
    await service.runs(job)
    await until(lambda: "INLRMS:R<" in document(service, job))
    go = threading.Event()

    def slowly(context: JobContext) -> Resting:
        assert go.wait(20)
        return machine.drive(context)

    monkeypatch.setattr(worker, "drive", slowly)
    service.manager.look(job)
    await until(lambda: service.busy(job))
    service.manager.reported(job, Report(phase=Phase.SUSPENDED))
    for _ in range(50):
        await asyncio.sleep(0)
    assert "INLRMS:R<" in document(service, job)
    go.set()

    await until(lambda: "INLRMS:S<" in document(service, job))


async def test_an_old_document_never_follows_a_newer_one(service: GridService, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job ends while its phase is being written: its end is what stands there."""
    job = service.submit()
    await service.runs(job)
    writing, go = threading.Event(), threading.Event()
    publish = activity.publish

    def slowly(context: JobContext) -> None:
        if context.job.state is State.INLRMS:
            writing.set()
            assert go.wait(20)
        publish(context)

    monkeypatch.setattr(activity, "publish", slowly)
    service.manager.reported(job, Report(phase=Phase.SUSPENDED))
    await until(writing.is_set)
    service.end(job)
    await until(lambda: service.woken_again(job) or service.state(job) == "FINISHED")
    go.set()
    await service.reaches(job, "FINISHED")
    await until(lambda: service.manager.tracking.get(job) is None)

    assert "nordugrid:FINISHED" in document(service, job)


# --- n1 ---------------------------------------------------------------------------------------------------------------


async def test_newcomers_come_in_in_their_order(tmp_path: Path) -> None:
    async with grid_service(tmp_path, MaxJobs(tracked=1)) as service:
        jobs = []
        for _ in range(4):
            jobs.append(service.submit())
            await until(lambda: len(jobs) == len(service.manager.jobs) + service.manager.waiting_outside)
        for number, job in enumerate(jobs):
            await service.runs(job)
            assert jobs[number + 1 :] == _outside(service)
            service.manager.look(jobs[-1])  # who rings again does not overtake
            service.end(job)
            await service.reaches(job, "FINISHED")


async def test_no_more_jobs_are_let_in_than_allowed_however_they_are_noticed(tmp_path: Path) -> None:
    async with grid_service(tmp_path, MaxJobs(tracked=2)) as service:
        jobs = [service.make() for _ in range(10)]
        for job in jobs:
            service.manager.look(job)
            await asyncio.sleep(0)
        service.manager.rescan()
        await until(lambda: len(service.cluster.taken) == 2 and service.manager.waiting_outside == 8)

        assert 2 == sum(service.store.exists(job, "errors") for job in jobs)


async def test_a_known_job_whose_turn_comes_takes_no_place_of_a_new_one(tmp_path: Path) -> None:
    """Else a newcomer would wait for the next scan although there is room."""
    async with grid_service(tmp_path, MaxJobs(tracked=2)) as service:
        first = service.submit()
        await service.runs(first)
        service.manager.look(first)
        second = service.submit()

        await service.runs(second)


async def test_what_is_finished_is_cleaned_and_restarted_although_no_new_job_fits(tmp_path: Path) -> None:
    async with grid_service(tmp_path, MaxJobs(tracked=1)) as service:
        old, again = await _finished(service), service.submit('&(executable="/bin/true")(rerun="1")')
        await service.runs(again)
        service.end(again, 3)
        await service.reaches(again, "FINISHED")
        running = service.submit()
        await service.runs(running)
        newcomer = service.submit()
        service.mark(old, Mark.CLEAN)
        service.mark(again, Mark.RESTART)

        await until(lambda: not any(old in path.name for path in everything_below(tmp_path)))
        await until(lambda: len(service.cluster.taken) == 4)
        await until(lambda: [newcomer] == _outside(service), lambda: service.tell(newcomer))
        assert len(service.cluster.taken) == 4


async def test_a_cancelled_job_makes_room_at_once(tmp_path: Path) -> None:
    """CANCELING is not counted, as in ARC."""
    async with grid_service(tmp_path, MaxJobs(tracked=1)) as service:
        first = service.submit()
        localid = await service.runs(first)
        second = service.submit()
        await until(lambda: service.manager.waiting_outside == 1)
        service.cluster.cancel_refusals[localid] = "not now"
        service.mark(first, Mark.CANCEL)

        await service.reaches(first, "CANCELING")
        await service.runs(second)


async def test_a_newcomer_that_was_withdrawn_is_forgotten(tmp_path: Path) -> None:
    async with grid_service(tmp_path, MaxJobs(tracked=1)) as service:
        await service.runs(service.submit())
        job = service.submit()
        await until(lambda: service.manager.waiting_outside == 1)
        Path(service.store.layout.status_file(Place.ACCEPTING, job)).unlink()
        service.manager.rescan()

        await until(lambda: service.manager.waiting_outside == 0)


async def test_more_room_after_a_change_is_used_by_the_next_scan(tmp_path: Path) -> None:
    async with grid_service(tmp_path, MaxJobs(tracked=1)) as service:
        jobs = [service.submit() for _ in range(3)]
        await until(lambda: service.manager.waiting_outside == 2)
        service.limits.change(MaxJobs())
        service.manager.rescan()

        for job in jobs:
            await service.runs(job)
        assert 0 == service.manager.waiting_outside


# --- n3 ---------------------------------------------------------------------------------------------------------------


async def test_jobs_found_at_work_count_for_their_owner(tmp_path: Path) -> None:
    async with grid_service(tmp_path, MaxJobs(per_owner=1)) as service:
        first = service.make(local=JobLocal(globalid="x", subject="/CN=me", lrms="fake", localid=None))
        service.store.put_entries(first, "input", [])
        service.store.put_status(first, Status(State.PREPARING), Place.ACCEPTING)
        service.manager.look(first)
        await service.runs(first)
        second = service.submit()
        await service.reaches(second, "PENDING:ACCEPTED")
        service.end(first)

        await service.runs(second)


async def test_a_job_cancelled_in_the_line_of_its_owner_lets_the_next_one_pass(tmp_path: Path) -> None:
    async with grid_service(tmp_path, MaxJobs(per_owner=1)) as service:
        first = service.submit()
        await service.runs(first)
        second = service.submit()
        await service.reaches(second, "PENDING:ACCEPTED")
        third = service.submit()
        await service.reaches(third, "PENDING:ACCEPTED")
        service.mark(second, Mark.CANCEL)
        await service.reaches(second, "FINISHED")
        service.end(first)

        await service.runs(third)


class Stuck(UnusedStager):
    """A stager that never comes to an end."""

    async def stage_out(self, staging: Staging) -> Staged:
        await asyncio.Event().wait()
        raise AssertionError(staging)


async def test_a_job_cancelled_while_waiting_with_slow_outputs_does_not_delay_others(tmp_path: Path) -> None:
    """It counts as one of its owner's, and is not at the head of a line that it has left."""
    async with grid_service(tmp_path, MaxJobs(per_owner=2), Stuck()) as service:
        first, second = service.submit(), service.submit()
        await service.runs(first)
        await service.runs(second)
        given_up = service.submit('&(executable="/bin/true")(outputfiles=("x" "http://host;preserve=yes/x"))')
        await service.reaches(given_up, "PENDING:ACCEPTED")
        last = service.submit()
        await service.reaches(last, "PENDING:ACCEPTED")
        service.mark(given_up, Mark.CANCEL)
        await service.reaches(given_up, "FINISHING")
        for job in (first, second):
            service.end(job)
            await service.reaches(job, "FINISHED")

        await service.runs(last)
        assert "FINISHING" == service.state(given_up)
