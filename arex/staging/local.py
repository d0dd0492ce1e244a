"""
Files that lie on this host: ``file:`` URLs in and out.

Every other scheme is refused with its name, so that the owner knows at once.
"""

from __future__ import annotations

import asyncio
import contextlib
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
        return await _each(_fetch, job, session, files)

    async def stage_out(self, job: JobId, session: Path, files: Sequence[FileEntry]) -> Staged:
        return await _each(_send, job, session, files)

    async def cancel(self, job: JobId) -> None:
        """The grid manager cancels the call itself; what a copy had made is cleaned up with the job."""
        del job


async def _each(
    move: Callable[[JobId, Path, FileEntry], Awaitable[None]], job: JobId, session: Path, files: Sequence[FileEntry]
) -> Staged:
    try:
        for entry in files:
            await move(job, session, entry)
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
    host, rest = _host_and_path(url)
    if host.partition(";")[0] not in {"", "localhost"}:
        raise StagingError(f"{url}: a file of another host")
    path = Path(unquote(rest, errors="surrogateescape"))
    if not path.is_absolute() or ".." in path.parts or "\0" in str(path) or not path.name:
        raise StagingError(f"{url}: not an absolute path")
    return path


def _host_and_path(url: str) -> tuple[str, str]:
    """Options of the URL follow the host: ``file://localhost;overwrite=yes/path``."""
    rest = url.removeprefix(_SCHEME)
    if not rest.startswith("//"):
        return "", rest
    host, slash, path = rest[2:].partition("/")
    return host, slash + path


def _partial(job: JobId) -> str:
    """
    Name of a file that is not whole yet, beside its place; a job's files move one after the other.

    No name of anybody's file, as ``NAME.part`` might be, and never too long.
    """
    return f".arex-{job}.part"


async def _fetch(job: JobId, session: Path, entry: FileEntry) -> None:
    source = path_of(entry.lfn)
    partial = f"{entry.pfn.rpartition('/')[0]}/{_partial(job)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    try:
        async with aiofiles.open(await asyncio.to_thread(_open_regular, source), "rb") as read:
            fd = await asyncio.to_thread(beneath.open_file, session, partial, flags, create_parents=True)
            async with aiofiles.open(fd, "wb") as write:
                await _copy(read, write)
    except OSError as exc:
        raise TransferFailed(f"{entry.lfn}: {exc.strerror}") from exc
    await asyncio.to_thread(_into_place, session, entry.pfn, _partial(job))


def _open_regular(path: Path) -> int:
    """A pipe would hold us for ever, and a device has no end."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise InputMissing(f"{path} is not a regular file")
    return fd


def _into_place(session: Path, name: str, partial: str) -> None:
    with beneath.parent_of(session, name) as (above, last):
        os.rename(partial, last, src_dir_fd=above, dst_dir_fd=above)


async def _send(job: JobId, session: Path, entry: FileEntry) -> None:
    target = path_of(entry.lfn)
    options = _host_and_path(entry.lfn)[0].split(";")
    if await asyncio.to_thread(os.path.lexists, target) and "overwrite=yes" not in options:
        raise TransferFailed("Destination URL already exists")
    partial = target.with_name(_partial(job))
    try:
        fd = await asyncio.to_thread(beneath.open_file, session, entry.pfn)
        async with aiofiles.open(fd, "rb") as read:
            await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True)
            async with aiofiles.open(partial, "wb") as write:
                await _copy(read, write)
        await asyncio.to_thread(partial.rename, target)
    except OSError as exc:
        with contextlib.suppress(OSError):
            await asyncio.to_thread(partial.unlink)
        raise TransferFailed(f"{entry.lfn}: {exc.strerror}") from exc


async def _copy(read: AsyncBufferedReader, write: AsyncBufferedIOBase) -> None:
    while chunk := await read.read(_CHUNK):
        await write.write(chunk)


_: type[Stager] = LocalStager
