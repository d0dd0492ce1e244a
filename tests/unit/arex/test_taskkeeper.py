from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from arex.errors import ServiceLost
from arex.taskkeeper import TaskKeeper
from tests.fakes.clock import FakeClock, SkippingClock

ERRORS = [OSError(5, "Input/output error"), RuntimeError("x"), ValueError("x"), RecursionError("x"), MemoryError()]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_work_goes_on_after_an_exception_which_is_logged_and_counted(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = TaskKeeper(SkippingClock())
    calls = []

    async def work() -> None:
        await asyncio.sleep(0)
        calls.append(1)
        if len(calls) < 3:
            raise error

    await keeper.keep("poll", work)

    assert 3 == len(calls)
    assert 2 == keeper.faults["poll"].count
    assert keeper.faults["poll"].message.startswith(type(error).__name__)
    assert "internal error in poll, which goes on" in caplog.text
    assert "Traceback" in caplog.text


async def test_the_pause_grows_while_errors_follow_each_other() -> None:
    clock = FakeClock()
    keeper = TaskKeeper(clock)
    pauses = [keeper.count("poll", ValueError("x")) for _ in range(8)]
    clock.advance(timedelta(minutes=11))

    assert pauses == sorted(pauses)
    assert 60.0 == pauses[-1]
    assert pauses[0] == keeper.count("poll", ValueError("x")), "after a long time without errors it is short again"


async def test_an_error_is_a_problem_for_ten_minutes() -> None:
    clock = FakeClock()
    keeper = TaskKeeper(clock)
    keeper.count("poll", ValueError("x"))
    assert ["poll"] == keeper.recent()
    clock.advance(timedelta(minutes=11))

    assert [] == keeper.recent()
    assert ["poll"] == list(keeper.faults)


async def test_a_service_that_cannot_continue_ends() -> None:
    async def work() -> None:
        raise ServiceLost("the control directory is gone")

    keeper = TaskKeeper(FakeClock())
    with pytest.raises(ServiceLost):
        await keeper.keep("lock", work)
    assert {} == dict(keeper.faults)


async def test_a_cancellation_ends_the_work() -> None:
    keeper = TaskKeeper(FakeClock())
    task = asyncio.create_task(keeper.keep("poll", asyncio.Event().wait))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
