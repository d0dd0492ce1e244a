"""Walks through trees."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from arex.controldir.trees.cursor import Cursor


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """
    A name in a tree; ``parent``, the descriptor of its directory, is open until the next entry is asked for.

    A directory comes twice: before what is in it, and after that, with ``left``.
    """

    at: Cursor
    name: str
    info: os.stat_result
    left: bool = False

    @property
    def parent(self) -> int:
        return self.at.fd

    @property
    def path(self) -> str:
        """Relative to the top."""
        return self.at.path(self.name)

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.info.st_mode)


def walk(at: Cursor, unreadable: Callable[[str, OSError], None]) -> Iterator[TreeEntry]:
    """
    Everything below a cursor at the top of a tree, depth first, sorted by name.

    ``unreadable`` gets the path of each directory that cannot be read, and may raise.

    Raises:
        OSError: the top cannot be read, or a directory was moved meanwhile.
    """
    pending = [_sorted_names(at.fd)]
    inside: list[os.stat_result] = []
    while pending:
        if not pending[-1]:
            pending.pop()
            if inside:
                yield TreeEntry(at, at.leave(), inside.pop(), left=True)
            continue
        name = pending[-1].pop()
        try:
            info = os.stat(name, dir_fd=at.fd, follow_symlinks=False)
        except FileNotFoundError:
            continue
        yield TreeEntry(at, name, info)
        if stat.S_ISDIR(info.st_mode):
            if (below := _entered(at, name, unreadable)) is None:
                yield TreeEntry(at, name, info, left=True)
            else:
                pending.append(below)
                inside.append(info)


def _entered(at: Cursor, name: str, unreadable: Callable[[str, OSError], None]) -> list[str] | None:
    """Names in the directory that was entered, the first one last; None if it cannot be read."""
    try:
        at.enter(name)
    except FileNotFoundError:
        return None  # it has just been removed
    except OSError as exc:
        unreadable(at.path(name), exc)
        return None
    try:
        return _sorted_names(at.fd)
    except OSError as exc:
        unreadable(at.path(), exc)
        return []


def _sorted_names(fd: int) -> list[str]:
    return sorted(os.listdir(fd), reverse=True)


def measured(top: str | Path) -> Iterator[os.stat_result]:
    """
    Every file and directory of a tree, including the top; what vanishes or cannot be read is left out.

    A directory that its owner, this account, has closed is open while it is read.
    """
    try:
        first = os.lstat(top)
        yield first
        if not stat.S_ISDIR(first.st_mode):
            return
        with Cursor(top) as at:
            directories: list[str] = []
            yield from _measured(at.fd, directories)
            pending = [directories]
            while pending:
                if pending[-1]:
                    if (below := _entered_to_measure(at, pending[-1].pop())) is not None:
                        yield from _measured(at.fd, below)
                        pending.append(below)
                else:
                    pending.pop()
                    if pending:
                        at.leave()
    except OSError:
        return


def _entered_to_measure(at: Cursor, name: str) -> list[str] | None:
    try:
        at.enter(name)
    except OSError:
        return None
    return []


def _measured(fd: int, directories: list[str]) -> Iterator[os.stat_result]:
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                try:
                    info = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                yield info
                if stat.S_ISDIR(info.st_mode):
                    directories.append(entry.name)
    except OSError:
        return
