"""A mover that does what the path of its URL says; it runs in a separate process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from arex.staging.checksum import Checksum
from arex.staging.movers.base import ErrorKind, FileInfo, MoverSettings, RemoteFile, Resume, Sink, Source, TransferError
from arex.staging.movers.isolated.wire import Kind, encoded

FACTS: Final = FileInfo(
    size=5, modified=datetime(2026, 1, 2, 3, 4, 5, 678, UTC), etag='"e"', checksums=(Checksum("adler32", "00000001"),)
)
PIECE: Final = bytes(range(256)) * 4096


class OddMover:
    def __init__(self, means: MoverSettings) -> None:
        self._means = means

    async def stat(self, place: RemoteFile) -> FileInfo:
        word, _, rest = place.url.path.strip("/").partition("/")
        match word:
            case "variable":
                return FileInfo(etag=os.environ.get(rest, ""))
            case "means":
                return FileInfo(etag=f"{self._means.cert_dir} {self._means.http_proxy} {self._means.inactivity_s}")
            case "who":
                return FileInfo(etag=f"{place.credential} {place.url.options}")
            case "say":
                for number in range(1000):
                    sys.stderr.write(f"line {number} root://host//file?authz=hidden\n")
                sys.stderr.flush()
            case "stand":
                time.sleep(60)
            case "die":
                os.kill(os.getpid(), int(rest))
            case "junk":
                os.write(int(sys.argv[1]), bytes.fromhex(rest))
                await asyncio.sleep(60)
            case _:
                _raise(word)
        return FACTS

    async def fetch(self, place: RemoteFile, sink: Sink, resume: Resume | None) -> None:
        word, _, rest = place.url.path.strip("/").partition("/")
        start = 0 if resume is None else resume.offset
        await sink.begin(FileInfo(size=start), start)
        if word == "own":
            await sink.write(b"first")
            await _frames(int(rest))
        for _ in range(int(rest)):
            if word == "tiny":
                await sink.write(b"x")
            else:
                await sink.write(PIECE)

    async def send(self, place: RemoteFile, source: Source, *, overwrite: bool) -> None:
        """Begins three times; what is not whole goes."""
        path = Path(place.url.path)
        assert overwrite
        try:
            for _ in range(2):
                async with contextlib.aclosing(source.chunks()) as chunks:  # type: ignore[type-var]
                    for _ in range(3):
                        await anext(chunks)
                        path.write_bytes(b"half")
            with path.open("wb") as out:
                async for data in source.chunks():
                    out.write(data)
        except BaseException:
            path.unlink()
            raise

    async def close(self) -> None:
        sys.stderr.write("closed\n")


class NoMover:
    def __init__(self, means: MoverSettings) -> None:
        raise ZeroDivisionError(str(means.cert_dir))


def _raise(word: str) -> None:
    if word == "bug":
        raise KeyError(word)
    if word == "trouble":
        raise TransferError(ErrorKind.NO_SPACE, "a\nb", cure="c", retry_after=1.5)


async def _frames(number: int) -> None:
    """Bytes without end, for which there is no credit."""
    sock = int(sys.argv[1])
    frame = len(PIECE).to_bytes(4, "big") + bytes([Kind.DATA]) + number.to_bytes(8, "big") + PIECE
    while True:
        for first in range(0, len(frame), 4096):
            while True:
                with contextlib.suppress(BlockingIOError):
                    os.write(sock, frame[first : first + 4096])
                    break
                await asyncio.sleep(0)


def junk() -> dict[str, bytes]:
    """Frames that no honest process sends, for the first request; and what is said of them."""
    deep = b"[" * 20_000
    return {
        "invalid frame length": b"\xff" * 64,
        "unknown frame kind 99": _frame(99, b"1"),
        "unexpected message FETCH": _frame(Kind.FETCH, b"1"),
        "unexpected answer": encoded(Kind.DONE, 77, None),
        "invalid JSON message": _frame(Kind.DONE, b"{"),
        "invalid JSON": _frame(Kind.DONE, deep),
        "unexpected message PULL in a STAT request": encoded(Kind.PULL, 1, None),
        "data before its start message": _frame(Kind.DATA, b"x"),
        "duplicate start message": encoded(Kind.READY, 0, None),
        "invalid file facts": encoded(Kind.DONE, 1, [1]),
        "invalid number": encoded(Kind.DONE, 1, [-1, None, "", []]),
        "invalid text": encoded(Kind.DONE, 1, [1, None, 5, []]),
        "time without a time zone": encoded(Kind.DONE, 1, [1, "2026-01-01T00:00:00", "", []]),
        "invalid checksum": encoded(Kind.DONE, 1, [1, None, "", [["md6", "00"]]]),
        "invalid error record": encoded(Kind.TROUBLE, 1, ["odd", "", "", None]),
        "invalid time": encoded(Kind.TROUBLE, 1, ["temporary", "", "", "soon"]),
        "invalid bug record": encoded(Kind.BUG, 1, {}),
    }


def _frame(kind: int, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + bytes([kind]) + (1).to_bytes(8, "big") + body
