"""
The files of a run directory, which the payload may have replaced, closed or removed. Standard library only.

Nothing here waits for a FIFO or follows a symbolic link that the payload has put there.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
from typing import Final

# pathlib is too heavy for the forkserver, of which every job's supervisor is a copy
# ruff: noqa: PTH101, PTH102, PTH104, PTH108, PTH116, PTH120

_SAFE: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: How to open a file that may be a link, such as a program.
LINKED: Final = os.O_NONBLOCK | os.O_CLOEXEC
_serial: Final = itertools.count()


class Replaced(OSError):
    """There is something else than a regular file."""


def open_regular(path: str, how: int = os.O_RDONLY, safe: int = _SAFE) -> int:
    """
    Open a file, or create it with mode 0600; ``how`` and ``safe`` are flags of ``os.open``.

    Raises:
        Replaced: it is not a regular file.
        OSError: it cannot be opened now.
    """
    try:
        fd = os.open(path, how | safe, 0o600)
    except OSError as exc:
        if exc.errno in {errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENODEV}:
            raise Replaced(exc.errno, "not a regular file", path) from exc
        raise
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise Replaced(errno.EINVAL, "not a regular file", path)


def read(path: str, limit: int, safe: int = _SAFE) -> bytes:
    """The first ``limit`` bytes; raises as ``open_regular``."""
    fd = open_regular(path, safe=safe)
    try:
        return os.read(fd, limit)
    finally:
        os.close(fd)


def append(path: str, data: bytes) -> None:
    """Append all or nothing; raises as ``open_regular``."""
    fd = open_regular(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        size = os.fstat(fd).st_size
        if os.write(fd, data) != len(data):
            os.ftruncate(fd, size)
            raise OSError(errno.ENOSPC, "incomplete write", path)
    finally:
        os.close(fd)


def put(path: str, data: bytes) -> None:
    """Replace whatever has this name by a file, atomically. Raises OSError; the old one is still there then."""
    new = f"{path}.{os.getpid()}.{next(_serial)}"
    create(new, data)
    try:
        try:
            os.rename(new, path)
        except IsADirectoryError:
            os.rename(path, f"{new}.old")
            os.rename(new, path)
    except OSError:
        os.unlink(new)
        raise


def create(path: str, data: bytes) -> None:
    """Create a file that does not exist; raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE, 0o600)
    try:
        if os.write(fd, data) == len(data):
            return
    except OSError:
        os.unlink(path)
        raise
    finally:
        os.close(fd)
    os.unlink(path)
    raise OSError(errno.ENOSPC, "incomplete write", path)


def open_up(rundir: str) -> None:
    """Give a run directory and its parent back the permissions that the payload has taken; raises OSError."""
    for path in (os.path.dirname(rundir), rundir):
        _open_directory(path)


def _open_directory(path: str) -> None:
    fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        mode = stat.S_IMODE(os.fstat(fd).st_mode)
        if mode & 0o700 != 0o700:
            os.chmod(f"/proc/self/fd/{fd}", mode | 0o700)  # fchmod is not allowed for O_PATH
    finally:
        os.close(fd)


def restore(rundir: str, root: tuple[int, int]) -> bool:
    """
    Make a run directory usable again; returns whether it was gone and is now an empty one.

    Args:
        rundir: its path.
        root: identity of the session root. In another one nothing is created: the session root is away, and comes
            back.

    Raises:
        OSError: it is not usable now.
    """
    above = os.path.dirname(rundir)
    made = False
    for path in (above, rundir):
        try:
            there = True
            is_directory = stat.S_ISDIR(os.lstat(path).st_mode)
        except FileNotFoundError:
            there = is_directory = False
        if not is_directory:
            if root_identity(rundir) != root:
                raise OSError(errno.ENODEV, "another directory is in the place of the session root", path)
            if there:
                os.unlink(path)
            os.mkdir(path, 0o700)
            made = True
        _open_directory(path)
    return made


def root_identity(rundir: str) -> tuple[int, int]:
    """Device and inode of the session root; raises OSError."""
    info = os.stat(os.path.dirname(os.path.dirname(rundir)))
    return info.st_dev, info.st_ino


def damage(rundir: str) -> str:
    """
    What has been done to the run directory of a running job; empty if nothing.

    Raises:
        OSError: it cannot be examined.
    """
    for path in (os.path.dirname(rundir), rundir):
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            return "its run directory was removed"
        if not stat.S_ISDIR(mode):
            return "its run directory was replaced"
        if mode & 0o500 != 0o500:
            return "its run directory was closed"
    if os.path.lexists(f"{rundir}/done"):
        return "there is a completion record that its supervisor has not written"
    return ""
