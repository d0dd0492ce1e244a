"""
What jobs may reach by fsspec: the URLs that the site allows, and the credentials for them.

The credentials are the service's, so each set belongs to the beginning of a URL with a host, and is sent nowhere else.
"""

from __future__ import annotations

import json
import logging
import os
import re
import stat
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from arex.aio import in_thread
from arex.config.codec import storage_url
from arex.config.staging import StorageUrl
from arex.errors import StagingError
from arex.model.url import Url
from arex.staging.movers.base import ErrorKind, TransferError

log = logging.getLogger(__name__)

Options = Mapping[str, Any]

_LARGEST: Final = 1024 * 1024
#: Without a user: the options set it, and the cache does not distinguish users.
_AUTHORITY: Final = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
#: Chains, queries, fragments, drives, other separators, line ends: some file system gives each a meaning.
_ODD: Final = re.compile(r"::|:/|[\\?#\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Grant:
    """One line of ``fsspec``."""

    url: StorageUrl

    def covers(self, url: Url, path: str) -> bool:
        """Whether the line allows a URL; ``path`` is the path of that URL without percent-encoding."""
        if not self.url.authority:
            return url.scheme == self.url.scheme
        here = (self.url.scheme, self.url.authority.lower()) == (url.scheme, url.host)
        above = self.url.path.rstrip("/")
        return here and (path == above or path.startswith(f"{above}/"))


@dataclass(frozen=True, slots=True)
class Reach:
    """A file that a job may access."""

    scheme: str
    url: str  #: in the form for fsspec: without percent-encoding
    options: Options = field(repr=False)


class Grants:
    """All lines of ``fsspec``. The options file is read for each transfer, so it can be changed at any time."""

    def __init__(self, lines: Sequence[StorageUrl] = (), options: Path | None = None) -> None:
        self._grants = tuple(sorted(map(Grant, lines), key=lambda grant: -len(str(grant.url))))
        self._options = options
        self.schemes = frozenset(line.scheme for line in lines)

    async def reach(self, url: Url) -> Reach:
        """
        The URL and options for fsspec; the longest line that covers a URL counts.

        Raises:
            TransferError: jobs may not access the URL, or the options file can't be used.
        """
        path = _path(url)
        grant = next((each for each in self._grants if each.covers(url, path)), None)
        if grant is None:
            raise TransferError(
                ErrorKind.PERMANENT,
                "jobs are not allowed to use this storage",
                cure="the administrator can allow it with the option fsspec",
            )
        options: Options = {} if self._options is None else await in_thread(self._of, grant.url, self._options)
        return Reach(url.scheme, f"{url.scheme}://{url.authority}{path}", options)

    def _of(self, line: StorageUrl, file: Path) -> Options:
        try:
            return options_of({grant.url for grant in self._grants}, file).get(line, {})
        except _Unusable as exc:
            log.error("cannot use %s: %s", file, exc, extra={"event": "stage.options"})  # noqa: TRY400 - it says all
            raise TransferError(
                ErrorKind.PERMANENT,
                "cannot use the file fsspec_options",
                cure="ask the administrator; the log of the service has the reason",
            ) from None


def _path(url: Url) -> str:
    """
    The path of a file without percent-encoding.

    Raises:
        TransferError: a file system could interpret it in another way than we do.
    """
    if "@" in url.authority:
        cure = "remove it, the administrator can set it in fsspec_options"
        raise TransferError(ErrorKind.PERMANENT, "the URL contains a user name or password", cure=cure)
    if not _AUTHORITY.fullmatch(url.authority):
        raise TransferError(ErrorKind.PERMANENT, f"invalid host name in the URL: {url.authority}")
    try:
        path = unquote(url.path, errors="strict")
    except UnicodeDecodeError:
        path = "::"
    if path.endswith("/"):
        raise TransferError(ErrorKind.PERMANENT, 'the path ends with "/", so it names a directory')
    if _ODD.search(url.path) or _ODD.search(path) or {".", ".."} & set(path.split("/")):
        cure = r"rename the file: no '.' or '..' between slashes, no ? # \ :: :/ and no control characters"
        raise TransferError(
            ErrorKind.PERMANENT, "the path has a component or a character that is not allowed here", cure=cure
        )
    return path


# --- the file of options ----------------------------------------------------------------------------------------


class _Unusable(StagingError):
    """Why an options file is refused; the text contains none of its values."""


def options_of(lines: Collection[StorageUrl], file: Path) -> dict[StorageUrl, Options]:
    """
    The options for each line of ``fsspec``.

    Raises:
        StagingError: other users can access the file, or it is invalid.
    """
    try:
        found = json.loads(_private(file))
    except OSError as exc:
        raise _Unusable(exc.strerror or "can't be read") from exc
    except ValueError:  # its text may quote the file
        raise _Unusable("invalid JSON") from None
    if not isinstance(found, dict) or not all(isinstance(each, dict) for each in found.values()):
        raise _Unusable("expected a JSON object with an object for each line of fsspec")
    options: dict[StorageUrl, Options] = {}
    for text, each in found.items():
        try:
            line = storage_url(text)
        except ValueError as exc:
            raise _Unusable(str(exc)) from exc
        if line not in lines:
            raise _Unusable(f"{line} is not a line of the option fsspec")
        if not line.authority:
            raise _Unusable(f"{line}: the parameters would be sent to any host; add the host to the line")
        options[line] = each
    return options


def _private(path: Path) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(fd, "rb") as stream:  # noqa: PTH123 - what was looked at is what is read
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode) or info.st_size > _LARGEST:
            raise _Unusable("not a regular file, or too large")
        if info.st_mode & 0o077 or info.st_uid not in {0, os.geteuid()}:
            raise _Unusable(
                "other users can read or change the file; run chown to the user of the service, and chmod 600"
            )
        return stream.read(_LARGEST)
