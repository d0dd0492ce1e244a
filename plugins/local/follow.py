"""Polls jobs and growing files in a client: often at first, then once a second."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Final

FIRST_S: Final = 0.05
LAST_S: Final = 1.0
_CHUNK: Final = 65536

Sleep = Callable[[float], None]


def sleep(seconds: float) -> None:
    time.sleep(seconds)  # noqa: TID251 - a command that waits, no event loop here


class PollInterval:
    """The time until the next poll, which grows while nothing changes."""

    def __init__(self, pause: Sleep = sleep) -> None:
        self._pause = pause
        self._next_s = FIRST_S
        self.passed_s = 0.0

    def wait(self) -> None:
        self._pause(self.next())

    def next(self) -> float:
        """Seconds to wait before the next poll, for callers that wait in their own way."""
        now_s = self._next_s
        self.passed_s += now_s
        self._next_s = min(now_s * 1.5, LAST_S)
        return now_s

    def hurry(self) -> None:
        """Poll often again after a change."""
        self._next_s = FIRST_S


class Tail:
    """Reads the new part of a file since the last poll; the file may not exist yet."""

    def __init__(self, open_file: Callable[[], int | None]) -> None:
        self._open = open_file
        self._fd: int | None = None

    def read(self) -> Iterator[bytes]:
        """The new part of the file, in pieces."""
        if self._fd is None:
            self._fd = self._open()
        while self._fd is not None and (data := os.read(self._fd, _CHUNK)):
            yield data

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def contents(tail: Tail, ended: Callable[[], bool], pace: PollInterval) -> Iterator[bytes]:
    """The content of a file and everything that is added to it, until ``ended`` and the end of the file; closes it."""
    try:
        while True:
            # before reading, so that everything that was written before the end has been read when we stop
            over = ended()
            for data in tail.read():
                pace.hurry()
                yield data
            if over:
                return
            pace.wait()
    finally:
        tail.close()
