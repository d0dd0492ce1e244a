"""Whose turn it is: nothing that happens during a turn is lost, and nobody stands where others should pass."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from arex.config.values import MaxJobs
from arex.controldir import codec
from arex.controldir.layout import Mark, Place
from arex.gm import activity
from arex.gm.case import Case
from arex.jobdesc import JobDescription
from arex.model.ids import JobId, new_job_id
from arex.model.local import JobLocal
from arex.model.report import Phase, Report
from arex.model.state import State, Status
from arex.ports import Staged, Staging
from tests.fakes.staging import UnusedStager
from tests.unit.arex.gm.house import House, housed, until


@pytest.fixture(autouse=True)
def detector() -> None:
    """These tests look into control files themselves, on the loop, through our own functions: that blocks."""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with housed(tmp_path) as house:
        yield house


async def _finished(house: House) -> JobId:
    job = house.submit()
    await house.runs(job)
    house.end(job)
    await house.reaches(job, "FINISHED")
    await until(lambda: job not in house.manager._jobs and job not in house.manager._busy)
    return job


def _outside(house: House) -> list[JobId]:
    return list(house.manager._newcomers)


class Held:
    """A description that is not read before a test says so: the turn of its job lasts as long."""

    def __init__(self, house: House) -> None:
        self._go = threading.Event()
        self._house = house
        self._describe = house.world.describe
        house.world.describe = self._read

    def _read(self, data: bytes) -> JobDescription:
        assert self._go.wait(20)
        return self._describe(data)

    def go(self) -> None:
        self._go.set()


# --- wake-ups ---------------------------------------------------------------------------------------------------------


async def test_a_wake_up_during_a_turn_is_another_turn(house: House) -> None:
    """The mark was set after the turn had looked for it."""
    held = Held(house)
    job = house.submit('&(executable="/bin/true")(inputfiles=("later" ""))')
    await until(lambda: job in house.manager._busy)
    await until(lambda: b"ACCEPTED" in (house.store.read(job, "errors") or b""))
    house.mark(job, Mark.CANCEL)
    held.go()

    await house.reaches(job, "FINISHED")


async def test_many_wake_ups_are_one_turn(house: House) -> None:
    job = house.make()
    for _ in range(100):
        house.manager.look(job)
    assert 1 == house.manager._ready.qsize()
    await house.runs(job)


async def test_a_request_about_a_job_that_is_no_more_is_thrown_away(house: House) -> None:
    """Else each scan would meet it again."""
    job = new_job_id()
    house.mark(job, Mark.CANCEL)

    await until(lambda: not house.store.has_mark(job, Mark.CANCEL))
    assert {} == house.manager.counts


# --- documents --------------------------------------------------------------------------------------------------------


def document(house: House, job: JobId) -> str:
    return codec.decode(house.store.read(job, "xml") or b"")


async def test_the_owner_sees_the_phase_of_a_job_in_its_batch_system(house: House) -> None:
    job = house.submit()

    await until(lambda: "nordugrid:INLRMS:R<" in document(house, job), lambda: house.tell(job))


async def test_a_phase_that_comes_during_a_turn_is_shown_after_it(house: House) -> None:
    job = house.submit()
    await house.runs(job)
    await until(lambda: "INLRMS:R<" in document(house, job))
    house.manager._busy.add(job)
    house.manager.reported(job, Report(phase=Phase.SUSPENDED))
    for _ in range(50):
        await asyncio.sleep(0)
    assert "INLRMS:R<" in document(house, job)
    house.manager._busy.discard(job)
    house.manager._released(job)

    await until(lambda: "INLRMS:S<" in document(house, job))


async def test_an_old_document_never_follows_a_newer_one(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job ends while its phase is being written: its end is what stands there."""
    job = house.submit()
    await house.runs(job)
    writing, go = threading.Event(), threading.Event()
    publish = activity.publish

    def slowly(case: Case) -> None:
        if case.job.state is State.INLRMS:
            writing.set()
            assert go.wait(20)
        publish(case)

    monkeypatch.setattr(activity, "publish", slowly)
    house.manager.reported(job, Report(phase=Phase.SUSPENDED))
    await until(writing.is_set)
    house.end(job)
    await until(lambda: job in house.manager._again or house.state(job) == "FINISHED")
    go.set()
    await house.reaches(job, "FINISHED")
    await until(lambda: house.manager.counts == {} and not house.manager._shown)

    assert "nordugrid:FINISHED" in document(house, job)


# --- n1 ---------------------------------------------------------------------------------------------------------------


async def test_newcomers_come_in_in_their_order(tmp_path: Path) -> None:
    async with housed(tmp_path, MaxJobs(tracked=1)) as house:
        jobs = []
        for _ in range(4):
            jobs.append(house.submit())
            await until(lambda: len(jobs) == len(house.manager._jobs) + house.manager.waiting_outside)
        for number, job in enumerate(jobs):
            await house.runs(job)
            assert jobs[number + 1 :] == _outside(house)
            house.manager.look(jobs[-1])  # who rings again does not overtake
            house.end(job)
            await house.reaches(job, "FINISHED")


async def test_no_more_jobs_are_let_in_than_allowed_however_they_are_noticed(tmp_path: Path) -> None:
    async with housed(tmp_path, MaxJobs(tracked=2)) as house:
        jobs = [house.make() for _ in range(10)]
        for job in jobs:
            house.manager.look(job)
            await asyncio.sleep(0)
        house.manager.rescan()
        await until(lambda: len(house.cluster.taken) == 2 and house.manager.waiting_outside == 8)

        assert 2 == sum(house.store.exists(job, "errors") for job in jobs)


async def test_a_known_job_whose_turn_comes_takes_no_place_of_a_new_one(tmp_path: Path) -> None:
    """Else a newcomer would wait for the next scan although there is room."""
    async with housed(tmp_path, MaxJobs(tracked=2)) as house:
        first = house.submit()
        await house.runs(first)
        house.manager.look(first)
        second = house.submit()

        await house.runs(second)


async def test_what_is_finished_is_cleaned_and_restarted_although_no_new_job_fits(tmp_path: Path) -> None:
    async with housed(tmp_path, MaxJobs(tracked=1)) as house:
        old, again = await _finished(house), house.submit('&(executable="/bin/true")(rerun="1")')
        await house.runs(again)
        house.end(again, 3)
        await house.reaches(again, "FINISHED")
        running = house.submit()
        await house.runs(running)
        newcomer = house.submit()
        house.mark(old, Mark.CLEAN)
        house.mark(again, Mark.RESTART)

        await until(lambda: not any(old in path.name for path in tmp_path.rglob("*")))
        await until(lambda: len(house.cluster.taken) == 4)
        assert [newcomer] == _outside(house)


async def test_a_cancelled_job_makes_room_at_once(tmp_path: Path) -> None:
    """CANCELING is not counted, as in ARC."""
    async with housed(tmp_path, MaxJobs(tracked=1)) as house:
        first = house.submit()
        localid = await house.runs(first)
        second = house.submit()
        await until(lambda: house.manager.waiting_outside == 1)
        house.cluster.cancel_refusals[localid] = "not now"
        house.mark(first, Mark.CANCEL)

        await house.reaches(first, "CANCELING")
        await house.runs(second)


async def test_a_newcomer_that_was_withdrawn_is_forgotten(tmp_path: Path) -> None:
    async with housed(tmp_path, MaxJobs(tracked=1)) as house:
        await house.runs(house.submit())
        job = house.submit()
        await until(lambda: house.manager.waiting_outside == 1)
        Path(house.store.layout.status_file(Place.ACCEPTING, job)).unlink()
        house.manager.rescan()

        await until(lambda: house.manager.waiting_outside == 0)


async def test_more_room_after_a_change_is_used_by_the_next_scan(tmp_path: Path) -> None:
    async with housed(tmp_path, MaxJobs(tracked=1)) as house:
        jobs = [house.submit() for _ in range(3)]
        await until(lambda: house.manager.waiting_outside == 2)
        house.limits.change(MaxJobs())
        house.manager.rescan()

        for job in jobs:
            await house.runs(job)
        assert 0 == house.manager.waiting_outside


# --- n3 ---------------------------------------------------------------------------------------------------------------


async def test_jobs_found_at_work_count_for_their_owner(tmp_path: Path) -> None:
    async with housed(tmp_path, MaxJobs(per_owner=1)) as house:
        first = house.make(local=JobLocal(globalid="x", subject="/CN=me", lrms="fake", localid=None))
        house.store.put_entries(first, "input", [])
        house.store.put_status(first, Status(State.PREPARING), Place.ACCEPTING)
        house.manager.look(first)
        await house.runs(first)
        second = house.submit()
        await house.reaches(second, "PENDING:ACCEPTED")
        house.end(first)

        await house.runs(second)


async def test_a_job_cancelled_in_the_line_of_its_owner_lets_the_next_one_pass(tmp_path: Path) -> None:
    async with housed(tmp_path, MaxJobs(per_owner=1)) as house:
        first = house.submit()
        await house.runs(first)
        second = house.submit()
        await house.reaches(second, "PENDING:ACCEPTED")
        third = house.submit()
        await house.reaches(third, "PENDING:ACCEPTED")
        house.mark(second, Mark.CANCEL)
        await house.reaches(second, "FINISHED")
        house.end(first)

        await house.runs(third)


class Stuck(UnusedStager):
    """A stager that never comes to an end."""

    async def stage_out(self, staging: Staging) -> Staged:
        await asyncio.Event().wait()
        raise AssertionError(staging)


async def test_a_job_cancelled_in_line_whose_outputs_take_long_holds_up_nobody(tmp_path: Path) -> None:
    """It counts as one of its owner's, and is not at the head of a line that it has left."""
    async with housed(tmp_path, MaxJobs(per_owner=2), Stuck()) as house:
        first, second = house.submit(), house.submit()
        await house.runs(first)
        await house.runs(second)
        given_up = house.submit('&(executable="/bin/true")(outputfiles=("x" "http://host;preserve=yes/x"))')
        await house.reaches(given_up, "PENDING:ACCEPTED")
        last = house.submit()
        await house.reaches(last, "PENDING:ACCEPTED")
        house.mark(given_up, Mark.CANCEL)
        await house.reaches(given_up, "FINISHING")
        for job in (first, second):
            house.end(job)
            await house.reaches(job, "FINISHED")

        await house.runs(last)
        assert "FINISHING" == house.state(given_up)
