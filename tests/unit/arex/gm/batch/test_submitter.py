"""Handing over: bursts are gathered, a limit parks one queue, and what is unsure is looked up by itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from arex.errors import SubmitLimited, SubmitRejected
from arex.gm.batch.health import Health
from arex.gm.batch.polling import PollingPolicy
from arex.gm.batch.submitter import Submitter
from arex.gm.steps import Answer, AskSubmit, SubmitRefused, SubmitTaken
from arex.model.grami import Grami
from arex.model.ids import JobId, LocalId, Tag
from arex.ports import Submission
from tests.fakes.batch import FakeBackend, FakeCluster
from tests.fakes.clock import FakeClock
from tests.unit.arex.gm.service import until


class Counting(FakeBackend):
    """Remembers how many jobs came in each call."""

    def __init__(self, cluster: FakeCluster) -> None:
        super().__init__(cluster)
        self.sizes: list[int] = []

    async def submit(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId | SubmitRejected | SubmitLimited]:
        self.sizes.append(len(batch))
        return await super().submit(batch)


class Stage:
    def __init__(self, pace: PollingPolicy) -> None:
        self.cluster, self.clock = FakeCluster(), FakeClock()
        self.backend = Counting(self.cluster)
        self.health = Health("fake", self.clock)
        self.answers: dict[JobId, Answer] = {}
        self.submitter = Submitter(self.backend, self.clock, pace, self.health, self.answers.__setitem__)

    def submit(self, name: str, queue: str = "") -> Tag:
        session = Path("/session") / name
        grami = Grami(gridid=JobId(name), directory=session, controldir=Path("/ctl"), args=("/bin/true",), queue=queue)
        tag = Tag(f"{name}-1")
        submission = Submission(job=JobId(name), tag=tag, grami=grami, rundir=session / "run")
        self.submitter.put(AskSubmit("fake", submission, sure=True))
        return tag

    async def pass_by(self, seconds: float) -> None:
        for _ in range(20):
            self.clock.advance(timedelta(seconds=seconds / 20))
            for _ in range(20):
                await asyncio.sleep(0)

    async def taken(self, count: int) -> None:
        await until(lambda: len(self.answers) >= count, lambda: (count, self.answers))


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage(PollingPolicy(gather_s=1.0, batch=100))
    task = asyncio.create_task(stage.submitter.run())
    yield stage
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_job_that_comes_alone_goes_at_once(stage: Stage) -> None:
    stage.submit("A")

    await stage.taken(1)
    assert [1] == stage.backend.sizes


async def test_a_burst_goes_together(stage: Stage) -> None:
    for number in range(40):
        stage.submit(f"job{number}")
    await stage.pass_by(2)

    await stage.taken(40)
    assert [40] == stage.backend.sizes


async def test_no_call_is_larger_than_allowed(stage: Stage) -> None:
    for number in range(250):
        stage.submit(f"job{number}")
    await stage.pass_by(5)

    await stage.taken(250)
    assert [100, 100, 50] == stage.backend.sizes


async def test_a_limit_parks_its_queue_and_the_other_goes_on(stage: Stage) -> None:
    stage.cluster.limits["full"] = "QOSMaxSubmitJobPerUserLimit"
    for number in range(30):
        stage.submit(f"blocked{number}", "full")
    await stage.pass_by(2)
    for number in range(30):
        stage.submit(f"free{number}", "open")
    await stage.pass_by(2)

    await stage.taken(30)
    assert {"free"} == {job[:4] for job in stage.answers}
    assert "queue full paused since" in stage.health.summary()
    assert "QOSMaxSubmitJobPerUserLimit" in stage.health.summary()


async def test_a_parked_queue_is_tried_less_and_less_often_and_loses_nothing(stage: Stage) -> None:
    stage.cluster.limits["full"] = "no more"
    tag = stage.submit("A", "full")
    await stage.pass_by(120)
    tries = stage.cluster.calls["submit", tag]
    assert 3 <= tries <= 8

    del stage.cluster.limits["full"]
    await stage.pass_by(61)

    await stage.taken(1)
    assert isinstance(stage.answers[JobId("A")], SubmitTaken)
    assert "ok" == stage.health.summary()


async def test_one_unsure_job_does_not_delay_others(stage: Stage) -> None:
    """It is looked up in a while; those that come after it are handed over meanwhile."""
    stage.cluster.lost_answers = 1
    stage.cluster.invisible_for = 3
    stage.submit("A")
    await until(lambda: stage.submitter.unsure)
    for number in range(5):
        stage.submit(f"after{number}")
    await stage.pass_by(0.9)

    await stage.taken(5)
    assert {JobId("A")} == stage.submitter.unsure
    await stage.pass_by(30)
    await stage.taken(6)
    assert Counter(stage.cluster.runs.values()) == {1: 6}


async def test_queues_take_turns(stage: Stage) -> None:
    """One with two hundred jobs before it lets one with ten through in the first call."""
    for number in range(200):
        stage.submit(f"many{number}", "a")
    for number in range(10):
        stage.submit(f"few{number}", "b")
    await until(lambda: stage.backend.sizes, lambda: stage.answers)
    await until(lambda: len(stage.answers) >= 100)

    first = list(stage.answers)[:100]
    assert 10 == sum(job.startswith("few") for job in first)


async def test_a_refusal_opens_no_queue_and_is_told(stage: Stage) -> None:
    tag = Tag("A-1")
    stage.cluster.refusals[tag] = "invalid partition"
    stage.submit("A")

    await stage.taken(1)
    assert SubmitRefused("invalid partition") == stage.answers[JobId("A")]


async def test_an_outage_is_told_with_its_time_and_everybody_waits(stage: Stage) -> None:
    stage.cluster.outage = "no route to host"
    stage.submit("A")
    await until(lambda: stage.health.down_since)
    assert "down since 20" in stage.health.summary()

    stage.cluster.outage = ""
    await stage.pass_by(5)
    await stage.taken(1)
    assert "ok" == stage.health.summary()


def test_a_submission_tells_its_queue() -> None:
    grami = Grami(gridid=JobId("A"), directory=Path("/s/A"), controldir=Path("/c"), args=("x",), queue="short")
    submission = Submission(job=JobId("A"), tag=Tag("A-1"), grami=grami, rundir=Path("/s/A.lrms/A-1"))

    assert "short" == submission.queue
    assert "" == replace(submission, grami=replace(grami, queue="")).queue
