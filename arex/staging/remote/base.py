"""What commands of users need beside the transfer of files: the names in a directory, and changes of names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol
from urllib.parse import quote, unquote

from arex.errors import StagingError
from arex.model.url import Url
from arex.staging.movers.base import ErrorKind, RemoteFile, TransferError


class EntryKind(StrEnum):
    """What a name belongs to."""

    FILE = "file"
    DIRECTORY = "directory"
    OTHER = "other"  #: a link, a device and the like; nothing is copied


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteEntry:
    """A file or directory, as far as the server describes it."""

    name: str  #: without directories
    kind: EntryKind
    size: int | None = None
    modified: datetime | None = None
    checksum: str = ""  #: ``adler32:12345678``


class NotSupported(StagingError):
    """This cannot be done with URLs of this scheme."""


class Directories(Protocol):
    """
    Directories of one protocol. All methods raise TransferError, or NotSupported.

    ``remove`` never removes what is in a directory. Paths of directories may end with a slash.
    """

    async def look(self, place: RemoteFile) -> RemoteEntry:
        """What the URL names; NOT_FOUND if nothing is there."""
        ...

    async def entries(self, place: RemoteFile) -> list[RemoteEntry]:
        """What is in a directory, in any order."""
        ...

    async def remove(self, place: RemoteFile) -> None:
        """Remove a file or an empty directory."""
        ...

    async def make(self, place: RemoteFile) -> None:
        """Create one directory; NOT_FOUND if the directory above is missing. It does not exist yet."""
        ...

    async def rename(self, place: RemoteFile, new: Url) -> None:
        """Rename, at the same server; an existing file with the new name is replaced."""
        ...


#: Schemes whose paths are not percent-encoded: what is in the URL is the name.
_LITERAL: Final = frozenset({"root", "roots", "xroot", "xroots"})


def last_name(url: Url) -> str:
    """The name of the file or directory."""
    name = url.path.partition("?")[0].rstrip("/").rpartition("/")[2]
    return name if url.scheme in _LITERAL else unquote(name, errors="surrogateescape")


def is_directory_url(url: Url) -> bool:
    """Whether the URL says that it names a directory."""
    return url.path.endswith("/")


def below(url: Url, name: str, *, directory: bool = False) -> Url:
    """
    The URL of an entry of a directory.

    Raises:
        TransferError: the name cannot be one of an entry; servers may send anything.
    """
    odd = url.scheme in _LITERAL and "?" in name
    if name in {"", ".", ".."} or "/" in name or "\0" in name or odd:
        raise TransferError(ErrorKind.PERMANENT, f"the server lists an invalid name: {name[:80]!r}")
    written = name if url.scheme in _LITERAL else quote(name, errors="surrogateescape")
    path = f"{url.path.rstrip('/')}/{written}"
    return replace(url, path=f"{path}/" if directory else path, metadata=())


def valid(found: Iterable[RemoteEntry]) -> list[RemoteEntry]:
    """Check the names that a server has listed; raises TransferError."""
    entries = list(found)
    for entry in entries:
        below(Url("file"), entry.name)
    return entries


def not_empty() -> TransferError:
    return TransferError(ErrorKind.PERMANENT, "Directory not empty", cure="remove what is in it first")
