"""A thread for blocking libraries: it makes one call after another; the caller may leave at any time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Worker:
    """
    Makes calls in order; the result is dropped if the caller has left.

    Nothing waits for the thread, neither ``leave`` nor the end of the process. So a call must not use anything that
    other threads use, and returns the bytes that it has read. ``ended`` is called in the loop when the thread ends.
    """

    def __init__(self, ended: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = ended
        self._calls: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = SimpleQueue()
        threading.Thread(target=self._run, name="arex-storage", daemon=True).start()

    async def call(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await self._put(partial(function, *args, **kwargs))

    def leave(self, last: Callable[[], None]) -> asyncio.Future[None]:
        """Make the call ``last`` and then no other; the future shows when that has ended."""
        parting = self._put(last)
        parting.add_done_callback(lambda done: done.cancelled() or done.exception())  # mark its exception as retrieved
        self._calls.put(None)
        return parting

    def _put(self, function: Callable[[], _T]) -> asyncio.Future[_T]:
        answer: asyncio.Future[_T] = self._loop.create_future()
        self._calls.put((function, answer))
        return answer

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            function, answer = call
            try:
                settle = partial(_settle, answer, function())
            except BaseException as exc:  # noqa: BLE001 - whatever it is belongs to who asked
                settle = partial(_fail, answer, exc)
            self._tell(settle)
            del call, function, answer, settle  # do not keep a megabyte until the next call
        self._tell(self._ended)

    def _tell(self, what: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(what)


def _settle(answer: asyncio.Future[_T], value: _T) -> None:
    if not answer.done():
        answer.set_result(value)


def _fail(answer: asyncio.Future[Any], exc: BaseException) -> None:
    if not answer.done():
        answer.set_exception(RuntimeError(repr(exc)) if isinstance(exc, StopIteration) else exc)
