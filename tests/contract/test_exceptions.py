"""An exception in any method of any backend: its client goes on, and the job runs once and ends as it should."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from arex.clock import SystemClock
from arex.gm.batch.client import BatchClient
from arex.gm.batch.polling import PollingPolicy
from arex.gm.steps import Answer, AskCancel, AskStatus, AskSubmit, CancelTaken, Ended, SubmitTaken
from arex.model.ids import JobId
from arex.model.report import EndCause
from arex.ports import Backend
from arex.taskkeeper import TaskKeeper
from tests.contract.worlds import World, local_job
from tests.fakes.exceptions import UNEXPECTED

METHODS: Final = ("submit", "find", "recorded", "status", "cancel", "watch")


class Asked:
    """A client over a backend; each of the backend's methods raises when it is called for the first time."""

    def __init__(self, backend: Backend, error: Exception) -> None:
        self.raised: set[str] = set()
        self.answers: asyncio.Queue[Answer] = asyncio.Queue()
        for name in METHODS:
            setattr(backend, name, self._raising(name, getattr(backend, name), error))
        clock = SystemClock()
        self.keeper = TaskKeeper(clock)
        policy = PollingPolicy(poll_s=0.2, first_look_s=0.1, absence_s=15.0)
        self.client = BatchClient(backend, clock, policy, self._answered, lambda _job, _report: None, self.keeper)

    def _raising(self, name: str, method: Callable[..., Any], error: Exception) -> Callable[..., Any]:
        async def call(*args: Any) -> Any:
            if name not in self.raised:
                self.raised.add(name)
                raise error
            return await method(*args)

        return call

    def _answered(self, _job: JobId, answer: Answer) -> None:
        self.answers.put_nowait(answer)

    async def answer(self, patience_s: float) -> Answer:
        async with asyncio.timeout(patience_s):
            return await self.answers.get()


@asynccontextmanager
async def asked(backend: Backend, error: Exception) -> AsyncIterator[Asked]:
    about = Asked(backend, error)
    running = asyncio.create_task(about.client.run())
    try:
        yield about
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda error: type(error).__name__)
async def test_a_job_runs_once_and_ends_as_it_should(world: World, backend: Backend, error: Exception) -> None:
    submission = world.submission()
    async with asked(backend, error) as about:
        about.client.submit(AskSubmit(backend.name, submission, sure=True))
        taken = await about.answer(2 * world.patience_s)
        assert isinstance(taken, SubmitTaken), taken
        about.client.watch(AskStatus(backend.name, local_job(submission, taken.localid)))
        ended = await about.answer(2 * world.patience_s)

    assert isinstance(ended, Ended)
    assert (0, EndCause.EXIT_CODE) == (ended.report.exit_code, ended.report.cause)
    assert 1 == world.runs(submission)
    assert {"submit", "find", "recorded"} <= about.raised


@pytest.mark.parametrize("error", UNEXPECTED[1:3], ids=lambda error: type(error).__name__)
async def test_a_job_can_be_cancelled(world: World, backend: Backend, error: Exception) -> None:
    submission = world.submission("wait")
    async with asked(backend, error) as about:
        about.client.submit(AskSubmit(backend.name, submission, sure=True))
        taken = await about.answer(2 * world.patience_s)
        assert isinstance(taken, SubmitTaken), taken
        job = local_job(submission, taken.localid)
        about.client.watch(AskStatus(backend.name, job))
        answers: list[Answer] = []
        while not any(isinstance(each, Ended) for each in answers):
            if not answers or (isinstance(answers[-1], CancelTaken) and answers[-1].refusal):
                await asyncio.sleep(0.1)
                about.client.cancel(AskCancel(backend.name, job))
            answers.append(await about.answer(2 * world.patience_s))

    [ended] = [each for each in answers if isinstance(each, Ended)]
    assert EndCause.CANCELLED is ended.report.cause
    assert "cancel" in about.raised
