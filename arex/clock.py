"""Time, handed in: the real clock here, a fake one in the tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol, TypeVarTuple

_Ts = TypeVarTuple("_Ts")


class Timer(Protocol):
    """A call that is due later, as ``call_later`` returns it."""

    def cancel(self) -> None:
        """Do not make the call; no effect once it has been made."""
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """Wall time, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def call_later(self, seconds: float, callback: Callable[[*_Ts], object], *args: *_Ts) -> Timer:
        """Call back on the event loop after this many seconds; at once, but not before this returns, for 0 or less."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - the one place

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        import asyncio  # noqa: PLC0415 - clients want the time only, and start in milliseconds

        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[[*_Ts], object], *args: *_Ts) -> Timer:
        import asyncio  # noqa: PLC0415 - as above

        return asyncio.get_running_loop().call_later(seconds, callback, *args)


_: type[Clock] = SystemClock
