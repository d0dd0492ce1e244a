"""A position in a tree, with one open descriptor."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PATH: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
#: Permission bits of the owner that are needed to read a directory, and to change it.
READ: Final = 0o500
CHANGE: Final = 0o700


@dataclass(frozen=True, slots=True)
class OpenDirectory:
    """An open directory; ``before`` is its mode if it had to be changed."""

    fd: int
    identity: tuple[int, int]  #: device and inode
    owner: int  #: uid
    before: int | None


def open_directory(name: str | Path, need: int, parent: int | None = None) -> OpenDirectory:
    """
    Open a directory without following a link, and give its owner the permissions ``need``; the caller closes it.

    Raises:
        NotADirectoryError: a link, or not a directory.
        OSError: it cannot be opened; PermissionError if another account owns it.
    """
    try:
        fd = os.open(name, DIRECTORY, dir_fd=parent)
    except PermissionError:
        return _opened_up(name, need, parent)
    try:
        info = os.fstat(fd)
        if info.st_mode & need == need or info.st_uid != os.geteuid():
            return OpenDirectory(fd, identity(info), info.st_uid, None)
        os.fchmod(fd, stat.S_IMODE(info.st_mode) | need)
    except BaseException:
        os.close(fd)
        raise
    return OpenDirectory(fd, identity(info), info.st_uid, stat.S_IMODE(info.st_mode))


def _opened_up(name: str | Path, need: int, parent: int | None) -> OpenDirectory:
    """Open a directory that its own owner may not read. The descriptor of a path keeps a link from being followed."""
    path = os.open(name, _PATH | os.O_DIRECTORY, dir_fd=parent)
    try:
        info = os.fstat(path)
        if info.st_uid != os.geteuid():
            raise PermissionError(errno.EACCES, "Permission denied: it belongs to another account", str(name))
        before = stat.S_IMODE(info.st_mode)
        os.chmod(f"/proc/self/fd/{path}", before | need)
        fd = os.open(f"/proc/self/fd/{path}", DIRECTORY & ~os.O_NOFOLLOW)
        return OpenDirectory(fd, identity(info), info.st_uid, before)
    finally:
        os.close(path)


def identity(info: os.stat_result) -> tuple[int, int]:
    return info.st_dev, info.st_ino


@dataclass(frozen=True, slots=True)
class _Level:
    name: str
    identity: tuple[int, int]
    before: int | None


class Cursor:
    """
    A position in a tree: ``fd`` is its directory, the only open descriptor. It enters a directory by name and leaves
    it through ``..``, which must be the directory that it came from.
    """

    def __init__(
        self, top: str | Path, parent: int | None = None, *, need: int = READ, keeps_modes: bool = True
    ) -> None:
        """
        ``need``: permissions that directories get for the work. ``keeps_modes``: a directory gets its mode back when it
        is left, but for the top one, which the service has made.

        Raises:
            OSError: the top cannot be opened.
        """
        self._need, self._keeps_modes = need, keeps_modes
        opened = open_directory(top, need, parent)
        self.fd = opened.fd
        self._levels = [_Level("", opened.identity, None)]

    def path(self, name: str = "") -> str:
        """Path relative to the top, of the directory or of a name in it."""
        return "/".join([*(level.name for level in self._levels[1:]), *([name] if name else [])])

    @property
    def above(self) -> tuple[str, ...]:
        """Names of the directories between the top and this position."""
        return tuple(level.name for level in self._levels[1:])

    def enter(self, name: str) -> None:
        """
        Raises:
            OSError: it cannot be opened, or is on another file system.
        """
        opened = open_directory(name, self._need, self.fd)
        if opened.identity[0] != self._levels[0].identity[0]:
            os.close(opened.fd)
            raise OSError(errno.EXDEV, "another file system is mounted there", name)
        os.close(self.fd)
        self.fd = opened.fd
        self._levels.append(_Level(name, opened.identity, opened.before))

    def leave(self) -> str:
        """
        Go back to the directory above; returns the name of the one that was left.

        Raises:
            OSError: the directory was moved to another place meanwhile.
        """
        above = os.open("..", DIRECTORY, dir_fd=self.fd)
        if identity(os.fstat(above)) != self._levels[-2].identity:
            os.close(above)
            raise OSError(errno.ESTALE, "the directory was moved while it was read", self.path())
        level = self._levels.pop()
        try:
            self._restore(level)
        finally:
            os.close(self.fd)
            self.fd = above
        return level.name

    def _restore(self, level: _Level) -> None:
        if self._keeps_modes and level.before is not None:
            given = level.before | self._need
            if stat.S_IMODE(os.fstat(self.fd).st_mode) == given:  # not changed by its owner meanwhile
                os.fchmod(self.fd, level.before)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # a directory that was moved meanwhile keeps the mode that it was given
            with contextlib.suppress(OSError):
                while self._keeps_modes and any(level.before is not None for level in self._levels):
                    self.leave()
        finally:
            os.close(self.fd)
