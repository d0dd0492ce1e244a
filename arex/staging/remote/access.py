"""Movers and directories for one command of a user, with its time limit and its number of tries."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Final, Self, TypeVar

from arex.clock import Clock, SystemClock
from arex.errors import StagingError
from arex.model.url import Url
from arex.staging.movers.base import ErrorKind, Mover, MoverSettings, RemoteFile, TransferError
from arex.staging.movers.fsspec.allowed import Grants
from arex.staging.movers.registry import TABLE, Movers
from arex.staging.remote.base import Directories, EntryKind, NotSupported, RemoteEntry

_T = TypeVar("_T")

_PLACE: Final = "arex.staging.remote"
_HTTP: Final = f"{_PLACE}.dav:DavDirectories"
_S3: Final = f"{_PLACE}.s3:S3Directories"
_XROOTD: Final = f"{_PLACE}.xrootd:XrootdDirectories"
_STORAGE: Final = f"{_PLACE}.storage:StorageDirectories"
_DIRECTORIES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("http", "https", "dav", "davs"), _HTTP),
    **dict.fromkeys(("s3", "s3+https"), _S3),
    **dict.fromkeys(("root", "roots", "xroot", "xroots"), _XROOTD),
    "sftp": f"{_PLACE}.sftp:SftpDirectories",
}
#: Schemes whose servers learn the user's certificate or token; the others have accounts, keys or nothing.
_IDENTIFIED: Final = frozenset({"http", "https", "dav", "davs", "root", "roots", "xroot", "xroots"})
_PAUSE_S: Final = 2.0
_LONGEST_PAUSE_S: Final = 60.0


class RemoteError(StagingError):
    """A command failed at one URL, ``where``."""

    def __init__(self, where: str, why: str) -> None:
        self.where = where
        super().__init__(f"{where}: {why}")


@dataclass(kw_only=True)
class RemoteAccess:
    """
    What a command needs to work at URLs. Use it as an async context manager.

    ``timeout_s`` limits each request, and the idle time of a transfer. Temporary errors are tried again ``retries``
    times. ``credential`` is a file of the user with a proxy or a token.
    """

    settings: MoverSettings
    grants: Grants = field(default_factory=Grants)
    credential: Path | None = None
    timeout_s: float
    retries: int = 0
    clock: Clock = field(default_factory=SystemClock)
    _directories: dict[str, Directories] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._movers = Movers(self.settings, grants=self.grants)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._movers.close()

    def place(self, url: Url) -> RemoteFile:
        """The URL with the user's credential, if its servers can learn it."""
        return RemoteFile(url, self.credential if url.scheme in _IDENTIFIED else None)

    async def mover(self, url: Url) -> Mover:
        """
        The mover for a URL.

        Raises:
            RemoteError: there is none for its scheme.
        """
        if not self._movers.speaks(url.scheme):
            known = ", ".join(sorted({*TABLE, *self.grants.schemes}))
            raise RemoteError(url.shown, f"unknown URL scheme; expected one of {known}")
        try:
            return await self._movers.of(url.scheme)
        except StagingError as exc:
            raise RemoteError(url.shown, str(exc)) from exc

    async def tried(self, url: Url, work: Callable[[], Awaitable[_T]]) -> _T:
        """
        Call ``work``, again after a temporary error if tries are left.

        Raises:
            RemoteError: it has failed.
        """
        left, pause = self.retries, _PAUSE_S
        while True:
            try:
                return await work()
            except TransferError as exc:
                if exc.verdict not in {ErrorKind.TEMPORARY, ErrorKind.CORRUPT} or not left:
                    raise RemoteError(url.shown, str(exc)) from exc
                wait = max(pause, min(exc.retry_after or 0.0, _LONGEST_PAUSE_S))
            except NotSupported as exc:
                raise RemoteError(url.shown, str(exc)) from exc
            left -= 1
            await self.clock.sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    async def asked(self, url: Url, work: Callable[[Directories, RemoteFile], Awaitable[_T]]) -> _T:
        """
        Call ``work`` with the directories of a URL's scheme, in time.

        Raises:
            RemoteError: it has failed, or this scheme has no directories.
        """
        directories, place = await self._of(url), self.place(url)

        async def in_time() -> _T:
            try:
                async with asyncio.timeout(self.timeout_s):
                    return await work(directories, place)
            except TimeoutError as exc:
                text = f"no answer within {self.timeout_s:g} seconds"
                raise TransferError(ErrorKind.TEMPORARY, text, cure="raise --timeout") from exc

        return await self.tried(url, in_time)

    async def _of(self, url: Url) -> Directories:
        name = self._name(url)
        if name not in self._directories:
            self._directories[name] = await self._made(url, name)
        return self._directories[name]

    async def _made(self, url: Url, name: str) -> Directories:
        if url.scheme == "file":
            from arex.staging.remote.local import LocalDirectories  # noqa: PLC0415 - start-up time

            return LocalDirectories()
        mover = await self.mover(url)
        try:
            if name == _XROOTD:  # the mover of the registry is in another process
                mover = resolve_name(TABLE[url.scheme])(self.settings)
            made: Directories = resolve_name(name)(mover)
        except ImportError as exc:
            raise RemoteError(url.shown, str(exc)) from exc
        return made

    def _name(self, url: Url) -> str:
        """Where the class for a scheme is."""
        if url.scheme == "file":
            return ""
        if url.scheme in self.grants.schemes:
            return _STORAGE
        if url.scheme in TABLE and url.scheme not in _DIRECTORIES:
            known = ", ".join(sorted(("file", *_DIRECTORIES)))
            raise RemoteError(url.shown, f"{url.scheme}: URLs can only be copied; this works with {known}")
        return _DIRECTORIES.get(url.scheme, _STORAGE)

    # --- what commands do ---------------------------------------------------------------------------------------

    async def look(self, url: Url) -> RemoteEntry:
        """What a URL names. Raises RemoteError."""
        return await self.asked(url, lambda directories, place: directories.look(place))

    async def found(self, url: Url) -> RemoteEntry | None:
        """What a URL names; None if nothing is there. Raises RemoteError."""
        try:
            return await self.look(url)
        except RemoteError as exc:
            if isinstance(exc.__cause__, TransferError) and exc.__cause__.verdict is ErrorKind.NOT_FOUND:
                return None
            raise

    async def entries(self, url: Url) -> list[RemoteEntry]:
        """What is in a directory, sorted by name. Raises RemoteError."""
        found = await self.asked(url, lambda directories, place: directories.entries(place))
        return sorted(found, key=lambda entry: entry.name)

    async def remove(self, url: Url) -> None:
        """Remove a file or an empty directory. Raises RemoteError."""
        await self.asked(url, lambda directories, place: directories.remove(place))

    async def make_directory(self, url: Url, *, parents: bool) -> None:
        """Create a directory if it does not exist, and those above it with ``parents``. Raises RemoteError."""
        try:
            await self.asked(url, lambda directories, place: directories.make(place))
        except RemoteError as exc:
            cause = exc.__cause__
            if parents and isinstance(cause, TransferError) and cause.verdict is ErrorKind.NOT_FOUND:
                above = parent(url)
                if above is not None:
                    await self.make_directory(above, parents=True)
                    await self.make_directory(url, parents=False)
                    return
            elif await self._is_directory(url):
                return
            raise

    async def _is_directory(self, url: Url) -> bool:
        try:
            found = await self.found(url)
        except RemoteError:  # the error of the attempt to create it is raised
            return False
        return found is not None and found.kind is EntryKind.DIRECTORY

    async def rename(self, url: Url, new: Url) -> None:
        """
        Rename a file or directory; an existing file with the new name is replaced, a directory never is.

        Raises:
            RemoteError: it has failed, or the URLs are of different servers.
        """
        if (url.scheme, url.authority) != (new.scheme, new.authority):
            raise RemoteError(new.shown, f"is at another server than {url.shown}: use arccp, then arcrm")
        target = await self.found(new)
        if target is not None and target.kind is EntryKind.DIRECTORY:
            raise RemoteError(new.shown, "is a directory: name the file in it too")
        await self.asked(url, lambda directories, place: directories.rename(place, new))


def parent(url: Url) -> Url | None:
    """The URL of the directory above; None for the top."""
    above = url.path.rstrip("/").rpartition("/")[0]
    return replace(url, path=f"{above}/", metadata=()) if above else None
