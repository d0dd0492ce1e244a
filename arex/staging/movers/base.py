"""
What a mover is: the part of staging that speaks one protocol. Read this to add a scheme.

A mover is created on first use, with ``MoverSettings``, and serves many transfers at the same time. It moves bytes
and classifies the errors of servers; the engine takes care of limits, retries, replicas, checksums, part files and
the cache.

- ``fetch`` calls ``sink.begin`` once for each answer, when the facts and the first byte are known, then
  ``sink.write``. It may begin again from zero if the file at the server has changed.
- ``send`` reads ``source.chunks()``, again from the start if the server redirects it.
- Every failure is a ``TransferError`` with a verdict; ``from_os`` makes one from an OSError. Anything else is a bug.
- The text of a ``TransferError`` contains no URL and no secret; the engine adds the name of the file.
- Cancellation is possible at any ``await``: the connection is then closed, or given back ready for the next request.

A distribution announces its mover with an entry point of the group ``arex.movers``: the name is the scheme, the
value ``module:Class``.
"""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from arex.clock import Clock, SystemClock
from arex.errors import StagingError
from arex.model.url import Url
from arex.staging.checksum import Checksum


class ErrorKind(StrEnum):
    """What to do after an error."""

    TEMPORARY = "temporary"  #: try again later
    PERMANENT = "permanent"  #: this replica cannot be used
    NOT_FOUND = "not found"  #: the same
    CREDENTIAL = "credential"  #: possible after the owner has renewed a credential
    NO_SPACE = "no space"  #: try again a few times, then fail
    CORRUPT = "corrupt"  #: content is not what was announced: try once more, then another replica


class TransferError(StagingError):
    """
    One attempt failed.

    ``text`` is ARC's name for the error, then the words of the server: ``Permission denied: Forbidden``. ``cure`` is
    what the owner can do, ``retry_after`` the pause in seconds that the server requests.
    """

    def __init__(self, verdict: ErrorKind, text: str, *, cure: str = "", retry_after: float | None = None) -> None:
        self.verdict, self.text, self.cure, self.retry_after = verdict, text, cure, retry_after
        super().__init__(f"{text} ({cure})" if cure else text)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInfo:
    """The facts about a file at the server; each may be unknown."""

    size: int | None = None
    modified: datetime | None = None
    etag: str = ""  #: as the server spells it, with quotes; changes with the content
    checksums: tuple[Checksum, ...] = ()  #: of the whole file

    @property
    def validator(self) -> str:
        """The validator of the content as text; empty if there is none."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return "" if self.modified is None else self.modified.isoformat()

    def agrees(self, other: FileInfo) -> bool:
        """Whether both have the same content, as far as known."""
        return self.size == other.size and self.validator == other.validator


@dataclass(frozen=True, slots=True)
class Resume:
    """The first ``offset`` bytes of a file with these facts are already on this host."""

    offset: int
    facts: FileInfo


def start_of(resume: Resume | None, now: FileInfo) -> int:
    """The first byte to ask for; 0 if the file at the server is not the one that was begun."""
    return resume.offset if resume is not None and resume.facts.agrees(now) else 0


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file at a server, and the credential file to use."""

    url: Url
    credential: Path | None = None


class Sink(Protocol):
    """The target of downloaded bytes."""

    async def begin(self, facts: FileInfo, start: int) -> None:
        """The bytes from ``start`` on follow; existing data after it is dropped. Raises TransferError: no space."""
        ...

    async def write(self, data: bytes) -> None: ...


class Source(Protocol):
    """The source of uploaded bytes."""

    size: int

    def chunks(self) -> AsyncIterator[bytes]:
        """The whole content, from the start, ``size`` bytes or TransferError."""
        ...


class Mover(Protocol):
    """Speaks one protocol or several similar ones. Created as ``Mover(means)``. All methods may raise TransferError."""

    async def stat(self, place: RemoteFile) -> FileInfo:
        """The facts about a file; NOT_FOUND if there is none."""
        ...

    async def fetch(self, place: RemoteFile, sink: Sink, resume: Resume | None) -> None:
        """
        Download the file; only the rest if ``resume`` is given and the file is certainly the same.

        Returns only after the whole answer was received; an answer that ends early is TEMPORARY.
        """
        ...

    async def send(self, place: RemoteFile, source: Source, *, overwrite: bool) -> None:
        """
        Upload a file; missing directories above it are created.

        Without ``overwrite`` the engine has checked that the target does not exist. If the protocol allows it, an
        incomplete file never has the final name.
        """
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MoverSettings:
    """What a site gives its movers."""

    cert_dir: Path
    http_proxy: str = ""
    partial_get: bool = False  #: ``httpgetpartial``
    inactivity_s: float | None = None  #: longest silence
    clock: Clock = field(default_factory=SystemClock)


_NO_SPACE: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED: Final = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR, errno.EINVAL}
_MISSING: Final = {errno.ENOENT, errno.ENOTDIR}


def must_fit(size: int, free: int, where: str) -> None:
    """
    Check the free space before a long transfer begins.

    Args:
        size: bytes to be written.
        free: bytes that are free.
        where: the directory, or the server, for the message.

    Raises:
        TransferError: the file does not fit.
    """
    if free < size:
        text = f"{os.strerror(errno.ENOSPC)}: {size} bytes are to be written to {where}, {free} are free"
        raise TransferError(ErrorKind.NO_SPACE, text, cure="make room")


def cancelled() -> TransferError:
    """The error of a transfer that ends because its mover is closed or its request is withdrawn."""
    return TransferError(ErrorKind.TEMPORARY, "the transfer was cancelled")


def from_os(exc: OSError) -> TransferError:
    """What an error of the file system means for a transfer."""
    text = os.strerror(exc.errno) if exc.errno else str(exc)
    if exc.errno in _NO_SPACE:
        return TransferError(ErrorKind.NO_SPACE, text, cure="make room, or raise the quota")
    if exc.errno in _MISSING:
        return TransferError(ErrorKind.NOT_FOUND, text)
    return TransferError(ErrorKind.PERMANENT if exc.errno in _REFUSED else ErrorKind.TEMPORARY, text)
