"""Helpers for asyncio: calls in threads that are waited for even after a cancellation, and wake-ups with a time-out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

from arex.clock import Clock

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def cancel_and_wait(*tasks: asyncio.Future[Any]) -> None:
    """
    Cancel tasks; return when all of them have ended. What they raise is dropped.

    A cancellation of the caller is passed on after that.
    """
    for task in tasks:
        task.cancel()
    if tasks:
        await settled(asyncio.gather(*tasks, return_exceptions=True))


async def settled(work: Awaitable[_T]) -> _T:
    """
    The result of work that can't be stopped, such as a call in a thread.

    A cancellation is passed on when the work has ended, so that nothing happens behind the back of whoever cancelled.
    """
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            try:
                await asyncio.wait([running])
            except asyncio.CancelledError:
                continue
        if not running.cancelled():
            running.exception()  # it has been seen
        raise


async def in_thread(function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """``asyncio.to_thread`` that has ended when it returns or raises."""
    return await settled(asyncio.to_thread(function, *args, **kwargs))


def settle(future: asyncio.Future[None], error: Exception | None) -> None:
    """Wake the tasks that wait for the future, unless it is already done."""
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


class WakeUp:
    """An event with a time-out on a ``Clock``, for a task that works when it is called and also every so often."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = asyncio.Event()

    def set(self) -> None:
        """Let the wait that goes on, or else the next one, end at once."""
        self._event.set()

    async def wait(self, seconds: float | None = None) -> None:
        """Return when ``set`` is or was called, or after this many seconds."""
        timer = None if seconds is None else self._clock.call_later(max(0.0, seconds), self._event.set)
        try:
            await self._event.wait()
            self._event.clear()
        finally:
            if timer is not None:
                timer.cancel()
