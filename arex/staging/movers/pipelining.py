"""Requests ahead of their answers: for protocols that move a file in pieces, over lines that take their time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

from arex.aio import cancel_and_wait
from arex.staging.movers.base import ErrorKind, TransferError


async def read_ahead(
    read: Callable[[int, int], Awaitable[bytes]], start: int, end: int, *, piece: int, depth: int
) -> AsyncGenerator[bytes, None]:
    """
    What ``read(offset, size)`` has between two offsets, in order, with at most ``depth`` pieces asked for or in memory.

    Close it when it is not read to its end. Raises TransferError for a piece that is too short.
    """
    waiting: deque[tuple[int, asyncio.Future[bytes]]] = deque()
    try:
        while start < end or waiting:
            while start < end and len(waiting) < depth:
                size = min(piece, end - start)
                waiting.append((size, asyncio.ensure_future(read(start, size))))
                start += size
            size, answer = waiting[0]
            data = await answer
            waiting.popleft()
            if data:
                yield data
            if len(data) < size:
                raise TransferError(ErrorKind.TEMPORARY, "the response is incomplete")
    finally:
        await cancel_and_wait(*(answer for _, answer in waiting))


async def write_behind(
    write: Callable[[int, bytes], Awaitable[None]], chunks: AsyncIterator[bytes], *, depth: int
) -> int:
    """Give ``write(offset, data)`` all the chunks, ``depth`` of them at one time; how many bytes that were."""
    waiting: deque[asyncio.Future[None]] = deque()
    offset = 0
    try:
        async for data in chunks:
            waiting.append(asyncio.ensure_future(write(offset, data)))
            offset += len(data)
            while len(waiting) >= depth:
                await waiting[0]
                del waiting[0]
        while waiting:
            await waiting[0]
            del waiting[0]
    finally:
        await cancel_and_wait(*waiting)
    return offset
