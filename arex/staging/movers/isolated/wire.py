"""
Frames between the daemon and a mover in a separate process, for both sides of the socket.

A frame is a header (length, kind, number of the request) and a body: a word, which is JSON, or bytes of a file. Bytes
of a file are sent on credit: for each request, at most ``WINDOW`` of them are sent and not consumed yet. So a slow
transfer does not delay others, and memory is limited. A frame costs at least ``LEAST``, even if it has fewer bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from itertools import islice
from typing import Any, Final

#: Longest body, in bytes.
LARGEST: Final = 1024 * 1024
WINDOW: Final = 4 * 1024 * 1024
LEAST: Final = 4096
#: Bytes that are consumed before the other side gets new credit.
_SETTLED: Final = WINDOW // 8
_HEADER: Final = struct.Struct(">IBQ")
#: Bytes to read if a header is next. Bytes of a file that come with it are copied, so this is small.
_HEAD: Final = 4096
_PIECE: Final = 256 * 1024
#: Other tasks can run after this many reads.
_READS: Final = 16
_VIEWS: Final = 64
_MOST_QUEUED: Final = 4 * 1024 * 1024
_MOST_FRAMES: Final = 100_000


class Kind(IntEnum):
    """The type of a frame."""

    # from the daemon
    HELLO = 1
    STAT = 2
    FETCH = 3
    SEND = 4
    CANCEL = 5
    PING = 6
    CLOSE = 7
    START = 8  #: bytes from the start follow, earlier ones do not count
    END = 9  #: all bytes were sent
    # from both
    DATA = 16
    CREDIT = 17
    # from the mover's process
    READY = 32
    UNLOADABLE = 33
    PONG = 34
    BEGIN = 35
    PULL = 36
    DONE = 37
    TROUBLE = 38
    GONE = 39  #: cancelled
    BUG = 40


class BrokenWire(Exception):
    """A protocol error of the other side; the message names the violated rule."""


class Credit:
    """How many bytes of a file one sender may still send."""

    def __init__(self) -> None:
        self._left = WINDOW
        self._given = asyncio.Event()

    async def take(self, size: int) -> None:
        """Wait until a frame of this size may be sent."""
        while self._left < cost(size):
            self._given.clear()
            await self._given.wait()
        self._left -= cost(size)

    def give(self, size: object) -> None:
        """
        Add credit for bytes that the other side has consumed.

        Raises:
            BrokenWire: that is more than was sent.
        """
        if not isinstance(size, int) or size <= 0 or self._left + size > WINDOW:
            raise BrokenWire("it confirms more bytes than were sent")
        self._left += size
        self._given.set()


class Debt:
    """Received bytes that were not consumed yet, and consumed bytes without new credit yet."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell = tell
        self._open = self._taken = 0

    def came(self, price: int) -> None:
        """Raises BrokenWire: more than ``WINDOW``."""
        self._open += price
        if self._open > WINDOW:
            raise BrokenWire("more bytes than the flow control allows")

    def taken(self, price: int) -> None:
        self._taken += price
        if self._taken >= _SETTLED:
            self._open -= self._taken
            self._tell(self._taken)
            self._taken = 0


def cost(size: int) -> int:
    """How much credit a frame takes."""
    return max(size, LEAST)


class Wire:
    """
    One end of the socket. ``word`` is called for words, ``data(number, piece, price, last)`` for each piece of data.

    Both may raise BrokenWire. ``ended`` is called once, from the loop, with the reason, which is empty if the other
    side has closed the socket; not after ``close``. Frames that are sent after the end are dropped.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        word: Callable[[Kind, int, Any], None],
        data: Callable[[int, bytes, int, bool], None],
        ended: Callable[[str], None],
    ) -> None:
        self._socket, self._word, self._data, self._ended = sock, word, data, ended
        self._loop = asyncio.get_running_loop()
        self._out: deque[memoryview] = deque()
        self._queued = 0
        self._waiting = False  #: until the socket can be written again
        self._room = asyncio.Event()
        self._room.set()
        self._got = bytearray()  #: an incomplete header or word
        self._left = self._number = 0  #: of the data frame that is being received
        self._open = True
        self._write_closed = False  #: the other side no longer receives
        sock.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, LARGEST)
        self._loop.add_reader(sock.fileno(), self._readable)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
            self._socket.close()
            self._close_write()

    def _end(self, why: str) -> None:
        if self._open:
            self.close()
            self._ended(why)

    # --- out ----------------------------------------------------------------------------------------------------

    def put(self, kind: Kind, number: int = 0, word: object = None) -> None:
        """Send a word; it is queued until the socket can be written."""
        self._put(encoded(kind, number, word))

    def put_data(self, number: int, data: memoryview) -> None:
        """Send bytes of a file, at most ``LARGEST``; they are not copied."""
        self._put(_HEADER.pack(len(data), Kind.DATA, number), data)

    async def room(self) -> None:
        """Wait while many bytes are queued that the other side has not read."""
        await self._room.wait()

    def _put(self, *parts: bytes | memoryview) -> None:
        if not self._open or self._write_closed:
            return
        self._out.extend(map(memoryview, parts))
        self._queued += sum(map(len, parts))
        if self._queued > _MOST_QUEUED:
            self._room.clear()
        if len(self._out) > _MOST_FRAMES:
            self._loop.call_soon(self._end, "it does not receive what is sent")
        if not self._waiting:
            self._flush()

    def _flush(self) -> None:
        try:
            while self._out:
                self._sent(self._socket.sendmsg(list(islice(self._out, _VIEWS))))
        except BlockingIOError:
            if not self._waiting:
                self._waiting = True
                self._loop.add_writer(self._socket.fileno(), self._flush)
            return
        except OSError:
            self._close_write()  # its last frames are still read
        if self._waiting:
            self._waiting = False
            self._loop.remove_writer(self._socket.fileno())

    def _close_write(self) -> None:
        self._write_closed = True
        self._out.clear()
        self._room.set()

    def _sent(self, size: int) -> None:
        self._queued -= size
        while size and size >= len(self._out[0]):
            size -= len(self._out.popleft())
        if size:
            self._out[0] = self._out[0][size:]
        if self._queued <= _MOST_QUEUED:
            self._room.set()

    # --- in -----------------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        try:
            for _ in range(_READS):
                if not self._open:
                    return
                data = self._socket.recv(min(self._left, _PIECE) if self._left else _HEAD)
                if not data:
                    self._end("")
                    return
                self._take(data)
        except BlockingIOError:
            return
        except BrokenWire as exc:
            self._end(str(exc))
        except OSError:
            self._end("")

    def _take(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
            self._data(self._number, data, len(data), not self._left)
            return
        self._got += data
        while self._open and (used := self._frame()):
            del self._got[:used]

    def _frame(self) -> int:
        """Process the frame at the start of the buffer; returns the number of bytes that were used."""
        if len(self._got) < _HEADER.size:
            return 0
        length, kind, number = _HEADER.unpack_from(self._got)
        if length > LARGEST or (kind == Kind.DATA and not length):
            raise BrokenWire(f"invalid frame length: {length} bytes")
        body = bytes(self._got[_HEADER.size : _HEADER.size + length])
        if kind == Kind.DATA:
            self._left, self._number = length - len(body), number
            if body or length < LEAST:
                self._data(number, body, cost(length) - self._left, not self._left)
        elif len(body) < length:
            return 0
        else:
            self._word(_kind(kind), number, _parsed(body))
        return _HEADER.size + len(body)


def encoded(kind: Kind, number: int, word: object) -> bytes:
    """A frame with a word. Raises ValueError for one that is too long."""
    body = json.dumps(word, separators=(",", ":")).encode()
    if len(body) > LARGEST:
        raise ValueError(f"the message is too long: {len(body)} bytes")
    return _HEADER.pack(len(body), kind, number) + body


def _kind(number: int) -> Kind:
    with contextlib.suppress(ValueError):
        return Kind(number)
    raise BrokenWire(f"unknown frame kind {number}")


def _parsed(body: bytes) -> Any:  # noqa: ANN401 - callers check the type
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise BrokenWire("invalid JSON message") from exc
