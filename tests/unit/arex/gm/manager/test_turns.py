"""Turns that take long, end with an exception, or run while staging ends."""

from __future__ import annotations

import asyncio
import errno
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from arex.controldir.layout import Mark, Place
from arex.controldir.store import ControlDir
from arex.gm.context import JobContext
from arex.gm.machine import Resting, drive
from arex.gm.publishing import activity
from arex.gm.turns import worker
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.state import State, Status
from arex.ports import Staged, Staging
from tests.fakes.clock import FakeClock
from tests.fakes.staging import UnusedStager
from tests.unit.arex.gm.service import GridService, grid_service, until

INPUT = '(inputfiles=("in" "http://host/in"))'
OUTPUT = '(outputfiles=("out" "http://host;preserve=yes/out"))'


class Gate:
    """Holds the turns of one job before they begin."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.job: JobId | None = None
        self.reached = threading.Event()
        self.open = threading.Event()
        monkeypatch.setattr(worker, "drive", self._drive)

    def _drive(self, context: JobContext) -> Resting:
        if context.job.id == self.job:
            self.reached.set()
            assert self.open.wait(20)
        return drive(context)


async def retried(service: GridService, job: JobId) -> None:
    """Let the time pass until the job is driven again after an exception."""
    await until(lambda: (record := service.manager.tracking.get(job)) and record.timer, lambda: service.tell(job))
    service.clock.advance(timedelta(minutes=2))


async def test_a_long_turn_holds_up_no_other_job(service: GridService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither those before it in the same thread, whose results are ready, nor those after it."""
    gate = Gate(monkeypatch)
    jobs = [service.make() for _ in range(40)]
    gate.job = jobs[5]
    for job in jobs:
        service.manager.look(job)
    await until(gate.reached.is_set)
    await until(lambda: service.clock.waiting)
    service.clock.advance(timedelta(seconds=1))

    for job in jobs:
        if job != gate.job:
            await service.runs(job)
    assert service.state(gate.job) == "ACCEPTED"
    gate.open.set()
    await service.runs(gate.job)


async def test_a_document_that_could_not_be_written_is_written_by_the_next_turn(
    service: GridService, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = True
    publish = activity.publish

    def on_a_full_disk(context: JobContext) -> None:
        if full and str(context.job.status) == "FINISHED":
            raise OSError(errno.ENOSPC, "No space left on device")
        publish(context)

    monkeypatch.setattr(activity, "publish", on_a_full_disk)
    job = service.submit()
    await service.runs(job)
    service.end(job)
    await service.reaches(job, "FINISHED")
    full = False
    await retried(service, job)

    await until(lambda: b"FINISHED" in (service.store.read(job, "xml") or b""), lambda: service.tell(job))


async def test_a_restart_whose_turn_ended_with_an_exception_is_completed(
    service: GridService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its mark would remain, and run the job once more after it has succeeded."""
    job = service.submit('&(executable="/bin/true")(rerun=2)')
    await service.runs(job)
    service.end(job, 3)
    await service.reaches(job, "FINISHED")
    locked, refused = True, threading.Event()
    put = ControlDir.put_local

    def put_local(self: ControlDir, job: JobId, local: JobLocal) -> None:
        if locked and local.failedstate is None:
            refused.set()
            raise BlockingIOError(errno.EAGAIN, "a client reads the file")
        put(self, job, local)

    monkeypatch.setattr(ControlDir, "put_local", put_local)
    service.mark(job, Mark.RESTART)
    await until(refused.is_set, lambda: service.tell(job))
    assert service.state(job) == "PENDING:PREPARING"
    locked = False
    await retried(service, job)

    await service.runs(job)
    assert not service.store.has_mark(job, Mark.RESTART)
    assert service.store.failure(job) == ""
    assert (service.local(job).failedstate, service.local(job).rerun) == (None, 1)


async def test_a_restart_whose_state_can_not_be_written_keeps_the_failure_until_it_can(
    service: GridService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the job on disk would be one that ended well, and its restart would be lost in a crash."""
    job = service.submit('&(executable="/bin/true")(rerun=2)')
    await service.runs(job)
    service.end(job, 3)
    await service.reaches(job, "FINISHED")
    full, refused = True, threading.Event()
    put = ControlDir.put_status

    def put_status(self: ControlDir, job: JobId, status: Status, at: Place | None) -> Place:
        if full:
            refused.set()
            raise OSError(errno.ENOSPC, "No space left on device")
        return put(self, job, status, at)

    monkeypatch.setattr(ControlDir, "put_status", put_status)
    service.mark(job, Mark.RESTART)
    for turn in (1, 2):
        await until(refused.is_set, lambda: service.tell(job))
        assert service.state(job) == "FINISHED"
        assert "LRMS error: (3)" in service.store.failure(job)
        assert service.local(job).failedstate is State.INLRMS
        assert service.store.has_mark(job, Mark.RESTART)
        refused.clear()
        full = turn == 1
        await retried(service, job)

    await service.runs(job)
    assert not service.store.has_mark(job, Mark.RESTART)
    assert (service.store.failure(job), service.local(job).rerun) == ("", 1)


class Transfers(UnusedStager):
    """Completes a download when a test sets ``arrived``, and an upload at once."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.arrived = asyncio.Event()

    async def stage_in(self, staging: Staging) -> Staged:
        self.calls.append("in")
        await self.arrived.wait()
        (staging.session / "in").touch()
        return Staged(done=True)

    async def stage_out(self, staging: Staging) -> Staged:
        self.calls.append("out")
        return Staged(done=True, moved=staging.files)

    async def cancel(self, job: JobId) -> None:
        del job
        self.calls.append("cancelled")


async def test_a_cancelled_download_ends_and_is_not_taken_for_the_upload(tmp_path: Path) -> None:
    stager = Transfers()
    async with grid_service(tmp_path, stager=stager) as service:
        job = service.submit(f'&(executable="/bin/true"){INPUT}{OUTPUT}')
        await until(lambda: stager.calls == ["in"], lambda: service.tell(job))
        service.mark(job, Mark.CANCEL)

        await service.reaches(job, "FINISHED")
        assert "staging" not in service.store.failure(job)
        assert sorted(stager.calls) == ["cancelled", "in", "out"]


async def test_inputs_that_arrive_during_a_turn_are_not_staged_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stager, gate = Transfers(), Gate(monkeypatch)
    async with grid_service(tmp_path, stager=stager) as service:
        job = service.submit(f'&(executable="/bin/true"){INPUT}')
        await until(lambda: stager.calls == ["in"], lambda: service.tell(job))
        await until(lambda: not service.busy(job))
        gate.job = job
        service.manager.look(job)
        await until(gate.reached.is_set)
        stager.arrived.set()
        await until(lambda: service.woken_again(job))
        gate.open.set()

        await service.runs(job)
        assert stager.calls == ["in"]


async def test_a_turn_that_ends_while_the_manager_stops_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    """Neither another transfer nor an early end of the turns; both would be errors in the log."""
    gate = Gate(monkeypatch)
    async with grid_service(tmp_path, stager=Transfers()) as service:
        gate.job = service.make(f'&(executable="/bin/true"){INPUT}')
        service.manager.look(gate.job)
        await until(gate.reached.is_set)
        asyncio.get_running_loop().call_later(0.1, service.clock.advance, timedelta(seconds=1))
        asyncio.get_running_loop().call_later(0.2, gate.open.set)

    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
    assert [str(each.message) for each in recwarn if "never awaited" in str(each.message)] == []


async def test_turns_that_wait_for_a_thread_are_not_long() -> None:
    """Other workers would wait for a thread, too, and no job would ever have its turn."""
    clock = FakeClock()
    called: list[worker.Turns] = []
    turns = worker.Turns([], clock)
    turns.watch(called.append)
    for _ in range(5):
        clock.advance(timedelta(seconds=1))
    assert called == []

    clock.advance(timedelta(seconds=0.05))
    turns.run()
    clock.advance(timedelta(seconds=0.09))
    assert called == []
    clock.advance(timedelta(seconds=0.02))
    assert called == [turns]
    clock.advance(timedelta(seconds=5))
    turns.unwatch()
    assert called == [turns]


async def test_the_share_of_a_job_shows_the_direction_of_its_transfers_as_a_rex_does(tmp_path: Path) -> None:
    stager = Transfers()
    async with grid_service(tmp_path, stager=stager) as service:
        job = service.submit(f'&(executable="/bin/true"){INPUT}{OUTPUT}')
        await until(lambda: stager.calls == ["in"], lambda: service.tell(job))
        assert "_default-download" == service.local(job).transfershare
        stager.arrived.set()
        await service.runs(job)
        service.end(job)
        await service.reaches(job, "FINISHED")

        assert "_default-upload" == service.local(job).transfershare
