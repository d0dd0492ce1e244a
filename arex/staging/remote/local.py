"""Directories on this host."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from arex.aio import in_thread
from arex.model.url import Url
from arex.staging.movers.base import RemoteFile, from_os
from arex.staging.remote.base import EntryKind, RemoteEntry
from arex.staging.url import local_path

_T = TypeVar("_T")


class LocalDirectories:
    """Links to files count as the files; links to directories are never followed, since they may lead in circles."""

    async def look(self, place: RemoteFile) -> RemoteEntry:
        return await _done(_look, local_path(place.url))

    async def entries(self, place: RemoteFile) -> list[RemoteEntry]:
        return await _done(_entries, local_path(place.url))

    async def remove(self, place: RemoteFile) -> None:
        await _done(_remove, local_path(place.url))

    async def make(self, place: RemoteFile) -> None:
        await _done(os.mkdir, local_path(place.url))

    async def rename(self, place: RemoteFile, new: Url) -> None:
        await _done(os.rename, local_path(place.url), local_path(new))


async def _done(call: Callable[..., _T], *paths: Path) -> _T:
    try:
        return await in_thread(call, *paths)
    except OSError as exc:
        raise from_os(exc) from exc


def _look(path: Path) -> RemoteEntry:
    return _entry(path.name, path.stat())  # a link that the user names is followed


def _entries(path: Path) -> list[RemoteEntry]:
    with os.scandir(path) as found:
        return [_entry(each.name, _facts(each)) for each in found]


def _facts(entry: os.DirEntry[str]) -> os.stat_result:
    try:
        facts = entry.stat()
    except OSError:  # a broken link
        return entry.stat(follow_symlinks=False)
    return entry.stat(follow_symlinks=False) if stat.S_ISDIR(facts.st_mode) else facts


def _entry(name: str, facts: os.stat_result) -> RemoteEntry:
    kind = EntryKind.OTHER
    if stat.S_ISREG(facts.st_mode):
        kind = EntryKind.FILE
    elif stat.S_ISDIR(facts.st_mode):
        kind = EntryKind.DIRECTORY
    return RemoteEntry(
        name=name, kind=kind, size=facts.st_size, modified=datetime.fromtimestamp(int(facts.st_mtime), UTC)
    )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink()
