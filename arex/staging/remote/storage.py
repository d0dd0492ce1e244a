"""Directories of storages that fsspec reaches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from arex.model.url import Url
from arex.staging.movers.base import RemoteFile
from arex.staging.movers.fsspec.errors import facts
from arex.staging.movers.fsspec.mover import FilesystemMover
from arex.staging.remote.base import EntryKind, RemoteEntry, last_name, not_empty, valid


class StorageDirectories:
    """Uses the storages that the site allows, with its options."""

    def __init__(self, mover: FilesystemMover) -> None:
        self._mover = mover

    async def look(self, place: RemoteFile) -> RemoteEntry:
        async with self._mover.far(_plain(place)) as far:
            return _entry(last_name(place.url), await far.call(far.storage.system.info, far.storage.path))

    async def entries(self, place: RemoteFile) -> list[RemoteEntry]:
        async with self._mover.far(_plain(place)) as far:
            listed = await far.call(far.storage.system.ls, far.storage.path, detail=True)
            above = str(far.storage.path).rstrip("/")
        names = ((str(each["name"]).rstrip("/"), each) for each in listed)
        return valid(_entry(name.rpartition("/")[2], each) for name, each in names if name != above)

    async def remove(self, place: RemoteFile) -> None:
        if (await self.look(place)).kind is not EntryKind.DIRECTORY:
            async with self._mover.far(_plain(place)) as far:
                await far.call(far.storage.system.rm_file, far.storage.path)
            return
        if await self.entries(place):
            raise not_empty()
        async with self._mover.far(_plain(place)) as far:
            await far.call(far.storage.system.rmdir, far.storage.path)

    async def make(self, place: RemoteFile) -> None:
        async with self._mover.far(_plain(place)) as far:
            await far.call(far.storage.system.mkdir, far.storage.path, create_parents=False)

    async def rename(self, place: RemoteFile, new: Url) -> None:
        async with self._mover.far(_plain(RemoteFile(new, place.credential))) as far:
            target = far.storage.path
        async with self._mover.far(_plain(place)) as far:
            await far.call(far.storage.system.mv, far.storage.path, target)


def _plain(place: RemoteFile) -> RemoteFile:
    """Without a slash at the end, which the storages do not expect."""
    return RemoteFile(replace(place.url, path=place.url.path.rstrip("/") or "/"), place.credential)


def _entry(name: str, info: Mapping[str, Any]) -> RemoteEntry:
    kind = {"file": EntryKind.FILE, "directory": EntryKind.DIRECTORY}.get(str(info.get("type")), EntryKind.OTHER)
    if kind is not EntryKind.FILE:
        return RemoteEntry(name=name, kind=kind)
    found = facts(info)
    return RemoteEntry(name=name, kind=kind, size=found.size, modified=found.modified)
