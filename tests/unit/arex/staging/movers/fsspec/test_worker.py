from __future__ import annotations

import asyncio
import threading

import pytest

from arex.staging.movers.fsspec.worker import Worker


async def test_calls_are_made_in_their_order_by_one_thread() -> None:
    ended = asyncio.Event()
    worker = Worker(ended.set)
    assert 3 == await worker.call(sum, [1, 2])
    assert await worker.call(threading.get_ident) == await worker.call(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await worker.call(divmod, 1, 0)
    with pytest.raises(RuntimeError):
        await worker.call(next, iter(()))
    said: list[str] = []
    await worker.leave(lambda: said.append("bye"))
    await ended.wait()
    assert ["bye"] == said


async def test_who_leaves_does_not_wait_and_the_last_call_is_made_nevertheless() -> None:
    ended, go, said = asyncio.Event(), threading.Event(), list[str]()

    def slow() -> str:
        go.wait(50)
        said.append("slow")
        return "an unused result"

    worker = Worker(ended.set)
    waiting = asyncio.ensure_future(worker.call(slow))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    over = worker.leave(lambda: said.append("bye"))
    assert not over.done()
    assert [] == said
    go.set()
    await over
    await ended.wait()
    assert ["slow", "bye"] == said


async def test_a_call_that_was_given_up_before_its_turn_raises_nothing() -> None:
    ended = asyncio.Event()
    worker = Worker(ended.set)
    calls = [asyncio.ensure_future(worker.call(divmod, 1, 0)) for _ in range(2)]
    await asyncio.sleep(0)
    for each in calls:
        each.cancel()
    _ = worker.leave(lambda: None)
    await ended.wait()
