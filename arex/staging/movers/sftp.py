"""
Files by SSH: ``sftp://[user@]host[:port]/path``, with ``/~/`` for the home directory there.

The account of the service logs in, with its keys or its agent, and with its OpenSSH configuration. The host key must
be known; it is checked as ssh(1) does. URLs must not contain passwords.
Source: draft-ietf-secsh-filexfer-02; OpenSSH PROTOCOL, extensions.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import stat
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast
from urllib.parse import unquote

from arex.aio import settled
from arex.model.url import Url
from arex.staging.movers.base import (
    ErrorKind,
    FileInfo,
    MoverSettings,
    RemoteFile,
    Resume,
    Sink,
    Source,
    TransferError,
    must_fit,
    start_of,
)
from arex.staging.movers.pipelining import read_ahead, write_behind
from arex.staging.movers.shared import Shared

try:
    import asyncssh
except ModuleNotFoundError as exc:
    raise ModuleNotFoundError(f"the package {exc.name} is missing: pip install 'arex[sftp]'") from exc

#: Largest request, if the server allows it; and how many bytes are requested at the same time.
_PIECE: Final = 256 * 1024
_AHEAD: Final = 4 * 1024 * 1024
_CONNECT_S: Final = 30.0
_ANSWER_S: Final = 300.0
_PARTING_S: Final = 3.0
_ALIVE_S: Final = 30.0
#: The first one is the fastest on processors with AES instructions.
_CIPHERS: Final = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes128-ctr",
)
#: Users and hosts may become part of commands in the ssh configuration, so only safe names are allowed.
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_ADDRESS: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*|[0-9A-Fa-f:.]+")
_FULL: Final = (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded)
_MISSING: Final = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)
_REFUSED: Final = (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect)
_GONE: Final = (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection)


@dataclass(frozen=True, slots=True)
class _Login:
    """User, host and port; the ssh configuration fills in what is empty."""

    user: str
    host: str
    port: int | None


@dataclass(frozen=True, slots=True)
class _Line:
    """A connection, with the one SFTP session that its transfers share."""

    connection: asyncssh.SSHClientConnection
    sftp: asyncssh.SFTPClient

    def is_up(self) -> bool:
        return not self.connection.is_closed()

    async def end(self) -> None:
        self.connection.abort()
        await self.connection.wait_closed()


class SftpMover:
    """One connection for each host and user."""

    def __init__(self, means: MoverSettings) -> None:
        self.limit = means.inactivity_s or _ANSWER_S
        self._lines = Shared(_connect, _Line.end, usable=_Line.is_up)

    # --- the protocol of movers ---------------------------------------------------------------------------------

    async def stat(self, place: RemoteFile) -> FileInfo:
        with self.judged():
            async with self.line(place) as line, asyncio.timeout(self.limit):
                return _facts(await line.sftp.stat(path_of(place.url)))

    async def fetch(self, place: RemoteFile, sink: Sink, resume: Resume | None) -> None:
        with self.judged():
            async with self.line(place) as line, self._opened(line, path_of(place.url), "rb") as file:
                async with asyncio.timeout(self.limit):
                    facts = _facts(await file.stat())
                start = start_of(resume, facts)
                await sink.begin(facts, start)

                async def read(offset: int, size: int) -> bytes:
                    return await self._read(file, offset, size)

                piece = min(_PIECE, line.sftp.limits.max_read_len)
                pieces = read_ahead(read, start, facts.size or 0, piece=piece, depth=_AHEAD // piece)
                async with contextlib.aclosing(pieces):
                    async for data in pieces:
                        await sink.write(data)

    async def send(self, place: RemoteFile, source: Source, *, overwrite: bool) -> None:
        path = path_of(place.url)
        above = path.rpartition("/")[0]
        half = f"{above}/.arex-{secrets.token_hex(8)}.part" if above else f".arex-{secrets.token_hex(8)}.part"
        with self.judged():
            async with self.line(place) as line:
                async with asyncio.timeout(self.limit):
                    await _room(line.sftp, above, source.size)
                try:
                    await self._write(line, half, source)
                    async with asyncio.timeout(self.limit):
                        await _publish(line.sftp, half, path, overwrite=overwrite)
                except BaseException:
                    await _remove(line, half)
                    raise

    async def close(self) -> None:
        await self._lines.close()

    # --- parts --------------------------------------------------------------------------------------------------

    async def _read(self, file: asyncssh.SFTPClientFile, offset: int, size: int) -> bytes:
        """Read ``size`` bytes, or up to the end of the file; servers may send less in one answer."""
        found = b""
        async with asyncio.timeout(self.limit):
            while len(found) < size:
                # bytes, because the file was opened without an encoding
                data = cast("bytes", await file.read(size - len(found), offset + len(found)))
                if not data:
                    break
                found = found + data if found else data
        return found

    async def _write(self, line: _Line, half: str, source: Source) -> None:
        async with self._opened(line, half, "xb") as file:

            async def write(offset: int, data: bytes) -> None:
                async with asyncio.timeout(self.limit):
                    await file.write(data, offset)

            piece = min(_PIECE, line.sftp.limits.max_write_len)
            await write_behind(write, _cut(source, piece), depth=_AHEAD // piece)
            with contextlib.suppress(asyncssh.SFTPOpUnsupported):
                async with asyncio.timeout(self.limit):
                    await file.fsync()

    @contextlib.asynccontextmanager
    async def _opened(self, line: _Line, path: str, mode: str) -> AsyncIterator[asyncssh.SFTPClientFile]:
        async with asyncio.timeout(self.limit):
            file = await line.sftp.open(path, mode, encoding=None, block_size=0)  # without background tasks
        try:
            yield file
        finally:
            await _in_time(line, file.close())

    @contextlib.asynccontextmanager
    async def line(self, place: RemoteFile) -> AsyncIterator[_Line]:
        """A working connection; it is closed if a transfer times out on it."""
        line = await self._lines.of(_login(place.url))
        try:
            yield line
        except TimeoutError:
            line.connection.abort()
            raise

    @contextlib.contextmanager
    def judged(self) -> Iterator[None]:
        try:
            yield
        except (asyncssh.Error, OSError, ValueError) as exc:
            raise _trouble(exc) from exc


async def _connect(login: _Login) -> _Line:
    try:
        connection = await asyncssh.connect(
            login.host,
            port=login.port if login.port is not None else (),
            username=login.user or (),
            password=None,
            preferred_auth="publickey",
            encryption_algs=_CIPHERS,
            compression_algs=None,
            connect_timeout=_CONNECT_S,
            login_timeout=_CONNECT_S,
            keepalive_interval=_ALIVE_S,
        )
    except (asyncssh.Error, OSError, ValueError) as exc:
        raise _trouble(exc) from exc
    try:
        async with asyncio.timeout(_CONNECT_S):
            return _Line(connection, await connection.start_sftp_client(path_errors="surrogateescape"))
    except BaseException as exc:
        connection.abort()
        if isinstance(exc, asyncssh.Error | OSError):
            raise _trouble(exc) from exc
        raise


async def _cut(source: Source, piece: int) -> AsyncIterator[bytes]:
    async for data in source.chunks():
        for start in range(0, len(data), piece):
            yield data[start : start + piece]


def _login(url: Url) -> _Login:
    user, _, machine = url.authority.rpartition("@")
    match = re.fullmatch(r"(?:\[([^\]]+)\]|([^:]+))(?::([0-9]{1,5}))?", machine)
    host = "" if match is None else match[1] or match[2]
    if match is None or not _ADDRESS.fullmatch(host) or (user and not _NAME.fullmatch(user)):
        cure = "no passwords in URLs" if ":" in user else ""
        raise TransferError(ErrorKind.PERMANENT, "invalid user or host name", cure=cure)
    return _Login(user, host, int(match[3]) if match[3] else None)


def path_of(url: Url) -> str:
    path = unquote(url.path, errors="surrogateescape")
    if "\0" in path or ".." in path.split("/") or path.endswith("/"):
        raise TransferError(ErrorKind.PERMANENT, "the path does not name a file")
    return path.removeprefix("/~/") if path.startswith("/~/") else path


def _facts(found: asyncssh.SFTPAttrs) -> FileInfo:
    if found.permissions is not None and not stat.S_ISREG(found.permissions):
        raise TransferError(ErrorKind.PERMANENT, "not a regular file")
    modified = None if found.mtime is None else datetime.fromtimestamp(found.mtime, UTC)
    return FileInfo(size=found.size, modified=modified)


async def _room(sftp: asyncssh.SFTPClient, above: str, size: int) -> None:
    if above:
        await sftp.makedirs(above, exist_ok=True)
    with contextlib.suppress(asyncssh.SFTPOpUnsupported):
        facts = await sftp.statvfs(above or ".")
        must_fit(size, facts.bavail * facts.frsize, "the server")


async def _publish(sftp: asyncssh.SFTPClient, half: str, path: str, *, overwrite: bool) -> None:
    if overwrite:
        try:
            await sftp.posix_rename(half, path)
        except asyncssh.SFTPOpUnsupported:
            with contextlib.suppress(*_MISSING):
                await sftp.remove(path)
            await sftp.rename(half, path)
        return
    try:
        await sftp.rename(half, path)  # the protocol forbids it to replace a file
    except asyncssh.SFTPFailure:
        if await sftp.exists(path):
            raise TransferError(
                ErrorKind.PERMANENT, "the target already exists (created during the transfer)"
            ) from None
        raise


async def _remove(line: _Line, half: str) -> None:
    """Remove an incomplete file, if the server still answers."""
    await _in_time(line, line.sftp.remove(half))


async def _in_time(line: _Line, work: Coroutine[None, None, None]) -> None:
    """
    Do the last request of a transfer; if the server does not answer in time, close the connection.

    A cancellation meanwhile is passed on after that: other transfers use the same connection.
    """
    await settled(_done(line, work))


async def _done(line: _Line, work: Coroutine[None, None, None]) -> None:
    try:
        async with asyncio.timeout(_PARTING_S):
            await work
    except TimeoutError:
        line.connection.abort()
    except (asyncssh.Error, OSError):
        return  # the transfer has ended, or failed for another reason


# --- what went wrong --------------------------------------------------------------------------------------------


def _trouble(exc: Exception) -> TransferError:
    text = " ".join(str(exc).split())[:200] or type(exc).__name__
    match exc:
        case asyncssh.HostKeyNotVerifiable():
            return TransferError(
                ErrorKind.PERMANENT,
                "unknown host key, or the host key has changed",
                cure="verify the key, and add it to ~/.ssh/known_hosts of the user of the service",
            )
        case asyncssh.PermissionDenied():
            return TransferError(
                ErrorKind.PERMANENT,
                "Permission denied: the server accepts none of the keys of the service's account",
                cure="add the public key to authorized_keys on the server, or load a key into ssh-agent",
            )
        case TimeoutError():
            return TransferError(ErrorKind.TEMPORARY, "Connection timed out")
        case asyncssh.SFTPError():
            return _said(exc, text)
        case asyncssh.ConnectionLost():
            return TransferError(ErrorKind.TEMPORARY, "the server closed the connection")
        case OSError() if exc.strerror:
            return TransferError(ErrorKind.TEMPORARY, f"no connection: {exc.strerror}")
    return TransferError(ErrorKind.TEMPORARY, text)


def _said(exc: asyncssh.SFTPError, text: str) -> TransferError:
    if isinstance(exc, _MISSING):
        return TransferError(ErrorKind.NOT_FOUND, "No such file or directory")
    if isinstance(exc, _REFUSED):
        return TransferError(
            ErrorKind.PERMANENT, "Permission denied", cure="ask the server's administrators for access"
        )
    if isinstance(exc, _FULL):
        return TransferError(ErrorKind.NO_SPACE, "No space left on device", cure="make room, or raise the quota")
    if isinstance(exc, _GONE):
        return TransferError(ErrorKind.TEMPORARY, "the server closed the connection")
    if isinstance(exc, asyncssh.SFTPOpUnsupported):
        return TransferError(ErrorKind.PERMANENT, "Operation not supported")
    return TransferError(ErrorKind.TEMPORARY, text)
