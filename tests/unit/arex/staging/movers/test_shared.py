"""Connections that transfers share: one attempt for all, no failure is kept, and no transfer waits for a closed one."""

from __future__ import annotations

import asyncio
import gc

import pytest

from arex.staging.movers.base import ErrorKind, TransferError
from arex.staging.movers.shared import Shared


class Server:
    """Connections to it are texts, with the number of the attempt."""

    def __init__(self) -> None:
        self.attempts = 0
        self.go = asyncio.Event()
        self.error: Exception | None = None
        self.ended: list[str] = []
        self.down: set[str] = set()
        self.shared = Shared(self.connect, self.end, usable=lambda connection: connection not in self.down)

    async def connect(self, key: str) -> str:
        self.attempts += 1
        number = self.attempts
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return f"{key}{number}"

    async def end(self, connection: str) -> None:
        self.ended.append(connection)


@pytest.fixture
async def server() -> Server:
    return Server()


def asking(server: Server, key: str = "a") -> asyncio.Task[str]:
    return asyncio.create_task(server.shared.of(key))


async def attempt(server: Server, number: int = 1) -> None:
    while server.attempts < number:
        await asyncio.sleep(0)


async def test_all_who_ask_share_one_attempt_and_its_connection(server: Server) -> None:
    server.go.set()
    assert {"a1"} == {await each for each in (asking(server), asking(server))}
    assert "a1" == await server.shared.of("a")
    assert "b2" == await server.shared.of("b")


async def test_a_cancelled_first_asker_takes_nothing_from_the_second(server: Server) -> None:
    first, second = asking(server), asking(server)
    await attempt(server)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    server.go.set()
    assert "a1" == await second


async def test_a_failure_reaches_all_who_wait_and_is_not_kept(server: Server) -> None:
    server.error = RuntimeError("can't start new thread")
    server.go.set()
    for each in await asyncio.gather(asking(server), asking(server), return_exceptions=True):
        assert server.error is each
    server.error = None
    assert "a2" == await server.shared.of("a")


async def test_a_failure_without_a_transfer_that_waits_is_forgotten(server: Server) -> None:
    """Neither the next transfer nor the log of asyncio gets it."""
    said: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    asker = asking(server)
    await attempt(server)
    asker.cancel()
    await asyncio.wait([asker])
    server.error = OSError("no")
    server.go.set()
    while len(server.shared):
        await asyncio.sleep(0)
    gc.collect()
    assert [] == said
    server.error = None
    assert "a2" == await server.shared.of("a")


async def test_a_connection_that_is_down_is_replaced(server: Server) -> None:
    server.go.set()
    server.down.add(await server.shared.of("a"))
    assert "a2" == await server.shared.of("a")


async def test_the_oldest_that_is_idle_is_retired(server: Server) -> None:
    server.go.set()
    for key in "abc":
        await server.shared.of(key)
    await server.shared.retire(lambda connection: connection != "a1")
    assert ["b2"] == server.ended
    assert ["a1", "b4"] == [await server.shared.of("a"), await server.shared.of("b")]


async def test_a_connection_that_a_transfer_is_about_to_get_is_not_retired(server: Server) -> None:
    retiring: list[asyncio.Future[None]] = []

    async def connect(key: str) -> str:
        # so that it runs after this has returned, and before the transfer gets it
        asyncio.get_running_loop().call_soon(lambda: retiring.append(asyncio.ensure_future(shared.retire(bool))))
        return key

    shared = Shared(connect, server.end)
    assert "a" == await shared.of("a")
    await retiring[0]
    assert [] == server.ended


async def test_closing_ends_all_and_wakes_those_who_wait(server: Server) -> None:
    server.go.set()
    await server.shared.of("a")
    server.go.clear()
    waiting = asking(server, "b")
    await attempt(server, 2)
    await server.shared.close()
    with pytest.raises(TransferError, match="the transfer was cancelled") as caught:
        await waiting
    assert ErrorKind.TEMPORARY is caught.value.verdict
    assert ["a1"] == server.ended
    with pytest.raises(TransferError, match="the transfer was cancelled"):
        await server.shared.of("a")


async def test_a_connection_that_can_not_be_ended_keeps_no_other_one_open() -> None:
    ended: list[str] = []

    async def connect(key: str) -> str:
        return key

    async def end(connection: str) -> None:
        ended.append(connection)
        if connection == "b":
            raise ZeroDivisionError

    shared = Shared(connect, end)
    for key in "abc":
        await shared.of(key)
    with pytest.raises(ZeroDivisionError):
        await shared.close()
    assert {"a", "b", "c"} == set(ended)
