"""A job's session directory as its owner sees it: list, open, copy. The payload may have left links anywhere in it."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from arex.controldir import atomic, confined_fs, trees
from arex.controldir.store import file_time
from arex.errors import ControlDirError

_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK: Final = 1024 * 1024
_BLOCK: Final = 512  # the unit of st_blocks on every file system


class TargetExists(ControlDirError):
    """The directory for the results is there already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEntry:
    """A name in a session directory."""

    name: str  #: relative to the listed directory
    kind: str  #: "file", "directory", "link" or "other"
    size: int  #: in bytes
    mode: int
    modified: datetime


@dataclass(slots=True)
class Fetched:
    """The target of a copy, and the names that were skipped: links out of the session directory, and special files."""

    path: Path
    files: int = 0
    bytes: int = 0
    skipped: list[str] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)  #: names that could not be read, and why


def listing(session: Path, name: str = "", *, recursive: bool = False) -> Iterator[SessionEntry]:
    """
    Entries of a directory, sorted by name; for a file, only its entry.

    Raises:
        ControlDirError: the name does not exist; or after the last entry, if directories cannot be read.
        OSError: it cannot be read.
    """
    try:
        with _directory(session, name) as top:
            yield from _recursive(top) if recursive else _flat(top)
    except NotADirectoryError:
        yield _single(session, name)
    except FileNotFoundError as exc:
        raise ControlDirError(f"no {name or 'session directory'} in {session}") from exc


@contextlib.contextmanager
def _directory(session: Path, name: str) -> Iterator[trees.Cursor]:
    if not name.strip("/."):
        with trees.Cursor(session) as top:
            yield top
    else:
        with confined_fs.parent_of(session, name) as (fd, last), trees.Cursor(last, fd) as top:
            yield top


def _single(session: Path, name: str) -> SessionEntry:
    with confined_fs.parent_of(session, name) as (fd, last):
        return _entry(last, os.stat(last, dir_fd=fd, follow_symlinks=False))


def _flat(top: trees.Cursor) -> Iterator[SessionEntry]:
    for name in sorted(os.listdir(top.fd)):
        with contextlib.suppress(FileNotFoundError):
            yield _entry(name, os.stat(name, dir_fd=top.fd, follow_symlinks=False))


def _recursive(top: trees.Cursor) -> Iterator[SessionEntry]:
    unread: list[str] = []

    def unreadable(path: str, exc: OSError) -> None:
        unread.append(f"{path}: {exc.strerror}")

    for entry in trees.walk(top, unreadable):
        if not entry.left:
            yield _entry(entry.path, entry.info)
    if unread:
        raise ControlDirError(f"cannot be read: {'; '.join(unread)}")


def _entry(name: str, info: os.stat_result) -> SessionEntry:
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
    return SessionEntry(
        name=name,
        kind=kinds.get(stat.S_IFMT(info.st_mode), "other"),
        size=info.st_size,
        mode=stat.S_IMODE(info.st_mode),
        modified=file_time(info.st_mtime),
    )


def fetch(session: Path, target: Path, *, force: bool = False) -> Fetched:
    """
    Copy a session directory to ``target``, with modes and times, without following links in source or target.

    A symbolic link is copied as a link if it stays inside the directory. Pipes, sockets and other links are skipped.
    A file or directory that cannot be read is in ``unreadable``, and the others are copied. Holes stay holes.

    Args:
        session: the directory to copy.
        target: the directory to create.
        force: copy into an existing directory, and replace files with the same names.

    Raises:
        ControlDirError: there is nothing to copy; TargetExists: ``target`` exists.
        OSError: writing failed; if ``target`` was created by this call, it has been removed.
    """
    try:
        source = trees.Cursor(session)
    except OSError as exc:
        raise ControlDirError(f"No files to retrieve: {session}: {exc.strerror}") from exc
    with source:
        made = _make_target(target, force=force)
        try:
            with trees.Cursor(target, need=trees.CHANGE, keeps_modes=False) as place:
                return _fetch(source, place, Fetched(target))
        except BaseException:
            if made:
                trees.remove(target)
            raise


def _make_target(target: Path, *, force: bool) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.mkdir(mode=0o700)
    except FileExistsError as exc:
        if force and target.is_dir() and not target.is_symlink():
            return False
        raise TargetExists(f"{target} already exists") from exc
    return True


def _fetch(source: trees.Cursor, place: trees.Cursor, done: Fetched) -> Fetched:
    def unreadable(path: str, exc: OSError) -> None:
        done.unreadable.append((path, exc.strerror or str(exc)))

    for entry in trees.walk(source, unreadable):
        if entry.left:
            os.fchmod(place.fd, stat.S_IMODE(entry.info.st_mode) & 0o777 | 0o700)
            place.leave()
        elif entry.is_directory:
            with contextlib.suppress(FileExistsError):
                os.mkdir(entry.name, 0o700, dir_fd=place.fd)
            place.enter(entry.name)
        elif stat.S_ISREG(entry.info.st_mode):
            try:
                fd = _open_file(entry)
            except OSError as exc:
                unreadable(entry.path, exc)
                continue
            try:
                _copy_file(fd, place.fd, entry, done)
            except _Unreadable as exc:
                unreadable(entry.path, exc.why)
            finally:
                os.close(fd)
        else:
            _copy_link(entry, place.fd, done)
    return done


class _Unreadable(Exception):
    """Reading a file failed; errors of the target are different, since they affect all other files too."""

    def __init__(self, why: OSError) -> None:
        self.why = why
        super().__init__(str(why))


def _open_file(entry: trees.TreeEntry) -> int:
    fd = os.open(entry.name, _FILE, dir_fd=entry.parent)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file any more", entry.name)
    return fd


def _copy_link(entry: trees.TreeEntry, target: int, done: Fetched) -> None:
    """Copy a link that stays inside; everything else that is no file is skipped."""
    if stat.S_ISLNK(entry.info.st_mode):
        with contextlib.suppress(FileNotFoundError):
            link = os.readlink(entry.name, dir_fd=entry.parent)
            if stays_inside(entry.at.above, link):
                _unlink(entry.name, target)
                os.symlink(link, entry.name, dir_fd=target)
                done.files += 1
                return
    done.skipped.append(entry.path)


def _copy_file(fd: int, target: int, entry: trees.TreeEntry, done: Fetched) -> None:
    info = os.fstat(fd)
    _unlink(entry.name, target)
    out = os.open(entry.name, _NEW_FILE, 0o600, dir_fd=target)
    try:
        _copy_data(fd, out, info, done)
        os.fchmod(out, stat.S_IMODE(info.st_mode) & 0o777)
        os.utime(out, ns=(info.st_atime_ns, info.st_mtime_ns))
    except _Unreadable:
        _unlink(entry.name, target)  # the half of a file is worse than none
        raise
    finally:
        os.close(out)
    done.files += 1


def _unlink(name: str, directory: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)


def _copy_data(fd: int, out: int, info: os.stat_result, done: Fetched) -> None:
    """Copy the content; holes, and in a file with holes also blocks of zeros, are left out."""
    has_holes = info.st_blocks * _BLOCK < info.st_size
    at = 0
    while (at := _next_data(fd, at) if has_holes else at) < info.st_size:
        data = _read(fd, at)
        if not data:
            break  # it has become shorter
        if not has_holes or any(data):
            os.lseek(out, at, os.SEEK_SET)
            atomic.write_all(out, data)
            done.bytes += len(data)
        at += len(data)
    if has_holes:
        os.ftruncate(out, max(at, info.st_size))


def _read(fd: int, at: int) -> bytes:
    try:
        return os.pread(fd, _CHUNK, at)
    except OSError as exc:
        raise _Unreadable(exc) from exc


def _next_data(fd: int, at: int) -> int:
    """Offset of the next data; the end of the file if there are none, ``at`` if the file system does not tell."""
    try:
        return os.lseek(fd, at, os.SEEK_DATA)
    except OSError as exc:
        return os.fstat(fd).st_size if exc.errno == errno.ENXIO else at


def stays_inside(above: tuple[str, ...], link: str) -> bool:
    """
    Whether the target of a link cannot be outside the tree; ``above`` are the directories between the top and the link.

    ``..`` is only allowed at the beginning: after another component, which may be a link, its meaning is unknown.
    """
    parts = [part for part in link.split("/") if part not in {"", "."}]
    up = 0
    while up < len(parts) and parts[up] == "..":
        up += 1
    return not link.startswith("/") and up <= len(above) and ".." not in parts[up:]
