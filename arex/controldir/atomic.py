"""
Read and write control files without half-written content, and without following symbolic links.

All functions are synchronous and block: call them in a worker thread.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from typing import Final

from arex.controldir.temporary import temporary_name
from arex.errors import CorruptFile

# if the name belongs to a pipe, opening it would block the thread; with O_NONBLOCK it is an error
_O_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_O_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

_PAGE: Final = 4096
#: Largest control file that is read, in bytes. Descriptions have a separate limit, set in the configuration.
MAX_SIZE: Final = 16 * 1024 * 1024


def put(path: str, data: bytes, *, mode: int = 0o600, durable: bool = False) -> None:
    """
    Replace a file atomically: readers see the old content or the new one.

    With ``durable``, the content is flushed to disk first, so that it survives a power failure.

    Raises:
        OSError: the file is unchanged.
    """
    temporary = temporary_name(path)
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
    Create a file directly under its final name, which is cheaper than ``put``.

    Use this only for files that no process reads before another file refers to them. A crash may leave the file empty,
    so a caller that repeats its work must check the content of an existing file.

    Raises:
        FileExistsError: the name already exists.
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
    """Flush an existing file and its name to disk; raises OSError."""
    fd = os.open(path, _O_READ)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def rewrite(path: str, data: bytes) -> None:
    """
    Replace the content of ``.local`` in place, under the lock that its readers respect, as ARC does.

    New content that is not shorter and fits into one page is written by one system call, which a crash cannot split. In
    all other cases the file is replaced with ``put``.

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
        _lock(fd, path, fcntl.LOCK_EX)
        info = os.fstat(fd)
        if not os.path.samestat(info, os.lstat(path)):
            raise BlockingIOError(errno.EAGAIN, "another process has just replaced the file", path)
        if not stat.S_ISREG(info.st_mode) or info.st_size > len(data):
            put(path, data)
            return
        _overwrite(fd, data, 0)
    finally:
        os.close(fd)


def _overwrite(fd: int, data: bytes, offset: int) -> None:
    """
    Write everything at this place: usually one system call, but some file systems write less than they were given.

    Raises:
        OSError: the file may be written in part.
    """
    done = 0
    while done < len(data):
        done += _progress(os.pwrite(fd, data[done:], offset + done))


def _progress(written: int) -> int:
    if written <= 0:
        raise OSError(errno.EIO, "the file system writes nothing, and reports no error")
    return written


def _lock(fd: int, path: str, kind: int) -> None:
    try:
        fcntl.lockf(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise BlockingIOError(exc.errno, "another process has locked the file", path) from None


def put_line(path: str, data: bytes, *, final: bool = False) -> None:
    """
    Replace the content of a status file: one short line. Readers ignore everything after the first line.

    The new line overwrites the old one in a single write, so readers never see a mixture, and no file is created. If
    the old line is longer, the new line is written with a line break, and then the file is truncated. If the old line
    is shorter, the file is first extended with line breaks.

    If ``final`` is set and the new line is longer than the file, the file is replaced instead: file systems order that
    before later renames, and after a power failure nothing would repair a status file in its final state.
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
            _overwrite(fd, b"\n" * (len(data) - info.st_size), info.st_size)
            _overwrite(fd, data, 0)
        elif info.st_size == len(data):
            _overwrite(fd, data, 0)
        else:
            _overwrite(fd, data + b"\n", 0)
            os.ftruncate(fd, len(data))
    finally:
        os.close(fd)


def append(path: str, data: bytes, *, mode: int = 0o600) -> None:
    """Append in one write, so that lines of concurrent writers do not mix."""
    fd = os.open(path, _O_WRITE | os.O_APPEND, mode)
    try:
        write_all(fd, data)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    """Write everything. A write to a full disk can be partial; writing the rest then raises OSError."""
    done = os.write(fd, data)
    while done < len(data):
        done += _progress(os.write(fd, data[done:]))


def touch(path: str, *, mode: int = 0o600) -> None:
    """Create the file if it does not exist; its content is not changed."""
    os.close(os.open(path, _O_WRITE, mode))


def read(path: str, *, limit: int = MAX_SIZE) -> bytes | None:
    """
    Content of a regular file; None if the file does not exist.

    Raises:
        CorruptFile: not a regular file (for example a symbolic link), or larger than ``limit``.
        OSError: the file exists but cannot be read.
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
        # a short read means end of file, unless a network file system returned less than the reported size
        if not chunk or (len(chunk) < wanted and size >= info.st_size):
            return b"".join(chunks)


def read_locked(path: str, *, limit: int = MAX_SIZE) -> bytes | None:
    """
    Like ``read``, but under a shared lock, because a real A-REX and its clients rewrite the file in place.

    Raises:
        BlockingIOError: another process holds the write lock; retry later.
    """
    fd = _open(path)
    if fd is None:
        return None
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            _lock(fd, path, fcntl.LOCK_SH)
        return _read_regular(fd, path, limit)
    finally:
        os.close(fd)


def open_up(path: str) -> None:
    """
    Give the owner of a regular file, this account, the permission to read and write it; links are not followed.

    Raises:
        OSError: the mode cannot be changed.
    """
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid() or info.st_mode & 0o600 == 0o600:
        return
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.path.samestat(info, os.fstat(fd)):
            os.chmod(f"/proc/self/fd/{fd}", stat.S_IMODE(info.st_mode) | 0o600)
    finally:
        os.close(fd)


def remove(path: str) -> bool:
    """Remove a file; False if it did not exist."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True
