"""Queries of a batch system: a limited number in a minute."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrms.command.ratelimit import RateLimit
from tests.fakes.clock import FakeClock, SkippingClock


async def test_queries_within_the_share_do_not_wait() -> None:
    clock = SkippingClock()
    budget = RateLimit(3, clock)

    for _ in range(3):
        await budget.query()

    assert 0.0 == clock.monotonic()


async def test_one_more_waits_until_the_first_is_a_minute_old() -> None:
    clock = SkippingClock()
    budget = RateLimit(2, clock)
    await budget.query()
    clock.advance(timedelta(seconds=20))
    await budget.query()

    await budget.query()

    assert 60.0 == clock.monotonic()
    await budget.query()
    assert 80.0 == clock.monotonic()


async def test_who_waits_goes_on_as_soon_as_there_is_room() -> None:
    clock = FakeClock()
    budget = RateLimit(1, clock)
    await budget.query()
    waiting = asyncio.create_task(budget.query())
    clock.advance(timedelta(seconds=59))
    await asyncio.sleep(0)
    assert not waiting.done()

    clock.advance(timedelta(seconds=1))

    await asyncio.wait_for(waiting, 60)


async def test_of_several_that_wait_one_goes_on_in_a_minute() -> None:
    clock = FakeClock()
    budget = RateLimit(1, clock)
    await budget.query()
    waiting = [asyncio.create_task(budget.query()) for _ in range(3)]

    for gone in (1, 2, 3):
        await _let_run()
        clock.advance(timedelta(seconds=60))
        await _let_run()
        assert gone == sum(each.done() for each in waiting)


async def test_who_is_cancelled_while_waiting_has_asked_nothing() -> None:
    clock = FakeClock()
    budget = RateLimit(1, clock)
    await budget.query()
    waiting = asyncio.create_task(budget.query())
    await _let_run()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    clock.advance(timedelta(seconds=60))

    await asyncio.wait_for(budget.query(), 60)


@given(st.integers(1, 5), st.lists(st.integers(0, 360).map(lambda quarters: quarters / 4), max_size=40))
async def test_never_more_than_the_share_in_any_minute(most: int, pauses: list[float]) -> None:
    clock = SkippingClock()
    budget = RateLimit(most, clock)
    asked: list[float] = []
    for pause in pauses:
        clock.advance(timedelta(seconds=pause))
        await budget.query()
        asked.append(clock.monotonic())

    assert all(later - earlier >= 60.0 for earlier, later in zip(asked, asked[most:], strict=False))


def test_commands_are_counted_by_name() -> None:
    budget = RateLimit(1, FakeClock())
    for command in ("squeue", "sbatch", "squeue"):
        budget.count(command)

    assert {"squeue": 2, "sbatch": 1} == budget.figures()


async def _let_run() -> None:
    for _ in range(10):
        await asyncio.sleep(0)
