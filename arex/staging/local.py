"""
Files that lie on this host: ``file:`` URLs in and out.

Every other scheme is refused with its name, so that the owner knows at once.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import aiofiles
from aiofiles.threadpool.binary import AsyncBufferedIOBase, AsyncBufferedReader

from arex.controldir import beneath
from arex.errors import InputMissing, StagingError, TransferFailed, UnsafePath
from arex.model.files import FileEntry
from arex.model.ids import JobId
from arex.ports import Staged, Stager

_SCHEME: Final = "file:"
_CHUNK: Final = 1 << 20


class LocalStager:
    """A stager for sites whose data is reached as files."""

    async def stage_in(self, job: JobId, session: Path, files: Sequence[FileEntry]) -> Staged:
        del job
        return await _each(_fetch, session, files)

    async def stage_out(self, job: JobId, session: Path, files: Sequence[FileEntry]) -> Staged:
        del job
        return await _each(_send, session, files)

    async def cancel(self, job: JobId) -> None:
        """The grid manager cancels the call itself; what a copy had made is cleaned up with the job."""
        del job


async def _each(
    move: Callable[[Path, FileEntry], Awaitable[None]], session: Path, files: Sequence[FileEntry]
) -> Staged:
    try:
        for entry in files:
            await move(session, entry)
    except (StagingError, UnsafePath, OSError) as exc:
        return Staged(done=False, failure=str(exc))
    return Staged(done=True)


def path_of(url: str) -> Path:
    """
    The path that a ``file:`` URL names; URL options after ``;`` mean nothing here.

    Raises:
        StagingError: another scheme, another host, or not absolute.
    """
    if not url.startswith(_SCHEME):
        raise StagingError(f"{url}: no transfer method for {url.partition(':')[0]}: here")
    rest = url.removeprefix(_SCHEME)
    if rest.startswith("//"):
        host, slash, rest = rest[2:].partition("/")
        if host.partition(";")[0] not in {"", "localhost"}:
            raise StagingError(f"{url}: a file of another host")
        rest = slash + rest
    path = Path(unquote(rest, errors="surrogateescape"))
    if not path.is_absolute() or ".." in path.parts or "\0" in str(path) or not path.name:
        raise StagingError(f"{url}: not an absolute path")
    return path


async def _fetch(session: Path, entry: FileEntry) -> None:
    source = path_of(entry.lfn)
    partial = f"{entry.pfn}.part"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    try:
        async with aiofiles.open(await asyncio.to_thread(_open_regular, source), "rb") as read:
            fd = await asyncio.to_thread(beneath.open_file, session, partial, flags, create_parents=True)
            async with aiofiles.open(fd, "wb") as write:
                await _copy(read, write)
    except OSError as exc:
        raise TransferFailed(f"{entry.lfn}: {exc.strerror}") from exc
    await asyncio.to_thread(_into_place, session, entry.pfn)


def _open_regular(path: Path) -> int:
    """A pipe would hold us for ever, and a device has no end."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise InputMissing(f"{path} is not a regular file")
    return fd


def _into_place(session: Path, name: str) -> None:
    with beneath.parent_of(session, name) as (above, last):
        os.rename(f"{last}.part", last, src_dir_fd=above, dst_dir_fd=above)


async def _send(session: Path, entry: FileEntry) -> None:
    target = path_of(entry.lfn)
    if await asyncio.to_thread(target.exists) and "overwrite=yes" not in entry.lfn:
        raise TransferFailed("Destination URL already exists")
    partial = target.with_name(f"{target.name}.part")
    try:
        fd = await asyncio.to_thread(beneath.open_file, session, entry.pfn)
        async with aiofiles.open(fd, "rb") as read:
            await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True)
            async with aiofiles.open(partial, "wb") as write:
                await _copy(read, write)
        await asyncio.to_thread(partial.rename, target)
    except OSError as exc:
        raise TransferFailed(f"{entry.lfn}: {exc.strerror}") from exc


async def _copy(read: AsyncBufferedReader, write: AsyncBufferedIOBase) -> None:
    while chunk := await read.read(_CHUNK):
        await write.write(chunk)


_: type[Stager] = LocalStager
