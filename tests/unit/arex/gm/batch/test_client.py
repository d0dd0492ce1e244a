"""A batch client over a fake cluster, with a clock that a test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from arex.gm.batch.client import BatchClient
from arex.gm.steps import (
    Answer,
    AskCancel,
    AskStatus,
    AskSubmit,
    CancelTaken,
    Ended,
    SubmitRefused,
    SubmitTaken,
)
from arex.model.grami import Grami
from arex.model.ids import JobId, LocalId, Tag
from arex.model.report import EndCause, Phase, Report, Usage
from arex.ports import LocalJob, Submission
from arex.taskkeeper import TaskKeeper
from tests.fakes.batch import FakeBackend, FakeCluster, ended
from tests.fakes.clock import FakeClock
from tests.unit.arex.gm.service import PACE, until


class Harness:
    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.clock = FakeClock()
        self.answers: dict[JobId, list[Answer]] = {}
        self.phases: list[tuple[JobId, Phase]] = []
        self.client = BatchClient(
            FakeBackend(self.cluster, clock=self.clock),
            self.clock,
            PACE,
            self.answered,
            lambda job, report: self.phases.append((job, report.phase)),
            TaskKeeper(self.clock),
        )

    def answered(self, job: JobId, answer: Answer) -> None:
        self.answers.setdefault(job, []).append(answer)

    def submit(self, name: str, *, sure: bool = True) -> Tag:
        ask = AskSubmit("fake", submission(name), sure)
        self.client.submit(ask)
        return ask.submission.tag

    async def submitted(self, name: str) -> LocalId:
        self.submit(name)
        [answer] = await self.told(name)
        assert isinstance(answer, SubmitTaken)
        return answer.localid

    async def told(self, name: str, times: int = 1) -> list[Answer]:
        await until(lambda: len(self.answers.get(JobId(name), [])) >= times, lambda: self.answers)
        return self.answers[JobId(name)]

    def watch(self, name: str, localid: LocalId) -> None:
        self.client.watch(AskStatus("fake", local_job(name, localid)))

    async def pass_by(self, seconds: float = 1.0) -> None:
        """Time goes by in steps, and everybody has a turn in each."""
        for _ in range(10):
            self.clock.advance(timedelta(seconds=seconds / 10))
            for _ in range(20):
                await asyncio.sleep(0)

    def asked(self, method: str) -> int:
        return sum(count for (what, _), count in self.cluster.calls.items() if what == method)


def submission(name: str) -> Submission:
    session = Path("/session") / name
    grami = Grami(gridid=JobId(name), directory=session, controldir=Path("/ctl"), args=("/bin/true",))
    return Submission(job=JobId(name), tag=Tag(f"{name}-1"), grami=grami, rundir=session / "run")


def local_job(name: str, localid: LocalId) -> LocalJob:
    session = Path("/session") / name
    return LocalJob(job=JobId(name), localid=localid, tag=Tag(f"{name}-1"), session=session, rundir=session / "run")


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    harness = Harness()
    await harness.client.backend.start()
    task = asyncio.create_task(harness.client.run())
    yield harness
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# --- submit -----------------------------------------------------------------------------------------------------------


async def test_a_sure_submission_is_not_looked_up(harness: Harness) -> None:
    assert LocalId("1") == await harness.submitted("A")
    assert 0 == harness.asked("find")


async def test_an_unsure_one_that_was_taken_is_not_submitted_again(harness: Harness) -> None:
    harness.cluster.take(submission("A"))
    harness.submit("A", sure=False)

    assert [SubmitTaken(LocalId("1"))] == await harness.told("A")
    assert 0 == harness.asked("submit")


async def test_an_unsure_one_that_was_not_taken_is_submitted(harness: Harness) -> None:
    harness.submit("A", sure=False)

    assert [SubmitTaken(LocalId("1"))] == await harness.told("A")
    assert (1, 1) == (harness.asked("find"), harness.asked("submit"))


async def test_a_lost_answer_is_looked_up_and_nothing_runs_twice(harness: Harness) -> None:
    harness.cluster.lost_answers = 1
    tag = harness.submit("A")
    await until(lambda: harness.cluster.taken)
    await harness.pass_by(2)

    assert [SubmitTaken(LocalId("1"))] == await harness.told("A")
    assert {tag: 1} == harness.cluster.runs
    assert 1 == harness.asked("submit")


async def test_a_refusal_is_told_with_its_reason(harness: Harness) -> None:
    harness.cluster.refusals[Tag("A-1")] = "no such queue"
    harness.submit("A")
    harness.submit("B")

    assert [SubmitRefused("no such queue")] == await harness.told("A")
    assert [SubmitTaken(LocalId("1"))] == await harness.told("B")


async def test_an_outage_is_waited_out_and_found_before_submitting(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    """The jobs become unsure; it is said once that the batch system is down, and once that it is up."""
    harness.cluster.outage = "no route to host"
    harness.submit("A")
    await until(lambda: harness.client.health.down_since)
    for _ in range(30):
        await harness.pass_by(10)
    attempts = harness.asked("submit") + harness.asked("find")

    assert {} == harness.answers
    assert "no route to host" in (harness.client.health.down_since or "")
    assert 4 <= attempts <= 12
    harness.cluster.outage = ""
    await harness.pass_by(70)
    assert [SubmitTaken(LocalId("1"))] == await harness.told("A")
    assert harness.client.health.down_since is None
    events = [record.__dict__["event"] for record in caplog.records if "event" in record.__dict__]
    assert ["lrms.down", "lrms.up"] == events
    assert 1 == harness.cluster.runs[Tag("A-1")]


async def test_asking_twice_is_asking_once(harness: Harness) -> None:
    harness.submit("A")
    harness.submit("A")
    await harness.told("A")
    await harness.pass_by()

    assert 1 == len(harness.answers[JobId("A")])


# --- watch ------------------------------------------------------------------------------------------------------------


async def test_a_phase_is_told_once_and_the_end_is_told_once(harness: Harness) -> None:
    localid = await harness.submitted("A")
    harness.watch("A", localid)
    await until(lambda: harness.phases)
    await harness.pass_by()
    harness.cluster.end(localid, ended(0))
    await harness.told("A", 2)
    await harness.pass_by()

    assert [(JobId("A"), Phase.RUNNING)] == harness.phases
    assert [SubmitTaken(localid), Ended(ended(0))] == harness.answers[JobId("A")]
    assert 0 == harness.client.inside


async def test_an_end_before_the_watch_is_not_missed(harness: Harness) -> None:
    localid = await harness.submitted("A")
    harness.cluster.end(localid, ended(3))
    await harness.pass_by()
    harness.watch("A", localid)

    assert Ended(ended(3)) == (await harness.told("A", 2))[1]


async def test_a_job_missing_from_one_answer_is_not_lost(harness: Harness) -> None:
    localid = await harness.submitted("A")
    harness.cluster.invisible_for = 3
    harness.watch("A", localid)
    while not harness.phases:
        assert 1 == len(harness.answers[JobId("A")])
        await harness.pass_by(0.05)

    assert [(JobId("A"), Phase.RUNNING)] == harness.phases


async def test_a_job_that_stays_missing_is_lost(harness: Harness) -> None:
    localid = await harness.submitted("A")
    harness.cluster.forget(localid)
    harness.watch("A", localid)
    for _ in range(3):
        await harness.pass_by(4)
    assert 1 == len(harness.answers[JobId("A")])
    await harness.pass_by(4)

    why = "the batch system no longer knows the job"
    lost = Report(phase=Phase.ENDED, cause=EndCause.LOST, message=why)
    while len(harness.answers[JobId("A")]) == 1:
        await harness.pass_by()
    answer = harness.answers[JobId("A")][1]
    assert isinstance(answer, Ended)
    assert lost == replace(answer.report, evidence=())
    assert ["not listed for"] == [each.said[:14] for each in answer.report.evidence]


async def test_silence_is_not_absence(harness: Harness) -> None:
    localid = await harness.submitted("A")
    harness.watch("A", localid)
    await until(lambda: harness.phases)
    harness.cluster.outage = "down"
    for _ in range(10):
        await harness.pass_by(100)

    assert 1 == len(harness.answers[JobId("A")])
    harness.cluster.outage = ""
    harness.cluster.end(localid, ended(0))
    assert Ended(ended(0)) == (await harness.told("A", 2))[1]


async def test_a_forgotten_job_is_not_asked_about(harness: Harness) -> None:
    localid = await harness.submitted("A")
    harness.watch("A", localid)
    harness.client.forget(localid, JobId("A"))
    before = harness.asked("status")
    await harness.pass_by()

    assert before == harness.asked("status")


# --- one local id, two jobs -------------------------------------------------------------------------------------------


async def test_a_second_owner_of_a_local_id_takes_nothing_from_the_first(harness: Harness) -> None:
    localid = await harness.submitted("A")
    harness.watch("A", localid)
    harness.watch("B", localid)
    harness.client.forget(localid, JobId("B"))
    harness.client.cancel(AskCancel("fake", local_job("B", localid)))

    assert [CancelTaken("job A has the same local id")] == await harness.told("B")
    harness.cluster.end(localid, ended(0))
    assert Ended(ended(0)) == (await harness.told("A", 2))[1]


async def test_a_second_owner_that_stays_is_lost(harness: Harness) -> None:
    localid = await harness.submitted("A")
    harness.watch("A", localid)
    harness.watch("B", localid)
    await harness.pass_by(20)

    [answer] = await harness.told("B")
    assert isinstance(answer, Ended)
    assert (EndCause.LOST, "job A has the same local id") == (answer.report.cause, answer.report.message)
    assert 1 == len(harness.answers[JobId("A")])


async def test_a_local_id_that_was_given_again_serves_its_new_owner(harness: Harness) -> None:
    localid = await harness.submitted("A")
    harness.watch("A", localid)
    harness.watch("B", localid)
    harness.cluster.end(localid, ended(0))
    await harness.told("A", 2)
    harness.cluster.reports[localid] = Report(phase=Phase.RUNNING)
    await harness.pass_by(2.0)
    await until(lambda: (JobId("B"), Phase.RUNNING) in harness.phases)
    harness.cluster.end(localid, ended(5))

    assert [Ended(ended(5))] == await harness.told("B")


# --- cancel -----------------------------------------------------------------------------------------------------------


async def test_a_cancel_is_taken_and_the_end_follows(harness: Harness) -> None:
    localid = await harness.submitted("A")
    harness.watch("A", localid)
    harness.client.cancel(AskCancel("fake", local_job("A", localid)))
    answers = await harness.told("A", 3)

    assert CancelTaken() in answers
    assert Ended(ended(143, EndCause.CANCELLED, 15)) in answers


async def test_a_refused_cancel_says_why(harness: Harness) -> None:
    localid = await harness.submitted("A")
    harness.cluster.cancel_refusals[localid] = "not yours"
    harness.client.cancel(AskCancel("fake", local_job("A", localid)))

    assert CancelTaken("not yours") == (await harness.told("A", 2))[1]


async def test_a_cancel_is_asked_until_there_is_an_answer(harness: Harness) -> None:
    localid = await harness.submitted("A")
    harness.cluster.outage = "down"
    harness.client.cancel(AskCancel("fake", local_job("A", localid)))
    await until(lambda: harness.client.health.down_since)
    await harness.pass_by(30)
    harness.cluster.outage = ""
    await harness.pass_by(70)

    assert CancelTaken() in await harness.told("A", 2)


async def test_what_a_running_job_used_is_passed_on_every_five_minutes_and_its_nodes_at_once(harness: Harness) -> None:
    localid = await harness.submitted("a")
    harness.watch("a", localid)
    await until(lambda: harness.phases)
    harness.phases.clear()
    harness.cluster.reports[localid] = Report(phase=Phase.RUNNING, nodes=("wn1",), usage=Usage(wall_s=1.0))
    await harness.pass_by()
    assert 1 == len(harness.phases)
    for wall_s in range(2, 10):
        harness.cluster.reports[localid] = Report(phase=Phase.RUNNING, nodes=("wn1",), usage=Usage(wall_s=wall_s))
        await harness.pass_by()
    assert 1 == len(harness.phases)

    await harness.pass_by(300)
    assert 2 == len(harness.phases)


async def test_a_job_that_is_given_up_is_cancelled_without_an_answer(harness: Harness) -> None:
    localid = await harness.submitted("a")
    harness.watch("a", localid)
    harness.answers.clear()
    harness.client.abandon(localid, JobId("a"), cancel=True)
    await until(lambda: Phase.ENDED is harness.cluster.reports[localid].phase)
    await harness.pass_by()

    assert {} == harness.answers
    assert 0 == harness.client.inside


async def test_a_job_that_has_ended_is_not_cancelled_when_it_is_dropped(harness: Harness) -> None:
    localid = await harness.submitted("a")
    harness.watch("a", localid)
    harness.cluster.end(localid, ended(0))
    await harness.told("a", 2)
    harness.client.abandon(localid, JobId("a"), cancel=True)
    await harness.pass_by()

    assert 0 == harness.asked("cancel")


async def test_a_job_whose_end_cannot_be_recorded_for_minutes_is_a_problem(harness: Harness) -> None:
    localid = await harness.submitted("a")
    harness.watch("a", localid)
    await until(lambda: harness.phases)
    harness.cluster.reports[localid] = Report(phase=Phase.EXITING, doubt="the disk is full")
    await harness.pass_by()
    at_first = dict(harness.client.stuck)
    await harness.pass_by(310)

    assert {} == at_first
    assert {JobId("a"): "the disk is full"} == harness.client.stuck
