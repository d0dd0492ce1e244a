"""Work in threads that is over when we say so: a cancelled wait waits for it first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


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
