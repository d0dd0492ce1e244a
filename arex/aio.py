"""Helpers for asyncio: threads that are awaited even after a cancellation, and wake-ups with a timeout."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
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
    Wait for work that cannot be stopped, such as a call in a thread, and return its result.

    A cancellation is raised only after the work has ended, so that the work cannot continue in the background.
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
            running.exception()  # mark the exception as retrieved, so that asyncio does not log it
        raise


def start_threads(number: int) -> ThreadPoolExecutor:
    """
    An executor whose threads all exist already, so that a shortage of processes later does not matter.

    ``ThreadPoolExecutor`` starts threads when they are needed; a call that cannot start one raises RuntimeError, and is
    carried out later nevertheless.

    Raises:
        RuntimeError: a thread cannot be started.
    """
    executor = ThreadPoolExecutor(number, thread_name_prefix="arex")
    all_here = threading.Barrier(number + 1)
    try:
        for _ in range(number):
            executor.submit(all_here.wait)
    except RuntimeError:
        all_here.abort()
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    all_here.wait()
    return executor


async def in_thread(function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Like ``asyncio.to_thread``, but even when cancelled, it only ends after the call in the thread has ended."""
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
    """An event with a timeout on a ``Clock``, for a task that works when it is woken and also periodically."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = asyncio.Event()

    def set(self) -> None:
        """End the current wait immediately, or the next one if there is none."""
        self._event.set()

    async def wait(self, seconds: float | None = None) -> None:
        """Wait for ``set``, at most this many seconds; return at once if it was called since the last wait."""
        timer = None if seconds is None else self._clock.call_later(max(0.0, seconds), self._event.set)
        try:
            await self._event.wait()
            self._event.clear()
        finally:
            if timer is not None:
                timer.cancel()
