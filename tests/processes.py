"""Other processes for tests: they say a word when they are ready, and are killed at the end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def ready(argv: Sequence[str], word: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has printed the line ``word``; ``environment`` is added to ours."""
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, env={**os.environ, **environment})
    assert process.stdout is not None
    try:
        assert f"{word}\n".encode() == process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
