"""File systems that fill up and become read-only; needs a separate mount namespace, as root: ``unshare --mount``."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

_FILLER: Final = "filler"
_PIECE: Final = bytes(1 << 20)


def mount_tmpfs(path: Path, size_mb: int) -> None:
    path.mkdir(parents=True)
    _mount("-t", "tmpfs", "-o", f"size={size_mb}m,mode=755", "tmpfs", str(path))


def fill(path: Path) -> None:
    """Until there is no space left."""
    fd = os.open(path / _FILLER, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for piece in (_PIECE, _PIECE[:4096], b"x"):
            with contextlib.suppress(OSError):
                while os.write(fd, piece):
                    pass
    finally:
        os.close(fd)


def empty(path: Path) -> None:
    """Make space again, and keep half of it free: what ended jobs leave would fill any file system for good."""
    (path / _FILLER).unlink(missing_ok=True)
    usage = shutil.disk_usage(path)
    if usage.free < usage.total // 2:
        _mount("-o", f"remount,size={2 * usage.total}", str(path))


def make_read_only(path: Path) -> None:
    """For those who open names from now on; files that are open for writing stay so."""
    beside = path.with_name(f"{path.name}.read-only")
    beside.mkdir(exist_ok=True)
    _mount("--bind", str(path), str(beside))
    _mount("-o", "remount,bind,ro", str(beside))
    _mount("--bind", str(beside), str(path))
    subprocess.run(["umount", "--lazy", str(beside)], check=True)


def make_writable(path: Path) -> None:
    """Take the last ``make_read_only`` back."""
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)
