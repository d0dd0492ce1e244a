"""Connections that the transfers of a mover share: one for each key, made when it is first needed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Generic, TypeVar

from arex.aio import cancel_and_wait
from arex.staging.movers.base import cancelled

_K = TypeVar("_K", bound=Hashable)
_T = TypeVar("_T")


class _Making(Generic[_T]):
    """A connection, or the attempt to make it."""

    __slots__ = ("task", "waiting")

    def __init__(self, task: asyncio.Task[_T]) -> None:
        self.task = task
        self.waiting = 0  #: transfers that have not got it yet

    @property
    def made(self) -> bool:
        return self.task.done() and not self.task.cancelled() and self.task.exception() is None


class Shared(Generic[_K, _T]):
    """
    One connection for each key, made by ``connect`` and ended by ``end``.

    A transfer that is cancelled does not end an attempt that others wait for. An attempt that fails does so for all
    transfers that wait for it, and the next transfer makes a new one. ``usable`` says whether a connection can still
    be handed out.
    """

    def __init__(
        self,
        connect: Callable[[_K], Awaitable[_T]],
        end: Callable[[_T], Awaitable[object]],
        *,
        usable: Callable[[_T], bool] = lambda _: True,
    ) -> None:
        self._connect, self._end, self._usable = connect, end, usable
        self._known: dict[_K, _Making[_T]] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._known)

    async def of(self, key: _K) -> _T:
        """
        The connection for a key.

        Raises:
            TransferError: it was closed meanwhile; also whatever ``connect`` raises.
        """
        making = self._known.get(key)
        if making is None or (making.task.done() and not (making.made and self._usable(making.task.result()))):
            making = self._start(key)
        if not making.task.done():
            making.waiting += 1
            try:
                await asyncio.wait([making.task])  # which does not cancel it
            finally:
                making.waiting -= 1
        if making.task.cancelled():
            raise cancelled()
        return making.task.result()

    def _start(self, key: _K) -> _Making[_T]:
        if self._closed:
            raise cancelled()
        making = self._known[key] = _Making(asyncio.create_task(self._made(key), name="connect"))
        making.task.add_done_callback(partial(self._settled, key, making))
        return making

    async def _made(self, key: _K) -> _T:
        return await self._connect(key)

    def _settled(self, key: _K, making: _Making[_T], _task: asyncio.Task[_T]) -> None:
        """Forget an attempt that has failed, even if no transfer waits for it any more."""
        if not making.made and self._known.get(key) is making:
            del self._known[key]

    async def retire(self, idle: Callable[[_T], bool]) -> None:
        """End the oldest connection that is not in use."""
        for key, making in list(self._known.items()):
            if making.made and not making.waiting and idle(making.task.result()):
                del self._known[key]
                await self._end(making.task.result())
                return

    async def close(self) -> None:
        """End all connections; transfers that wait for one get a TransferError."""
        self._closed = True
        known, self._known = self._known, {}
        try:
            await cancel_and_wait(*(making.task for making in known.values()))
        finally:
            async with contextlib.AsyncExitStack() as stack:  # ends each of them, even if another one raises
                for making in known.values():
                    if making.made:
                        stack.push_async_callback(self._end, making.task.result())
