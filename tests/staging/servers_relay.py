"""A line between a client and a server that can be cut, or fall silent, after so many bytes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field


@dataclass
class Relay:
    """Counts what the server sends, and lets only so much of it through; ``up_limit`` is for what it is sent."""

    target: int
    port: int = 0
    limit: int | None = None  #: of the next bytes from the server
    up_limit: int | None = None
    silent: bool = False  #: at the limit: silence instead of a cut
    at_limit: Callable[[], object] = lambda: None  #: called once, before the cut
    change: tuple[bytes, bytes] | None = None  #: in what the server sends
    down: int = 0
    up: int = 0
    connections: int = 0
    marks: list[int] = field(default_factory=list)  #: ``down`` at each cut
    open: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            self.open -= 1
            writer.transport.abort()
            return
        try:
            async with asyncio.TaskGroup() as group:
                up = group.create_task(self._pump(reader, far_writer, down=False))
                down = group.create_task(self._pump(far_reader, writer, down=True))
                await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
                up.cancel()
                down.cancel()
        finally:
            self.open -= 1
            writer.transport.abort()
            far_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, down: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(64 * 1024):
                if down:
                    self.down += len(data)
                else:
                    self.up += len(data)
                if self._exhausted(len(data), down=down):
                    if self.silent:
                        await asyncio.sleep(3600)
                    return
                if down and self.change is not None and self.change[0] in data:
                    data = data.replace(*self.change, 1)
                writer.write(data)
                await writer.drain()

    def _exhausted(self, size: int, *, down: bool) -> bool:
        left = self.limit if down else self.up_limit
        if left is None:
            return False
        left -= size
        if left > 0:
            self.limit, self.up_limit = (left, self.up_limit) if down else (self.limit, left)
            return False
        if not self.silent:
            self.limit = self.up_limit = None
        self.marks.append(self.down if down else self.up)
        at_limit, self.at_limit = self.at_limit, lambda: None
        at_limit()
        return True


@contextlib.asynccontextmanager
async def relay_to(port: int) -> AsyncIterator[Relay]:
    relay = Relay(port)
    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(relay.serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    relay.port = listener.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        listener.close()
        for each in list(serving):
            each.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
