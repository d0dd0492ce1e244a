"""Handing over: bursts are gathered, a limit parks one queue, and what is unsure is looked up by itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from arex.errors import BatchUnavailable
from arex.gm.batch.health import Health
from arex.gm.batch.polling import PollingPolicy
from arex.gm.batch.submitter import Submitter
from arex.gm.steps import Answer, AskSubmit, SubmitRefused, SubmitTaken
from arex.model.grami import Grami
from arex.model.ids import JobId, LocalId, Tag
from arex.ports import Submission, Submitted
from tests.fakes.batch import FakeBackend, FakeCluster
from tests.fakes.clock import FakeClock
from tests.unit.arex.gm.service import until


class Counting(FakeBackend):
    """Remembers how many jobs came in each call."""

    def __init__(self, cluster: FakeCluster) -> None:
        super().__init__(cluster)
        self.sizes: list[int] = []

    async def submit(self, batch: Sequence[Submission]) -> Mapping[Tag, Submitted]:
        self.sizes.append(len(batch))
        return await super().submit(batch)


class Harness:
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
async def harness() -> AsyncIterator[Harness]:
    harness = Harness(PollingPolicy(gather_s=1.0, batch=100))
    task = asyncio.create_task(harness.submitter.run())
    yield harness
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_job_that_comes_alone_goes_at_once(harness: Harness) -> None:
    harness.submit("A")

    await harness.taken(1)
    assert [1] == harness.backend.sizes


async def test_a_burst_goes_together(harness: Harness) -> None:
    for number in range(40):
        harness.submit(f"job{number}")
    await harness.pass_by(2)

    await harness.taken(40)
    assert [40] == harness.backend.sizes


async def test_no_call_is_larger_than_allowed(harness: Harness) -> None:
    for number in range(250):
        harness.submit(f"job{number}")
    await harness.pass_by(5)

    await harness.taken(250)
    assert [100, 100, 50] == harness.backend.sizes


async def test_a_limit_parks_its_queue_and_the_other_goes_on(harness: Harness) -> None:
    harness.cluster.limits["full"] = "QOSMaxSubmitJobPerUserLimit"
    for number in range(30):
        harness.submit(f"blocked{number}", "full")
    await harness.pass_by(2)
    for number in range(30):
        harness.submit(f"free{number}", "open")
    await harness.pass_by(2)

    await harness.taken(30)
    assert {"free"} == {job[:4] for job in harness.answers}
    assert "queue full paused since" in harness.health.summary()
    assert "QOSMaxSubmitJobPerUserLimit" in harness.health.summary()


async def test_a_parked_queue_is_tried_less_and_less_often_and_loses_nothing(harness: Harness) -> None:
    harness.cluster.limits["full"] = "no more"
    tag = harness.submit("A", "full")
    await harness.pass_by(120)
    tries = harness.cluster.calls["submit", tag]
    assert 3 <= tries <= 8

    del harness.cluster.limits["full"]
    await harness.pass_by(61)

    await harness.taken(1)
    assert isinstance(harness.answers[JobId("A")], SubmitTaken)
    assert "ok" == harness.health.summary()


async def test_one_unsure_job_does_not_delay_others(harness: Harness) -> None:
    """It is looked up in a while; those that come after it are handed over meanwhile."""
    harness.cluster.lost_answers = 1
    harness.cluster.invisible_for = 3
    harness.submit("A")
    await until(lambda: harness.submitter.unsure)
    for number in range(5):
        harness.submit(f"after{number}")
    await harness.pass_by(0.9)

    await harness.taken(5)
    assert {JobId("A")} == harness.submitter.unsure
    await harness.pass_by(30)
    await harness.taken(6)
    assert Counter(harness.cluster.runs.values()) == {1: 6}


async def test_a_job_that_was_not_submitted_is_tried_again_and_says_why(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not unsure, needs no lookup and tells nothing about the batch system; others go on."""
    tag = Tag("A-1")
    harness.cluster.full_disk[tag] = "No space left on device"
    harness.health.no_answer(BatchUnavailable("away"))
    harness.submit("A")
    await until(lambda: harness.cluster.calls["submit", tag] == 1)
    await harness.pass_by(0.5)
    assert harness.health.down_since
    assert frozenset() == harness.submitter.unsure
    harness.submit("B")
    await harness.pass_by(5)
    await harness.taken(1)
    assert 2 <= harness.cluster.calls["submit", tag] <= 4
    assert "No space left on device" in caplog.text
    assert "cannot tell whether" not in caplog.text

    harness.cluster.full_disk.clear()
    await harness.pass_by(20)

    await harness.taken(2)
    assert 0 == harness.cluster.calls["find", tag]
    assert isinstance(harness.answers[JobId("A")], SubmitTaken)


async def test_an_unsure_job_stays_unsure_while_it_cannot_be_submitted(harness: Harness) -> None:
    tag = Tag("A-1")
    harness.cluster.outage = "away"
    harness.submit("A")
    await until(lambda: harness.submitter.unsure)
    harness.cluster.full_disk[tag] = "No space left on device"
    harness.cluster.outage = ""
    await harness.pass_by(5)

    assert harness.cluster.calls["submit", tag] >= 2
    assert {JobId("A")} == harness.submitter.unsure


async def test_a_job_that_waits_for_its_queue_can_be_withdrawn(harness: Harness) -> None:
    harness.cluster.limits["full"] = "no more"
    tag = harness.submit("A", "full")
    await harness.pass_by(2)

    assert harness.submitter.withdraw(tag)
    harness.cluster.limits.clear()
    await harness.pass_by(60)

    assert {} == harness.answers
    assert not harness.submitter.withdraw(tag)
    harness.submit("B", "full")
    await harness.pass_by(2)
    await harness.taken(1)


async def test_an_unsure_job_and_one_that_is_being_submitted_cannot_be_withdrawn(harness: Harness) -> None:
    harness.cluster.outage = "away"
    tag = harness.submit("A")
    await until(lambda: harness.submitter.unsure)
    under_way: list[bool] = []

    class Asking(FakeBackend):
        async def find(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId]:
            del batch
            return {}

        async def submit(self, batch: Sequence[Submission]) -> Mapping[Tag, Submitted]:
            under_way.append(submitter.withdraw(batch[0].tag))
            return {batch[0].tag: LocalId("1")}

    assert not harness.submitter.withdraw(tag)
    clock, answers = FakeClock(), dict[JobId, Answer]()
    submitter = Submitter(Asking(), clock, PollingPolicy(), Health("fake", clock), answers.__setitem__)
    submitter.put(AskSubmit("fake", next(iter(harness.submitter._asks.values())).submission, sure=True))
    task = asyncio.create_task(submitter.run())
    await until(lambda: answers)
    task.cancel()

    assert [False] == under_way


async def test_queues_take_turns(harness: Harness) -> None:
    """One with two hundred jobs before it lets one with ten through in the first call."""
    for number in range(200):
        harness.submit(f"many{number}", "a")
    for number in range(10):
        harness.submit(f"few{number}", "b")
    await until(lambda: harness.backend.sizes, lambda: harness.answers)
    await until(lambda: len(harness.answers) >= 100)

    first = list(harness.answers)[:100]
    assert 10 == sum(job.startswith("few") for job in first)


async def test_a_refusal_opens_no_queue_and_is_told(harness: Harness) -> None:
    tag = Tag("A-1")
    harness.cluster.refusals[tag] = "invalid partition"
    harness.submit("A")

    await harness.taken(1)
    assert SubmitRefused("invalid partition") == harness.answers[JobId("A")]


async def test_an_outage_is_told_with_its_time_and_everybody_waits(harness: Harness) -> None:
    harness.cluster.outage = "no route to host"
    harness.submit("A")
    await until(lambda: harness.health.down_since)
    assert "down since 20" in harness.health.summary()

    harness.cluster.outage = ""
    await harness.pass_by(5)
    await harness.taken(1)
    assert "ok" == harness.health.summary()


def test_a_submission_tells_its_queue() -> None:
    grami = Grami(gridid=JobId("A"), directory=Path("/s/A"), controldir=Path("/c"), args=("x",), queue="short")
    submission = Submission(job=JobId("A"), tag=Tag("A-1"), grami=grami, rundir=Path("/s/A.lrms/A-1"))

    assert "short" == submission.queue
    assert "" == replace(submission, grami=replace(grami, queue="")).queue
