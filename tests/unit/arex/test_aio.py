"""Work that has ended when its wait ends, also when the wait is cancelled."""

from __future__ import annotations

import asyncio

import pytest

from arex.aio import cancel_and_wait


class Slow:
    """A task that takes a while to end after its cancellation."""

    def __init__(self) -> None:
        self.parting, self.go = asyncio.Event(), asyncio.Event()
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.parting.set()
            await self.go.wait()


async def test_tasks_have_ended_when_their_cancellation_returns() -> None:
    slow = Slow()
    await asyncio.sleep(0)
    ending = asyncio.create_task(cancel_and_wait(slow.task))
    await slow.parting.wait()
    assert not ending.done()
    slow.go.set()
    await ending
    assert slow.task.cancelled()


async def test_a_cancellation_meanwhile_is_passed_on_when_the_tasks_have_ended() -> None:
    slow = Slow()
    await asyncio.sleep(0)
    ending = asyncio.create_task(cancel_and_wait(slow.task))
    await slow.parting.wait()
    ending.cancel()
    await asyncio.sleep(0)
    assert not ending.done()
    slow.go.set()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert slow.task.done()


async def test_an_error_of_a_cancelled_task_is_dropped() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    failed = asyncio.create_task(fail())
    await asyncio.wait([failed])
    await cancel_and_wait(failed)
    await cancel_and_wait()
