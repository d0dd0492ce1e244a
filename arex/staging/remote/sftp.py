"""Directories by SSH."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import asyncssh

from arex.model.url import Url
from arex.staging.movers.base import ErrorKind, RemoteFile, TransferError
from arex.staging.movers.sftp import SftpMover, path_of
from arex.staging.remote.base import EntryKind, RemoteEntry, last_name, not_empty, valid


class SftpDirectories:
    """Uses the connections of the mover."""

    def __init__(self, mover: SftpMover) -> None:
        self._mover = mover

    async def look(self, place: RemoteFile) -> RemoteEntry:
        async with self._client(place) as sftp:
            return _entry(last_name(place.url), await sftp.stat(_path(place.url)))

    async def entries(self, place: RemoteFile) -> list[RemoteEntry]:
        async with self._client(place) as sftp:
            names = [name async for name in sftp.scandir(_path(place.url))]
        return valid(_entry(str(each.filename), each.attrs) for each in names if each.filename not in {".", ".."})

    async def remove(self, place: RemoteFile) -> None:
        async with self._client(place) as sftp:
            path = _path(place.url)
            if not stat.S_ISDIR((await sftp.lstat(path)).permissions or 0):
                await sftp.remove(path)
                return
            if [name async for name in sftp.scandir(path) if name.filename not in {".", ".."}]:
                raise not_empty()
            await sftp.rmdir(path)

    async def make(self, place: RemoteFile) -> None:
        async with self._client(place) as sftp:
            await sftp.mkdir(_path(place.url))

    async def rename(self, place: RemoteFile, new: Url) -> None:
        async with self._client(place) as sftp:
            try:
                await sftp.posix_rename(_path(place.url), _path(new))
            except asyncssh.SFTPOpUnsupported:
                await sftp.rename(_path(place.url), _path(new))  # servers refuse to replace a file with it

    @contextlib.asynccontextmanager
    async def _client(self, place: RemoteFile) -> AsyncIterator[asyncssh.SFTPClient]:
        with self._mover.judged():
            async with self._mover.line(place) as line, asyncio.timeout(self._mover.limit):
                yield line.sftp


def _path(url: Url) -> str:
    stripped = url.path.rstrip("/")
    if stripped in {"", "/~"}:
        return "." if stripped else "/"
    return path_of(replace(url, path=stripped))


def _entry(name: str, facts: asyncssh.SFTPAttrs) -> RemoteEntry:
    if facts.permissions is None:
        raise TransferError(ErrorKind.PERMANENT, f"the server does not say what {name[:80]!r} is")
    kind = EntryKind.OTHER
    if stat.S_ISREG(facts.permissions):
        kind = EntryKind.FILE
    elif stat.S_ISDIR(facts.permissions):
        kind = EntryKind.DIRECTORY
    modified = None if facts.mtime is None else datetime.fromtimestamp(facts.mtime, UTC)
    return RemoteEntry(name=name, kind=kind, size=facts.size, modified=modified)
