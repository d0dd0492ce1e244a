"""A job's session directory as its owner sees it: list, open, copy. The payload may have left links anywhere in it."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from arex.controldir import atomic, confined_fs
from arex.errors import ControlDirError, UnsafePath

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK: Final = 1024 * 1024


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


def listing(session: Path, name: str = "", *, recursive: bool = False) -> Iterator[SessionEntry]:
    """
    Entries of a directory, sorted by name; for a file, only its entry.

    Raises:
        ControlDirError: the name does not exist.
    """
    try:
        fd = _open_directory(session, name)
    except NotADirectoryError:
        yield _single(session, name)
        return
    except FileNotFoundError as exc:
        raise ControlDirError(f"no {name or 'session directory'} in {session}") from exc
    try:
        yield from _list(fd, "", recursive=recursive)
    finally:
        os.close(fd)


def _open_directory(session: Path, name: str) -> int:
    if not name.strip("/."):
        return os.open(session, _DIRECTORY)
    with confined_fs.parent_of(session, name) as (fd, last):
        info = os.stat(last, dir_fd=fd, follow_symlinks=False)
        if not stat.S_ISDIR(info.st_mode):
            raise NotADirectoryError(name)
        return os.open(last, _DIRECTORY, dir_fd=fd)


def _single(session: Path, name: str) -> SessionEntry:
    with confined_fs.parent_of(session, name) as (fd, last):
        return _entry(last, os.stat(last, dir_fd=fd, follow_symlinks=False))


def _list(fd: int, prefix: str, *, recursive: bool) -> Iterator[SessionEntry]:
    with os.scandir(fd) as entries:
        found = sorted((entry.name, entry.stat(follow_symlinks=False)) for entry in entries)
    for name, info in found:
        yield _entry(prefix + name, info)
        if recursive and stat.S_ISDIR(info.st_mode):
            child = os.open(name, _DIRECTORY, dir_fd=fd)
            try:
                yield from _list(child, f"{prefix}{name}/", recursive=True)
            finally:
                os.close(child)


def _entry(name: str, info: os.stat_result) -> SessionEntry:
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
    return SessionEntry(
        name=name,
        kind=kinds.get(stat.S_IFMT(info.st_mode), "other"),
        size=info.st_size,
        mode=stat.S_IMODE(info.st_mode),
        modified=datetime.fromtimestamp(info.st_mtime, UTC),
    )


def fetch(session: Path, target: Path, *, force: bool = False) -> Fetched:
    """
    Copy a session directory to ``target``, with modes and times, without following links in source or target.

    A symbolic link is copied as a link if it stays inside the directory. Pipes, sockets and other links are skipped.

    Args:
        session: the directory to copy.
        target: the directory to create.
        force: copy into an existing directory, and replace files with the same names.

    Raises:
        ControlDirError: there is nothing to copy, or ``target`` exists.
        OSError: reading or writing failed; if ``target`` was created by this call, it has been removed.
    """
    try:
        source = os.open(session, _DIRECTORY)
    except OSError as exc:
        raise ControlDirError(f"No files to retrieve: {session}: {exc.strerror}") from exc
    try:
        made = _make_target(target, force=force)
        try:
            return _fetch(source, target)
        except BaseException:
            if made:
                confined_fs.remove_tree(target)
            raise
    finally:
        os.close(source)


def _make_target(target: Path, *, force: bool) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.mkdir(mode=0o700)
    except FileExistsError as exc:
        if force and target.is_dir() and not target.is_symlink():
            return False
        raise ControlDirError(
            f"{target} already exists: choose another directory, or use --force to overwrite it"
        ) from exc
    return True


def _fetch(source: int, target: Path) -> Fetched:
    done = Fetched(target)
    fd = os.open(target, _DIRECTORY)
    try:
        _copy_directory(source, fd, (), done)
    finally:
        os.close(fd)
    return done


def _copy_directory(source: int, target: int, above: tuple[str, ...], done: Fetched) -> None:
    with os.scandir(source) as entries:
        found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    for name, info in found:
        if stat.S_ISDIR(info.st_mode):
            _copy_below(source, target, name, above, done)
        elif stat.S_ISREG(info.st_mode):
            _copy_file(source, target, name, done)
        elif stat.S_ISLNK(info.st_mode) and stays_inside(above, link := os.readlink(name, dir_fd=source)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=target)
            os.symlink(link, name, dir_fd=target)
            done.files += 1
        else:
            done.skipped.append("/".join((*above, name)))


def _copy_below(source: int, target: int, name: str, above: tuple[str, ...], done: Fetched) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=target)
    inner = os.open(name, _DIRECTORY, dir_fd=source)
    try:
        outer = os.open(name, _DIRECTORY, dir_fd=target)
        try:
            _copy_directory(inner, outer, (*above, name), done)
            os.fchmod(outer, stat.S_IMODE(os.fstat(inner).st_mode) & 0o777 | 0o700)
        finally:
            os.close(outer)
    finally:
        os.close(inner)


def _copy_file(source: int, target: int, name: str, done: Fetched) -> None:
    fd = os.open(name, _FILE, dir_fd=source)
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise UnsafePath(f"{name!r} is not a regular file any more")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=target)
        out = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=target)
        try:
            while data := os.read(fd, _CHUNK):
                atomic.write_all(out, data)
                done.bytes += len(data)
            os.fchmod(out, stat.S_IMODE(info.st_mode) & 0o777)
            os.utime(out, ns=(info.st_atime_ns, info.st_mtime_ns))
        finally:
            os.close(out)
    finally:
        os.close(fd)
    done.files += 1


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
