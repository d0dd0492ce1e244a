"""Other processes for tests: they say a word when they are ready, and are killed at the end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

#: A pid that no process has or gets: the largest one is 4194304. The pid of a process that has ended is soon reused.
NO_PROCESS: Final = 999_999_999


@contextmanager
def ready(argv: Sequence[str], word: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """
    A process that has printed the line ``word``; ``environment`` is added to ours.

    Its standard input stays open and empty, so a shell can wait with ``read``. It should not ``exec`` another program
    after the word: its command line and environment are empty while it does.
    """
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **environment})
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert f"{word}\n".encode() == process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
