"""Several requests at the same time, for protocols that move a file in pieces over slow connections."""

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
    The bytes between two offsets, in order, from calls of ``read(offset, size)``; at most ``depth`` at the same time.

    Close the generator if you stop before its end. Raises TransferError for a piece that is too short.
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
    """Call ``write(offset, data)`` for all chunks, ``depth`` at the same time; returns the number of bytes."""
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
