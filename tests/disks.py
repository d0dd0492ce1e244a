"""A disk that is soon full: a small tmpfs, which needs root."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def small_disk(place: Path, *, mode: int = 0o700) -> Iterator[Path]:
    """A file system of two megabytes, on a directory that is made if need be."""
    place.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size=2m,mode={mode:o}", "tmpfs", str(place)], capture_output=True, check=False
    )
    assert 0 == done.returncode, f"a small file system can't be mounted (this needs root): {done.stderr!r}"
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> Path:
    """Until not one byte more fits; remove what is returned, and there is room."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return ballast
