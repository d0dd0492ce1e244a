"""When finished jobs are looked at again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from arex.config.values import MaxJobs
from arex.controldir.layout import FlatLayout, Place
from arex.controldir.store import ControlDir
from arex.gm.cleanup import Lifetimes
from arex.gm.context import Services, Settings
from arex.gm.limits import Limits
from arex.jobdesc.model import JobDescription
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.state import State, Status
from tests.fakes.clock import FakeClock
from tests.unit.arex.gm.service import until

DAY = timedelta(days=1)


class EndedJobs:
    """A control directory of finished jobs, and what was woken of them."""

    def __init__(self, root: Path) -> None:
        self.store = ControlDir(FlatLayout(root / "ctl"))
        self.store.prepare("me")
        self.clock = FakeClock()
        self.woken: list[JobId] = []
        self.woken_at: dict[JobId, datetime] = {}
        services = Services(
            store=self.store,
            settings=Settings(sessiondirs=(root / "session",), lrms="fake", queue="q", ttr=30 * DAY),
            limits=Limits(MaxJobs()),
            clock=self.clock,
            describe=lambda _: JobDescription(),
        )
        self.lifetimes = Lifetimes(services, self._look)
        self.start = self.clock.now()
        self.task: asyncio.Task[None] | None = None

    async def begin(self, *jobs: tuple[str, timedelta | None, State]) -> None:
        """With these jobs in place."""
        for job in jobs:
            await asyncio.to_thread(self.bury, *job)
        self.task = asyncio.create_task(self.lifetimes.run())

    def _look(self, job: JobId) -> None:
        self.woken.append(job)
        self.woken_at[job] = self.clock.now()

    def bury(self, name: str, due: timedelta | None, state: State = State.FINISHED) -> JobId:
        job = JobId(name)
        when = None if due is None else self.start + due
        self.store.put_local(job, JobLocal(globalid=name, cleanuptime=when))
        self.store.put_status(job, Status(state), None)
        return job

    async def pass_by(self, time: timedelta, steps: int = 10) -> None:
        """Each step gives everybody, and the threads that they use, a turn."""
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

    assert [] == ended.woken
    assert 0 == ended.lifetimes.known


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
    await until(lambda: ended.lifetimes.known)
    assert 8 == ended.lifetimes.known
    for expected in (16, 24, 32, 40):
        ended.clock.advance(timedelta(seconds=1))
        await until(lambda: ended.lifetimes.known == expected)  # noqa: B023 - awaited at once
