"""When finished jobs are looked at again."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from arex.controldir.delegations import store_directory
from arex.controldir.layout import Place
from arex.gm.cleanup import Leftovers, Lifetimes, sweep_temporary
from arex.model.ids import JobId, new_job_id
from arex.model.local import JobLocal
from arex.model.state import State, Status
from tests.fakes.clock import FakeClock
from tests.processes import NO_PROCESS
from tests.unit.arex.gm.service import advance_until, make_services, until

DAY = timedelta(days=1)


class EndedJobs:
    """A control directory of finished jobs, and what was woken of them."""

    def __init__(self, root: Path) -> None:
        self.clock = FakeClock()
        services = make_services(root, clock=self.clock, ttr=30 * DAY)
        self.store = services.store
        self.woken: list[JobId] = []
        self.woken_at: dict[JobId, datetime] = {}
        self.lifetimes = Lifetimes(services, self._look)
        self.start = self.clock.now()
        self.task: asyncio.Task[None] | None = None

    async def begin(self, *jobs: tuple[str, timedelta | None, State]) -> None:
        """With these jobs in place; the first of them are known."""
        for job in jobs:
            await asyncio.to_thread(self.bury, *job)
        self.task = asyncio.create_task(self.lifetimes.run())
        await until(lambda: self.clock.sleeping)

    def _look(self, job: JobId) -> None:
        self.woken.append(job)
        self.woken_at[job] = self.clock.now()

    def bury(self, name: str, due: timedelta | None, state: State = State.FINISHED) -> JobId:
        job = JobId(name)
        when = None if due is None else self.start + due
        self.store.put_local(job, JobLocal(globalid=name, cleanuptime=when))
        self.store.put_status(job, Status(state), None)
        return job

    async def notices(self, caplog: pytest.LogCaptureFixture) -> None:
        """The clock that was set: while a thread lists jobs, that takes as long as the thread needs."""
        self.clock.advance(timedelta(seconds=10))
        await until(lambda: "no results are removed during the next hour" in caplog.text)

    async def pass_by(self, time: timedelta, steps: int = 10) -> None:
        """Each step gives everybody a turn, but a walk in a thread may need more time than there is."""
        for _ in range(steps):
            self.clock.advance(time / steps)
            for _ in range(3):
                await asyncio.to_thread(int)
                await asyncio.sleep(0)


@pytest.fixture
async def ended(tmp_path: Path) -> AsyncIterator[EndedJobs]:
    ended = await asyncio.to_thread(EndedJobs, tmp_path)
    yield ended
    assert ended.task is not None
    assert not ended.task.done(), ended.task
    ended.task.cancel()
    await asyncio.gather(ended.task, return_exceptions=True)


async def test_jobs_found_on_disk_are_woken_in_the_order_of_their_time(ended: EndedJobs) -> None:
    jobs = [(name, timedelta(hours=hour), State.FINISHED) for name, hour in (("late", 3), ("soon", 1), ("mid", 2))]
    await ended.begin(*jobs)
    await ended.pass_by(timedelta(minutes=50))
    assert [] == ended.woken
    await ended.pass_by(timedelta(hours=3), steps=40)

    await until(lambda: len(ended.woken) == 3)
    assert ["soon", "mid", "late"] == ended.woken


async def test_a_job_is_woken_within_seconds_of_its_time(ended: EndedJobs) -> None:
    await ended.begin(("one", timedelta(minutes=5), State.FINISHED))
    await ended.pass_by(timedelta(minutes=6), steps=360)

    assert ended.woken_at[JobId("one")] - ended.start - timedelta(minutes=5) < timedelta(seconds=15)


async def test_a_deleted_job_is_remembered_for_longer(ended: EndedJobs) -> None:
    await ended.begin(("trace", timedelta(), State.DELETED), ("body", timedelta(), State.FINISHED))
    await until(lambda: ended.woken)
    await ended.pass_by(29 * DAY, steps=30)
    assert "trace" not in ended.woken
    await ended.pass_by(2 * DAY, steps=20)

    await until(lambda: "trace" in ended.woken)


async def test_a_job_that_finishes_while_we_run_needs_no_walk(ended: EndedJobs) -> None:
    await ended.begin()
    await ended.pass_by(timedelta(minutes=1))
    ended.lifetimes.note(JobId("new"), State.FINISHED, JobLocal(cleanuptime=ended.start + timedelta(minutes=10)))
    await ended.pass_by(timedelta(minutes=15), steps=30)

    assert ["new"] == ended.woken


async def test_a_job_that_finishes_during_a_walk_is_not_forgotten(
    ended: EndedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = ended.lifetimes._names
    listed, go = threading.Event(), threading.Event()

    def slow() -> list[JobId]:
        found = walk()
        listed.set()
        assert go.wait(30)
        return found

    monkeypatch.setattr(ended.lifetimes, "_names", slow)
    ended.task = asyncio.create_task(ended.lifetimes.run())
    assert await asyncio.to_thread(listed.wait, 30)
    ended.lifetimes.note(JobId("new"), State.FINISHED, JobLocal(cleanuptime=ended.start + timedelta(minutes=10)))
    go.set()
    await until(lambda: ended.clock.sleeping)
    await ended.pass_by(timedelta(minutes=15), steps=30)

    assert ["new"] == ended.woken


async def test_a_finished_job_of_another_daemon_is_found_by_the_next_walk(
    ended: EndedJobs,
) -> None:
    await ended.begin()
    await ended.pass_by(timedelta(minutes=1))
    await asyncio.to_thread(ended.bury, "foreign", timedelta(hours=1), State.FINISHED)
    await ended.pass_by(timedelta(hours=7), steps=60)

    await until(lambda: "foreign" in ended.woken)


async def test_a_job_that_was_cleaned_meanwhile_is_forgotten_by_the_next_walk(ended: EndedJobs) -> None:
    await ended.begin(("gone", DAY, State.FINISHED))
    await ended.pass_by(timedelta(minutes=1))
    await asyncio.to_thread(os.unlink, ended.store.layout.status_file(Place.FINISHED, JobId("gone")))
    await ended.pass_by(2 * DAY, steps=60)

    await until(lambda: 0 == ended.lifetimes.known)
    assert [] == ended.woken


async def test_a_job_that_cannot_be_parsed_is_kept_and_does_not_delay_others(
    ended: EndedJobs, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(ended.bury, "bad", timedelta(), State.FINISHED)
    local = Path(ended.store.layout.job_file(JobId("bad"), "local"))
    local.unlink()
    local.mkdir()
    await ended.begin(("good", timedelta(), State.FINISHED))
    await until(lambda: "good" in ended.woken)
    await ended.pass_by(timedelta(hours=7), steps=30)

    assert "bad" not in ended.woken
    assert "cannot parse the files of a finished job; arex keeps the job" in caplog.text


async def test_many_old_jobs_are_read_a_few_at_a_time(ended: EndedJobs) -> None:
    """A hundred thousand of them must not keep the service from its work."""
    await ended.begin(*((f"j{number}", DAY, State.FINISHED) for number in range(40)))
    assert 8 == ended.lifetimes.known
    for expected in (16, 24, 32, 40):
        ended.clock.advance(timedelta(seconds=1))
        await until(lambda: ended.lifetimes.known == expected)  # noqa: B023 - awaited at once


# --- a clock that is set ----------------------------------------------------------------------------------------------


async def test_no_results_are_removed_during_an_hour_after_the_clock_was_set(
    ended: EndedJobs, caplog: pytest.LogCaptureFixture
) -> None:
    """It goes ten years forward for a moment, as happens when a host has no battery."""
    await ended.begin(("a", 2 * DAY, State.FINISHED))
    assert 1 == ended.lifetimes.known
    ended.clock.set_by(3650 * DAY)
    await ended.notices(caplog)
    ended.clock.set_by(-3650 * DAY)
    await ended.pass_by(timedelta(minutes=90))
    assert [] == ended.woken

    await ended.pass_by(3 * DAY, steps=400)
    assert ["a"] == ended.woken


async def test_after_that_hour_a_clock_that_is_right_now_counts(
    ended: EndedJobs, caplog: pytest.LogCaptureFixture
) -> None:
    await ended.begin(("a", DAY, State.FINISHED))
    assert 1 == ended.lifetimes.known
    ended.clock.set_by(2 * DAY)
    await ended.notices(caplog)
    await ended.pass_by(timedelta(minutes=50), steps=100)
    assert [] == ended.woken
    await ended.pass_by(timedelta(minutes=20), steps=100)

    assert ["a"] == ended.woken


# --- what a real A-REX leaves -----------------------------------------------------------------------------------------


def test_what_a_real_a_rex_leaves_beside_a_session_directory_is_removed_after_a_day(tmp_path: Path) -> None:
    ended = EndedJobs(tmp_path)
    root = tmp_path / "session"
    live, gone, known = new_job_id(), new_job_id(), new_job_id()
    for job in (live, gone, known):
        (root / f"{job}.lrms" / f"{job}-1").mkdir(parents=True)
        (root / f"{job}.staging").mkdir()
    (root / "notes.lrms.txt").mkdir()
    (root / live).mkdir()
    ended.bury(known, None)
    leftovers = Leftovers(ended.store, [root], ended.clock)
    asyncio.run(leftovers.round())
    assert 7 + 1 == len(os.listdir(root)), "not at once: a client may be making the job"

    long_ago = ended.clock.now().timestamp() - 2 * 86400
    for path in root.iterdir():
        os.utime(path, (long_ago, long_ago))
    asyncio.run(leftovers.round())
    assert sorted([live, f"{live}.lrms", f"{live}.staging", f"{known}.lrms", f"{known}.staging", "notes.lrms.txt"]) == (
        sorted(os.listdir(root))
    )


# --- what killed processes leave --------------------------------------------------------------------------------------


def _left_by_a_killed_process(controldir: Path) -> list[Path]:
    tail = f".~{NO_PROCESS}.1.{os.uname().nodename}"
    directories = (".", "accepting", "jobs/abc/def", f"{store_directory(controldir).name}/1a2")
    return [controldir / directory / f"local{tail}" for directory in directories]


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


async def test_temporary_files_of_killed_processes_are_removed_at_start_and_periodically(tmp_path: Path) -> None:
    ended = await asyncio.to_thread(EndedJobs, tmp_path)
    left = await asyncio.to_thread(_left_by_a_killed_process, ended.store.root)
    session = tmp_path / "ctl" / "session" / left[0].name
    _touch(*left, session)
    sweeping = asyncio.create_task(sweep_temporary(ended.store, ended.clock, 180.0))
    await until(lambda: ended.clock.sleeping)
    assert not any(path.exists() for path in left)
    _touch(*left)
    ended.clock.advance(timedelta(seconds=180))
    await until(lambda: not any(path.exists() for path in left))

    assert session.exists(), "the file of a job, in a session directory below the control directory"
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)


async def test_a_control_directory_that_cannot_be_read_is_swept_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ended = await asyncio.to_thread(EndedJobs, tmp_path)
    (tmp_path / "ctl" / "accepting").rmdir()
    sweeping = asyncio.create_task(sweep_temporary(ended.store, ended.clock, 180.0))
    await until(lambda: "cannot sweep the control directory" in caplog.text)
    [path, *_] = await asyncio.to_thread(_left_by_a_killed_process, ended.store.root)
    (tmp_path / "ctl" / "accepting").mkdir()
    path.touch()

    await advance_until(ended.clock, lambda: not path.exists(), timedelta(seconds=60))
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)
