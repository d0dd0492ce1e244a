"""
How a control file is written and read: plain synchronous functions, no half file, no symbolic link followed.

Call them in a worker thread.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import stat
from typing import Final

from arex.errors import CorruptFile

# a pipe in place of a file would block a thread; with this flag it is an error
_O_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_O_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_serial: Final = itertools.count()

_PAGE: Final = 4096
#: Largest control file that is read, but for descriptions.
MAX_SIZE: Final = 16 * 1024 * 1024


def put(path: str, data: bytes, *, mode: int = 0o600, durable: bool = False) -> None:
    """
    Replace a file as a whole: a reader sees the old content or the new one.

    ``durable`` also survives a power cut, at the price of a disk flush.

    Raises:
        OSError: nothing has changed.
    """
    temporary = f"{path}.~{os.getpid()}.{next(_serial)}"
    fd = os.open(temporary, _O_WRITE | os.O_EXCL, mode)
    try:
        try:
            write_all(fd, data)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def create(path: str, data: bytes, *, mode: int = 0o600) -> None:
    """
    Create a file directly under its name; no process reads it before another file announces it.

    A crash may leave it empty, so whoever makes it looks at what is there when it does so again.

    Raises:
        FileExistsError: there is something of that name.
        OSError: nothing has changed.
    """
    fd = os.open(path, _O_WRITE | os.O_EXCL, mode)
    try:
        if data:
            write_all(fd, data)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise
    finally:
        os.close(fd)


def force(path: str) -> None:
    """Wait until a file and its name survive a power cut; raises OSError."""
    fd = os.open(path, _O_READ)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def writer_of(name: str) -> int | None:
    """Pid of the process that made this file as the unfinished half of ``put``; None for any other file."""
    _, mark, tail = name.rpartition(".~")
    pid = tail.partition(".")[0]
    return int(pid) if mark and pid.isdigit() else None


def rewrite(path: str, data: bytes) -> None:
    """
    Replace the content of a file that readers lock, ``.local``, in place and under its lock as ARC does.

    Growing within a page is one write that no crash of ours can halve, and costs no new file; anything else goes
    the way of ``put``.

    Raises:
        BlockingIOError: another process holds the lock; retry later.
    """
    if len(data) > _PAGE:
        put(path, data)
        return
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        put(path, data)
        return
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode) or info.st_size > len(data):
            put(path, data)
            return
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.pwrite(fd, data, 0)
    finally:
        os.close(fd)


def put_line(path: str, data: bytes, *, final: bool = False) -> None:
    """
    Replace a file of one short line whose readers look at the first line only: a status file.

    The new line goes over the old one in one write, so that no reader sees a mixture and no file is made; the rest of
    a longer old line is cut off after a line break has set it apart, and a shorter one gets line breaks before.
    A longer line that is ``final`` replaces the file, which a file system orders before the renames that follow: no one
    would mend that one after a power cut.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        put(path, data)
        return
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode) or info.st_size > _PAGE or (final and info.st_size < len(data)):
            put(path, data)
        elif info.st_size < len(data):
            os.pwrite(fd, b"\n" * (len(data) - info.st_size), info.st_size)
            os.pwrite(fd, data, 0)
        elif info.st_size == len(data):
            os.pwrite(fd, data, 0)
        else:
            os.pwrite(fd, data + b"\n", 0)
            os.ftruncate(fd, len(data))
    finally:
        os.close(fd)


def append(path: str, data: bytes, *, mode: int = 0o600) -> None:
    """Add to the end in one write; concurrent writers do not mix within a line."""
    fd = os.open(path, _O_WRITE | os.O_APPEND, mode)
    try:
        write_all(fd, data)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    """A full disk may take a part only; then the rest raises."""
    done = os.write(fd, data)
    while done < len(data):
        done += os.write(fd, data[done:])


def touch(path: str, *, mode: int = 0o600) -> None:
    """Create the file if it does not exist; its content is not changed."""
    os.close(os.open(path, _O_WRITE, mode))


def read(path: str, *, limit: int = MAX_SIZE) -> bytes | None:
    """
    Content of a regular file, or None if there is none of that name.

    Raises:
        CorruptFile: not a regular file (a symbolic link is none), or larger than ``limit``.
        OSError: it exists and cannot be read.
    """
    fd = _open(path)
    if fd is None:
        return None
    try:
        return _read_regular(fd, path, limit)
    finally:
        os.close(fd)


def _open(path: str) -> int | None:
    try:
        return os.open(path, _O_READ)
    except FileNotFoundError:
        return None
    except OSError as exc:
        if os.path.islink(path):
            raise CorruptFile(path, "a symbolic link, not a regular file") from exc
        raise


def _read_regular(fd: int, path: str, limit: int) -> bytes:
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode):
        raise CorruptFile(path, "not a regular file")
    if info.st_size > limit:
        raise CorruptFile(path, f"too large: {info.st_size} bytes; the limit is {limit}")
    chunks: list[bytes] = []
    size = 0
    while True:
        wanted = max(_PAGE, info.st_size + 1 - size)
        chunk = os.read(fd, wanted)
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise CorruptFile(path, f"too large: it grew beyond the limit of {limit} bytes")
        # a short read is the end of the file, unless a network file system returned less than the reported size
        if not chunk or (len(chunk) < wanted and size >= info.st_size):
            return b"".join(chunks)


def read_locked(path: str, *, limit: int = MAX_SIZE) -> bytes | None:
    """
    As ``read``, but not while a real A-REX or client rewrites the file in place under its lock.

    Raises:
        BlockingIOError: another process holds the write lock; retry later.
    """
    fd = _open(path)
    if fd is None:
        return None
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return _read_regular(fd, path, limit)
    finally:
        os.close(fd)


def remove(path: str) -> bool:
    """Remove a file; False if there was none."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True
