"""Requests ahead of their answers: whatever ends a transfer, none of its requests outlives it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from arex.staging.movers.base import TransferError
from arex.staging.movers.pipelining import read_ahead, write_behind


async def test_pieces_come_in_order_with_a_limit_of_those_that_are_asked_for() -> None:
    under_way, most = 0, 0

    async def read(offset: int, size: int) -> bytes:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001 if offset % 2 else 0)
        under_way -= 1
        return bytes([offset]) * size

    found = [data async for data in read_ahead(read, 1, 10, piece=1, depth=3)]
    assert [bytes([offset]) for offset in range(1, 10)] == found
    assert most <= 3


async def test_a_piece_that_is_too_short_is_an_error() -> None:
    async def read(_offset: int, _size: int) -> bytes:
        return b"x"

    with pytest.raises(TransferError, match="the response is incomplete"):
        [data async for data in read_ahead(read, 0, 10, piece=5, depth=3)]


async def test_no_request_outlives_a_source_that_fails() -> None:
    under_way = 0

    async def write(_offset: int, _data: bytes) -> None:
        nonlocal under_way
        under_way += 1
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            under_way -= 1

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x"
            await asyncio.sleep(0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await write_behind(write, chunks(), depth=5)
    assert 0 == under_way
