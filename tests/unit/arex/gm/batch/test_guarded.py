"""A backend with bugs: what it raises concerns the job that causes it, and no other."""

from __future__ import annotations

import errno
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

import pytest

from arex.errors import BatchUnavailable, SubmitRejected
from arex.gm.batch.guarded import GuardedBackend
from arex.model.ids import JobId, LocalId, Tag
from arex.model.report import Report
from arex.ports import LocalJob, Submission, Submitted
from arex.taskkeeper import TaskKeeper
from tests.fakes.batch import RUNNING, FakeBackend
from tests.fakes.clock import FakeClock
from tests.unit.arex.gm.batch.test_client import local_job, submission

ERRORS = [
    OSError(errno.ELOOP, "Too many levels of symbolic links"), RuntimeError("x"), ValueError("x"), RecursionError("x"),
    OverflowError("x"),
]  # fmt: skip
SHORTAGES = [
    OSError(errno.EMFILE, "Too many open files"), OSError(errno.EAGAIN, "again"), MemoryError(),
    RuntimeError("can't start new thread"),
]  # fmt: skip
JOBS = [local_job(f"job{number}", LocalId(str(number))) for number in range(40)]
BAD = JOBS[17]


class Buggy(FakeBackend):
    """Raises whenever it is asked about one of these jobs; everything else it knows."""

    def __init__(self, error: Exception, *bad: str) -> None:
        super().__init__()
        self.error = error
        self.bad = set(bad)
        self.asked: list[int] = []  #: number of jobs in each call
        self.submitted: list[Tag] = []
        self.found: dict[Tag, LocalId] = {}

    def _check(self, jobs: Collection[LocalJob] | Collection[Submission]) -> None:
        self.asked.append(len(jobs))
        if any(each.job in self.bad for each in jobs):
            raise self.error

    async def status(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        self._check(jobs)
        return {job.localid: RUNNING for job in jobs}

    async def recorded(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        return await self.status(jobs)

    async def cancel(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        self._check(jobs)
        return {}

    hold = release = cancel

    async def find(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId]:
        self._check(batch)
        return self.found

    async def submit(self, batch: Sequence[Submission]) -> Mapping[Tag, Submitted]:
        self._check(batch)
        self.submitted += [each.tag for each in batch]
        return {each.tag: LocalId(each.job) for each in batch}


def guard(backend: Buggy) -> tuple[GuardedBackend, FakeClock, TaskKeeper]:
    clock = FakeClock()
    keeper = TaskKeeper(clock)
    return GuardedBackend(backend, clock, keeper), clock, keeper


@pytest.mark.parametrize("method", ["status", "recorded"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_one_job_that_causes_an_exception_leaves_the_others_their_answers(method: str, error: Exception) -> None:
    backend = Buggy(error, BAD.job)
    guarded, _, keeper = guard(backend)
    answer = await getattr(guarded, method)(JOBS)

    assert {job.localid for job in JOBS if job is not BAD} == answer.keys()
    assert 1 == keeper.faults[f"fake: {method}"].count


async def test_it_is_asked_about_less_and_less_often_and_costs_the_others_nothing() -> None:
    backend = Buggy(ValueError("x"), BAD.job)
    guarded, clock, _ = guard(backend)
    await guarded.status(JOBS)
    backend.asked.clear()
    await guarded.status(JOBS)
    assert [39] == backend.asked

    clock.advance(timedelta(seconds=61))
    backend.bad.clear()
    assert len(JOBS) == len(await guarded.status(JOBS))
    backend.asked.clear()
    await guarded.status(JOBS)
    assert [40] == backend.asked, "once it is answered, it is one of them again"


async def test_a_request_about_it_is_refused_with_the_error() -> None:
    """Also a request a moment later, which is not passed on: it must not look accepted."""
    guarded, _, _ = guard(Buggy(ValueError("broken record"), BAD.job))
    for method in (guarded.cancel, guarded.hold, guarded.release):
        assert {BAD.localid: "internal error of arex: ValueError: broken record"} == await method(JOBS)


@pytest.mark.parametrize("error", SHORTAGES, ids=str)
async def test_a_shortage_of_the_machine_is_no_answer_about_any_job(error: Exception) -> None:
    backend = Buggy(error, BAD.job)
    guarded, _, _ = guard(backend)
    batch = [submission(job.job) for job in JOBS]
    for ask in (guarded.status, guarded.recorded, guarded.cancel, guarded.hold, guarded.release):
        with pytest.raises(BatchUnavailable, match="this machine has a shortage"):
            await ask(JOBS)
    for put in (guarded.submit, guarded.find):
        with pytest.raises(BatchUnavailable, match="this machine has a shortage"):
            await put(batch)


async def test_a_bug_that_concerns_all_jobs_costs_few_calls_and_is_no_answer() -> None:
    many = [local_job(f"job{number}", LocalId(str(number))) for number in range(2000)]
    backend = Buggy(ValueError("x"), *(job.job for job in many))
    guarded, _, _ = guard(backend)
    with pytest.raises(BatchUnavailable, match="internal error of arex: ValueError: x"):
        await guarded.status(many)

    assert 50 > len(backend.asked)


async def test_a_submission_that_causes_an_exception_is_refused_in_the_end_and_others_are_submitted_once() -> None:
    backend = Buggy(RecursionError("deep"), "bad")
    guarded, _, keeper = guard(backend)
    good, bad = submission("good"), submission("bad")
    assert {} == await guarded.submit([good, bad]), "unsure: the call may have submitted some of them"

    answers: dict[Tag, object] = {}
    for _ in range(5):
        fresh = [each for each in (good, bad) if each.tag not in answers]
        await guarded.find([each for each in fresh if each is good])
        answers |= await guarded.submit(fresh)

    assert [good.tag] == backend.submitted
    assert isinstance(answers[good.tag], str)
    refusal = answers[bad.tag]
    assert isinstance(refusal, SubmitRejected)
    assert "internal error of arex: RecursionError: deep" == str(refusal)
    assert keeper.faults["fake: submit"].count >= 3


async def test_a_job_that_cannot_be_looked_up_is_not_submitted_again() -> None:
    """It may run already. The others are submitted, and it is when it can be looked up."""
    backend = Buggy(ValueError("x"), "bad")
    guarded, clock, _ = guard(backend)
    good, bad = submission("good"), submission("bad")
    assert {} == await guarded.find([good, bad])
    backend.bad.clear()
    assert [good.tag] == list(await guarded.submit([good, bad]))

    clock.advance(timedelta(minutes=2))
    assert {} == await guarded.find([bad])
    assert [bad.tag] == list(await guarded.submit([bad]))


async def test_a_listing_that_fails_is_no_answer() -> None:
    class Unlistable(FakeBackend):
        async def tagged(self) -> Mapping[LocalId, JobId]:
            raise KeyError("tag")

    with pytest.raises(BatchUnavailable):
        await GuardedBackend(Unlistable(), FakeClock(), TaskKeeper(FakeClock())).tagged()
