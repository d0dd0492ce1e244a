"""Removal of trees, in whole or around what is kept."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from arex.controldir.trees.cursor import CHANGE, DIRECTORY, Cursor
from arex.errors import UnsafePath

#: Conditions of the whole process or file system: not the fault of a tree, so the work is repeated later.
_PASSING: Final = frozenset({
    errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EINTR,
})  # fmt: skip
#: How many obstacles are named; there may be millions.
_MOST_NAMED: Final = 5
_LONGEST_PATH: Final = 200
#: A directory is read again until a pass removes nothing: some file systems skip names while others are removed.
_MOST_PASSES: Final = 5


def is_passing(exc: OSError) -> bool:
    """Whether this is a condition of the whole process or file system, so that a later attempt can succeed."""
    return exc.errno in _PASSING


class Obstacles:
    """What could not be removed, and why; the first ones by name."""

    def __init__(self) -> None:
        self._named: list[str] = []
        self._more = 0

    def add(self, path_of: Callable[[str], str], name: str, exc: OSError) -> None:
        """
        ``path_of`` returns the path of a name; it is only called for those that are shown, as paths can be long.

        Raises:
            OSError: ``exc``, if it is a passing condition of the process or the file system.
        """
        if is_passing(exc):
            raise exc
        if isinstance(exc, FileNotFoundError):
            return
        if len(self._named) < _MOST_NAMED:
            self._named.append(f"{_shortened(path_of(name))}: {exc.strerror}")
        else:
            self._more += 1

    def __bool__(self) -> bool:
        return bool(self._named)

    def __str__(self) -> str:
        return "; ".join(self._named) + (f"; and {self._more} more" if self._more else "")


def _shortened(path: str) -> str:
    return path if len(path) <= _LONGEST_PATH else f"{path[: _LONGEST_PATH // 2]}...{path[-_LONGEST_PATH // 2 :]}"


def remove(top: Path) -> Obstacles:
    """
    Remove a tree, a file or a link if it exists; returns what could not be removed.

    Raises:
        OSError: a passing condition, for example a full or read-only file system: repeat it later.
    """
    try:
        parent = os.open(top.parent, DIRECTORY & ~os.O_NOFOLLOW)
    except OSError as exc:
        obstacles = Obstacles()
        obstacles.add(str, str(top), exc)
        return obstacles
    try:
        return remove_in(parent, top.name)
    finally:
        os.close(parent)


def remove_in(parent: int, name: str) -> Obstacles:
    """Like ``remove``, for a name in an open directory."""
    obstacles = Obstacles()
    _remove(parent, name, str, obstacles)
    return obstacles


def _remove(parent: int, name: str, path_of: Callable[[str], str], obstacles: Obstacles) -> None:
    try:
        if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=parent)
            return
        _empty(parent, name, path_of, obstacles)
    except OSError as exc:
        obstacles.add(path_of, name, exc)
    else:
        _remove_directory(parent, name, path_of, obstacles)


def _remove_directory(parent: int, name: str, path_of: Callable[[str], str], obstacles: Obstacles) -> None:
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError as exc:
        if not obstacles or exc.errno not in {errno.ENOTEMPTY, errno.EEXIST}:  # then what is in it is named already
            obstacles.add(path_of, name, exc)


def _empty(parent: int, top: str, path_of: Callable[[str], str], obstacles: Obstacles) -> None:
    with Cursor(top, parent, need=CHANGE, keeps_modes=False) as at:

        def below(name: str) -> str:
            return f"{path_of(top)}/{at.path(name)}"

        pending = [_clear(at.fd, below, obstacles)]
        while pending:
            if not pending[-1]:
                pending.pop()
                if pending:
                    left = at.leave()
                    _remove_directory(at.fd, left, below, obstacles)
                continue
            name = pending[-1].pop()
            try:
                at.enter(name)
            except OSError as exc:
                _not_entered(at.fd, name, below, exc, obstacles)
            else:
                pending.append(_clear(at.fd, below, obstacles))


def _not_entered(parent: int, name: str, path_of: Callable[[str], str], why: OSError, obstacles: Obstacles) -> None:
    """A directory of another account can still be removed if it is empty."""
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError:
        obstacles.add(path_of, name, why)


def _clear(fd: int, path_of: Callable[[str], str], obstacles: Obstacles) -> list[str]:
    """Remove everything but directories from a directory; returns their names."""
    directories: list[str] = []
    stuck: set[str] = set()
    for _ in range(_MOST_PASSES):
        removed, directories = 0, []
        with os.scandir(fd) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    directories.append(entry.name)
                elif entry.name not in stuck:
                    removed += _unlink(fd, entry.name, path_of, stuck, obstacles)
        if not removed:
            break
    return directories


def _unlink(fd: int, name: str, path_of: Callable[[str], str], stuck: set[str], obstacles: Obstacles) -> bool:
    try:
        os.unlink(name, dir_fd=fd)
    except OSError as exc:
        stuck.add(name)
        obstacles.add(path_of, name, exc)
        return False
    return True


# --- outputs ----------------------------------------------------------------------------------------------------------

#: Names to keep in a directory; None: with everything in it.
_Kept = dict[str, "_Kept | None"]


def keep_only(top: Path, wanted: Collection[tuple[str, ...]]) -> Obstacles:
    """
    Remove everything below ``top`` but these names (components of paths), with all that is in them.

    Directories on the way to them get their modes back. Returns what could not be removed.

    Raises:
        UnsafePath: ``top`` is a link, or not a directory.
        OSError: a passing condition: repeat it later.
    """
    obstacles = Obstacles()
    try:
        with Cursor(top, need=CHANGE) as at:
            _keep_only(at, _kept(wanted), obstacles)
    except NotADirectoryError as exc:
        raise UnsafePath(f"{top} is a link, or not a directory") from exc
    except OSError as exc:
        obstacles.add(str, top.name, exc)
    return obstacles


def _keep_only(at: Cursor, kept: _Kept, obstacles: Obstacles) -> None:
    pending = [_pruned(at, kept, obstacles)]
    while pending:
        if not pending[-1]:
            pending.pop()
            if pending:
                at.leave()
            continue
        name, below = pending[-1].pop()
        try:
            at.enter(name)
        except OSError as exc:
            obstacles.add(at.path, name, exc)
        else:
            pending.append(_pruned(at, below, obstacles))


def _kept(wanted: Collection[tuple[str, ...]]) -> _Kept:
    kept: _Kept = {}
    for *above, last in wanted:
        level: _Kept | None = kept
        for part in above:
            if level is None:
                break
            level = level.setdefault(part, {})
        if level is not None:
            level[last] = None
    return kept


def _pruned(at: Cursor, kept: _Kept, obstacles: Obstacles) -> list[tuple[str, _Kept]]:
    """Remove what is not kept from the current directory; returns the directories that are kept in part."""
    partly: list[tuple[str, _Kept]] = []
    stuck: set[str] = set()
    for _ in range(_MOST_PASSES):
        partly, trees, removed = [], [], 0
        with os.scandir(at.fd) as entries:
            for entry in entries:
                name, is_directory = entry.name, entry.is_dir(follow_symlinks=False)
                if name in kept:
                    if is_directory and (below := kept[name]) is not None:
                        partly.append((name, below))
                elif is_directory:
                    trees.append(name)
                elif name not in stuck:
                    removed += _unlink(at.fd, name, at.path, stuck, obstacles)
        for name in trees:
            if name not in stuck:
                stuck.add(name)  # a tree that could not be removed once is not tried again
                _remove(at.fd, name, at.path, obstacles)
                removed += 1
        if not removed:
            break
    return partly
