"""Work that has ended when its wait ends, also when the wait is cancelled."""

from __future__ import annotations

import asyncio
import threading

import pytest

from arex.aio import cancel_and_wait, start_threads


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


def test_threads_exist_before_they_are_needed() -> None:
    before = set(threading.enumerate())
    executor = start_threads(4)
    assert 4 == sum(thread.name.startswith("arex") for thread in set(threading.enumerate()) - before)

    assert [0, 1, 2] == list(executor.map(int, "012"))
    executor.shutdown()


def test_threads_that_cannot_be_started_are_an_error_and_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        start(thread)
        started.append(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        start_threads(4)
    for thread in started:
        thread.join(30)
    assert [False, False] == [thread.is_alive() for thread in started]
