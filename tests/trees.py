"""Directory trees: those that a service changes while a test looks at them, and deep ones."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path


def everything_below(root: Path) -> list[Path]:
    """All files and directories; ``Path.rglob`` raises if a directory is removed while it walks."""
    return [Path(top) / name for top, directories, files in os.walk(root) for name in (*directories, *files)]


@contextlib.contextmanager
def deep(top: Path, depth: int) -> Iterator[None]:
    """
    A directory with ``depth`` directories below each other, all called ``d``, and ``file`` in the last one.

    What is left of it is removed at the end, since pytest can't do that.
    """
    try:
        _make_deep(top, depth)
        yield
    finally:
        subprocess.run(["rm", "-rf", top], check=True)


def _make_deep(top: Path, depth: int) -> None:
    top.mkdir()
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=fd))
    os.close(fd)
