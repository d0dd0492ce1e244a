"""Files on this host: ``file:`` URLs as sources and targets."""

from __future__ import annotations

import os
import secrets
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import aiofiles

from arex.aio import in_thread, settled
from arex.errors import StagingError
from arex.staging.movers.base import (
    ErrorKind,
    FileInfo,
    MoverSettings,
    RemoteFile,
    Resume,
    Sink,
    Source,
    TransferError,
    from_os,
    must_fit,
    start_of,
)
from arex.staging.url import local_path

_CHUNK: Final = 4 * 1024 * 1024


class FileMover:
    """Copies files; a target gets its name when it is complete."""

    def __init__(self, means: MoverSettings) -> None:
        del means

    async def stat(self, place: RemoteFile) -> FileInfo:
        return await in_thread(_look, _path(place))

    async def fetch(self, place: RemoteFile, sink: Sink, resume: Resume | None) -> None:
        fd = await in_thread(open_regular, _path(place))
        try:
            async with aiofiles.open(fd, "rb", buffering=0) as stream:
                facts = _facts(os.fstat(fd))
                start = start_of(resume, facts)
                await settled(stream.seek(start))
                await sink.begin(facts, start)
                while data := await settled(stream.read(_CHUNK)):
                    await sink.write(data)
        except OSError as exc:
            raise from_os(exc) from exc

    async def send(self, place: RemoteFile, source: Source, *, overwrite: bool) -> None:
        target = _path(place)
        half = target.with_name(f".arex-{secrets.token_hex(8)}.part")
        try:
            await in_thread(_room, target.parent, source.size)
            async with aiofiles.open(half, "xb", buffering=0) as stream:
                async for data in source.chunks():
                    view = memoryview(data)
                    while view:
                        view = view[await settled(stream.write(view)) :]
                await in_thread(os.fsync, stream.fileno())
            await in_thread(publish, half, target, overwrite=overwrite)
        except OSError as exc:
            raise from_os(exc) from exc
        finally:
            await in_thread(half.unlink, missing_ok=True)  # nothing of a failed copy stays

    async def close(self) -> None:
        """Nothing is kept."""


def _path(place: RemoteFile) -> Path:
    try:
        return local_path(place.url)
    except StagingError as exc:
        raise TransferError(ErrorKind.PERMANENT, str(exc).partition(": ")[2]) from exc


def _look(path: Path) -> FileInfo:
    try:
        return _facts(path.stat())
    except FileNotFoundError as exc:
        if path.is_symlink():  # a broken link, but the name is in use
            return FileInfo()
        raise from_os(exc) from exc
    except OSError as exc:
        raise from_os(exc) from exc


def _facts(info: os.stat_result) -> FileInfo:
    if not stat.S_ISREG(info.st_mode):
        raise TransferError(ErrorKind.PERMANENT, "not a regular file")
    modified = datetime.fromtimestamp(info.st_mtime, UTC)
    return FileInfo(size=info.st_size, modified=modified, etag=f'"{info.st_ino}-{info.st_mtime_ns}-{info.st_size}"')


def open_regular(path: Path) -> int:
    """Open a regular file only: a pipe would block the transfer, and a device may have no end."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise from_os(exc) from exc
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise TransferError(ErrorKind.PERMANENT, "not a regular file")
    return fd


def _room(directory: Path, size: int) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    facts = os.statvfs(directory)
    must_fit(size, facts.f_bavail * facts.f_frsize, str(directory))


def publish(half: Path, target: Path, *, overwrite: bool) -> None:
    if overwrite:
        half.rename(target)
        return
    try:
        os.link(half, target)  # unlike a rename, it never replaces a file that was created meanwhile
    except FileExistsError as exc:
        raise TransferError(ErrorKind.PERMANENT, "the target already exists (created during the transfer)") from exc
    except OSError:  # a file system without hard links
        half.rename(target)
