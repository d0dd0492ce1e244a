from __future__ import annotations

import asyncio
import random
import socket
from typing import Any

import pytest

from arex.staging.movers.isolated.wire import (
    LARGEST,
    LEAST,
    WINDOW,
    BrokenWire,
    Credit,
    Debt,
    Kind,
    Wire,
    cost,
    encoded,
)


class Receiver:
    """One end of a wire, and what it heard; the other end is a bare socket."""

    def __init__(self) -> None:
        ours, self.far = socket.socketpair()
        self.words: list[tuple[Kind, int, Any]] = []
        self.bytes: dict[int, bytes] = {}
        self.prices: dict[int, int] = {}
        self.lasts = 0
        self.ends: list[str] = []
        self.wire = Wire(ours, word=self._word, data=self._data, ended=self.ends.append)

    def _word(self, kind: Kind, number: int, word: Any) -> None:
        self.words.append((kind, number, word))

    def _data(self, number: int, piece: bytes, price: int, last: bool) -> None:
        self.bytes[number] = self.bytes.get(number, b"") + piece
        self.prices[number] = self.prices.get(number, 0) + price
        self.lasts += last

    async def hear(self, data: bytes, cut: int = 0) -> None:
        """All of it, in parts of ``cut`` bytes."""
        for first in range(0, len(data), cut or len(data)):
            self.far.sendall(data[first : first + (cut or len(data))])
            for _ in range(3):
                await asyncio.sleep(0)

    def close(self) -> None:
        self.wire.close()
        self.far.close()


def data_frame(number: int, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + bytes([Kind.DATA]) + number.to_bytes(8, "big") + data


@pytest.mark.parametrize("cut", [1, 2, 7, 13, 14, 100, 0])
async def test_frames_read_however_they_are_cut(cut: int) -> None:
    receiver = Receiver()
    small, large = b"x" * 10, bytes(range(256)) * 20
    await receiver.hear(
        encoded(Kind.PING, 0, None)
        + data_frame(3, small)
        + encoded(Kind.DONE, 5, {"a": "ü"})
        + data_frame(4, large)
        + encoded(Kind.CREDIT, 2**64 - 1, 7),
        cut,
    )
    assert [(Kind.PING, 0, None), (Kind.DONE, 5, {"a": "ü"}), (Kind.CREDIT, 2**64 - 1, 7)] == receiver.words
    assert {3: small, 4: large} == receiver.bytes
    assert {3: LEAST, 4: len(large)} == receiver.prices
    assert 2 == receiver.lasts
    receiver.far.close()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [""] == receiver.ends
    receiver.close()


@pytest.mark.parametrize("seed", range(50))
async def test_junk_ends_the_wire_and_nothing_else(seed: int) -> None:
    """A length of more than a megabyte, an unknown kind or no JSON: one of them comes soon."""
    chance = random.Random(seed)
    receiver = Receiver()
    await receiver.hear(encoded(Kind.PONG, 0, None) + bytes([255]) + chance.randbytes(5000))
    assert [(Kind.PONG, 0, None)] == receiver.words
    (why,) = receiver.ends
    assert why
    receiver.close()


@pytest.mark.parametrize(
    ("junk", "why"),
    [
        (data_frame(1, b""), "invalid frame length: 0 bytes"),
        (b"\x00\x10\x00\x01" + bytes(9), "invalid frame length: 1048577 bytes"),
        (b"\x00\x00\x00\x00" + bytes([77]) + bytes(8), "unknown frame kind 77"),
        (encoded(Kind.DONE, 1, 1)[:-1] + b"}", "invalid JSON message"),
    ],
)
async def test_a_broken_frame_is_named(junk: bytes, why: str) -> None:
    receiver = Receiver()
    await receiver.hear(junk)
    assert [why] == receiver.ends
    receiver.close()


async def test_what_the_other_side_does_not_read_waits_and_comes_in_order() -> None:
    receiver = Receiver()
    block = bytes(LARGEST)
    for number in range(8):
        receiver.wire.put_data(number, memoryview(block))
    receiver.wire.put(Kind.END, 1)
    room = asyncio.ensure_future(receiver.wire.room())
    await asyncio.sleep(0)
    assert not room.done()
    receiver.far.setblocking(False)
    got = bytearray()
    while len(got) < 8 * (LARGEST + 13) + 17:
        try:
            got += receiver.far.recv(1 << 20)
        except BlockingIOError:
            await asyncio.sleep(0)
    await room
    expected = b"".join(data_frame(number, block) for number in range(8)) + encoded(Kind.END, 1, None)
    assert expected == got
    receiver.close()


async def test_messages_to_a_closed_peer_are_dropped_and_earlier_ones_arrive() -> None:
    receiver = Receiver()
    receiver.far.sendall(encoded(Kind.DONE, 1, None))
    receiver.far.close()
    for _ in range(10):
        receiver.wire.put_data(1, memoryview(bytes(LARGEST)))
    await receiver.wire.room()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [(Kind.DONE, 1, None)] == receiver.words
    assert [""] == receiver.ends
    receiver.wire.put(Kind.PING)
    receiver.close()


async def test_who_reads_nothing_is_left() -> None:
    receiver = Receiver()
    for _ in range(8):
        receiver.wire.put_data(0, memoryview(bytes(LARGEST)))
    for _ in range(100_001):
        receiver.wire.put(Kind.PING)
    await asyncio.sleep(0)
    assert ["it does not receive what is sent"] == receiver.ends
    receiver.close()


def test_a_word_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        encoded(Kind.DONE, 1, "x" * LARGEST)


async def test_credit_is_what_was_taken_and_no_more() -> None:
    credit, told = Credit(), list[int]()
    debt = Debt(told.append)
    for _ in range(WINDOW // LARGEST):
        await credit.take(LARGEST)
        debt.came(cost(LARGEST))
    waiting = asyncio.ensure_future(credit.take(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    with pytest.raises(BrokenWire):
        debt.came(1)
    debt.taken(LARGEST)
    assert [LARGEST] == told
    credit.give(told[0])
    await waiting
    for wrong in (WINDOW, 0, -1, "1", None):
        with pytest.raises(BrokenWire):
            credit.give(wrong)
