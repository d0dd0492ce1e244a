"""An interface for time, so that tests can use a fake clock; this module has the real one."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, TypeVarTuple

_Ts = TypeVarTuple("_Ts")
#: A year.
_FAR_S: Final = 366 * 86400.0


class Timer(Protocol):
    """A scheduled call, as returned by ``call_later``."""

    def cancel(self) -> None:
        """Cancel the call; no effect if it has already been made."""
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """Current time, timezone-aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def call_later(self, seconds: float, callback: Callable[[*_Ts], object], *args: *_Ts) -> Timer:
        """Call back on the event loop after this many seconds. For 0 or less, the call follows as soon as possible."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - this is the system clock

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        import asyncio  # noqa: PLC0415 - clients only need the time, and must start quickly

        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[[*_Ts], object], *args: *_Ts) -> Timer:
        import asyncio  # noqa: PLC0415 - as above

        return asyncio.get_running_loop().call_later(seconds, callback, *args)


def time_of_day(clock: Clock, monotonic_s: float) -> datetime | None:
    """The time of day at a time of ``monotonic``; None if it is past, or too far away to be a plan."""
    left = monotonic_s - clock.monotonic()
    return clock.now() + timedelta(seconds=left) if 0 < left < _FAR_S else None


_: type[Clock] = SystemClock
