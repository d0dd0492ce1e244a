"""
Files that lie on this host: ``file:`` URLs in and out.

Every other scheme is refused with its name, so that the owner knows at once.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from arex.controldir import beneath
from arex.errors import StagingError, TransferFailed, UnsafePath
from arex.model.files import FileEntry
from arex.model.ids import JobId
from arex.ports import Staged, Stager

_SCHEME: Final = "file:"


class LocalStager:
    """A stager for sites whose data is reached as files."""

    async def stage_in(self, job: JobId, session: Path, files: Sequence[FileEntry]) -> Staged:
        del job
        return await asyncio.to_thread(_each, _fetch, session, files)

    async def stage_out(self, job: JobId, session: Path, files: Sequence[FileEntry]) -> Staged:
        del job
        return await asyncio.to_thread(_each, _send, session, files)

    async def cancel(self, job: JobId) -> None:
        """Copies are not interrupted; what they made is cleaned up with the job."""
        del job


def _each(move: object, session: Path, files: Sequence[FileEntry]) -> Staged:
    assert callable(move)
    try:
        for entry in files:
            move(session, entry)
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
    path = Path(unquote(rest))
    if not path.is_absolute() or ".." in path.parts:
        raise StagingError(f"{url}: not an absolute path")
    return path


def _fetch(session: Path, entry: FileEntry) -> None:
    source = path_of(entry.lfn)
    partial = f"{entry.pfn}.part"
    try:
        with source.open("rb") as read:
            fd = beneath.open_file(session, partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, create_parents=True)
            with os.fdopen(fd, "wb") as write:
                shutil.copyfileobj(read, write)
    except OSError as exc:
        raise TransferFailed(f"{entry.lfn}: {exc.strerror}") from exc
    with beneath.parent_of(session, entry.pfn) as (above, name):
        os.rename(f"{name}.part", name, src_dir_fd=above, dst_dir_fd=above)


def _send(session: Path, entry: FileEntry) -> None:
    target = path_of(entry.lfn)
    if target.exists() and "overwrite=yes" not in entry.lfn:
        raise TransferFailed("Destination URL already exists")
    partial = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(beneath.open_file(session, entry.pfn), "rb") as read, partial.open("wb") as write:
            shutil.copyfileobj(read, write)
        partial.rename(target)
    except OSError as exc:
        raise TransferFailed(f"{entry.lfn}: {exc.strerror}") from exc


_: type[Stager] = LocalStager
