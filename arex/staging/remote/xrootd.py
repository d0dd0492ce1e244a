"""Directories of XRootD servers. The library runs in this process: if it crashes, only this command ends."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from XRootD.client.flags import DirListFlags, StatInfoFlags

from arex.model.url import Url
from arex.staging.movers.base import RemoteFile
from arex.staging.movers.xrootd import XrootdMover
from arex.staging.remote.base import EntryKind, RemoteEntry, last_name, not_empty, valid


class XrootdDirectories:
    """Uses the identity and the errors of the mover."""

    def __init__(self, mover: XrootdMover) -> None:
        self._mover = mover

    async def look(self, place: RemoteFile) -> RemoteEntry:
        return _entry(last_name(place.url), await self._mover.ask(place, "stat"))

    async def entries(self, place: RemoteFile) -> list[RemoteEntry]:
        found = await self._mover.ask(place, "dirlist", DirListFlags.STAT)
        return valid(_entry(each.name, each.statinfo) for each in found)

    async def remove(self, place: RemoteFile) -> None:
        if (await self.look(place)).kind is not EntryKind.DIRECTORY:
            await self._mover.ask(place, "rm")
            return
        if await self.entries(place):
            raise not_empty()
        await self._mover.ask(place, "rmdir")

    async def make(self, place: RemoteFile) -> None:
        await self._mover.ask(place, "mkdir", 0, 0o755)

    async def rename(self, place: RemoteFile, new: Url) -> None:
        await self._mover.ask(place, "mv", f"/{new.path.partition('?')[0].lstrip('/')}")


def _entry(name: str, facts: Any) -> RemoteEntry:  # noqa: ANN401 - the library has no types
    kind = EntryKind.FILE
    if facts.flags & StatInfoFlags.IS_DIR:
        kind = EntryKind.DIRECTORY
    elif facts.flags & StatInfoFlags.OTHER:
        kind = EntryKind.OTHER
    return RemoteEntry(name=name, kind=kind, size=facts.size, modified=datetime.fromtimestamp(facts.modtime, UTC))
