"""A clock that stands still until a test moves it; whoever sleeps, waits or has a timer wakes when it is time."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVarTuple

_Ts = TypeVarTuple("_Ts")


class FakeTimer:
    """A call that is due at a reading of the clock, or on its way."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call: Callable[[], object] | None = call

    def cancel(self) -> None:
        self._call = None

    def fire(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()

    @property
    def pending(self) -> bool:
        return self._call is not None


class FakeClock:
    def __init__(self, start: datetime = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._elapsed = 0.0
        self._timers: list[tuple[float, int, FakeTimer]] = []
        self._serial = itertools.count()
        self.sleeping = 0  #: tasks in ``sleep``

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._elapsed

    def advance(self, by: timedelta) -> None:
        """Move the clock; timers that are due then fire in their order, each at its own time."""
        until = self._elapsed + by.total_seconds()
        end = self._now + by
        while self._timers and self._timers[0][0] <= until:
            due, _, timer = heapq.heappop(self._timers)
            if timer.pending:
                self._now += timedelta(seconds=max(0.0, due - self._elapsed))
                self._elapsed = max(self._elapsed, due)
                timer.fire()
        self._now, self._elapsed = end, until

    def set_by(self, by: timedelta) -> None:
        """As if a person had set the clock of the host: no time passes, and no timer fires."""
        self._now += by

    @property
    def waiting(self) -> int:
        """Timers that have not fired."""
        return sum(timer.pending for _, _, timer in self._timers)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.Event()
        timer = self.call_later(seconds, woken.set)
        self.sleeping += 1
        try:
            await woken.wait()
        finally:
            self.sleeping -= 1
            timer.cancel()

    def call_later(self, seconds: float, callback: Callable[[*_Ts], object], *args: *_Ts) -> FakeTimer:
        timer = FakeTimer(lambda: callback(*args))
        if seconds <= 0:
            asyncio.get_running_loop().call_soon(timer.fire)
        else:
            heapq.heappush(self._timers, (self._elapsed + seconds, next(self._serial), timer))
        return timer


class SkippingClock(FakeClock):
    """Skips the time that the one task under test would sleep; where several sleep, use ``FakeClock``."""

    async def sleep(self, seconds: float) -> None:
        self.advance(timedelta(seconds=seconds))
        await asyncio.sleep(0)
