"""
XRootD servers: ``root``, ``roots``, ``xroot``, ``xroots``, by the client library of XRootD.

The library's settings apply to the whole process, and jobs differ only by the identity in the URL. Each version of a
job's credential therefore has a separate connection. A job without a credential uses the account of the service.
Source: XRootD Protocol 5.2 (errors, open flags); the security modules' documentation of ``xrd.*`` parameters.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from arex.aio import in_thread, settled
from arex.staging.checksum import Checksum, checksum
from arex.staging.movers.base import (
    ErrorKind,
    FileInfo,
    MoverSettings,
    RemoteFile,
    Resume,
    Sink,
    Source,
    TransferError,
    start_of,
)
from arex.staging.movers.identity import ClientIdentities
from arex.staging.movers.pipelining import read_ahead, write_behind
from arex.staging.url import checksum_of

try:
    from XRootD import client
    from XRootD.client.flags import AccessMode, OpenFlags, QueryCode, StatInfoFlags
except ModuleNotFoundError as exc:
    raise ModuleNotFoundError(f"the package {exc.name} is missing: pip install 'arex[xrootd]'") from exc

_PIECE: Final = 1024 * 1024
_DEPTH: Final = 6
_ANSWER_S: Final = 300
_CONNECT_S: Final = 10
#: Longest wait for a server that computes a checksum.
_CHECKSUM_S: Final = 60
_PARTING_S: Final = 5
_MODE: Final = AccessMode.UR | AccessMode.UW | AccessMode.GR | AccessMode.OR
#: Parameters that a job may not set in a URL: which credential is used, and where the library looks for it.
_RESERVED: Final = re.compile(r"(?:^|[?&])xrd(?:cl)?\.", re.IGNORECASE)
_NOWHERE: Final = "/dev/null"
_GSI: Final = ("xrd.gsiusrpxy", "xrd.gsiusrcrt", "xrd.gsiusrkey")
#: The engine retries, and checks that the file is the same. This is not set with File.set_property, because each call
#: of it in the Python bindings loses a reference to True.
_NO_RECOVERY: Final = {"xrdcl.recover-reads": "false", "xrdcl.recover-writes": "false"}
_AUTHENTICATION: Final = frozenset({203, 204})  # login, authentication; of the library
_ANSWERED: Final = 400
_MEANING: Final[Mapping[int, tuple[ErrorKind, str]]] = {
    3000: (ErrorKind.PERMANENT, "Operation not permitted"),  # invalid argument
    3002: (ErrorKind.PERMANENT, "File name too long"),
    3009: (ErrorKind.NO_SPACE, "No space left on device"),
    3010: (ErrorKind.PERMANENT, "Permission denied"),
    3011: (ErrorKind.NOT_FOUND, "No such file or directory"),
    3013: (ErrorKind.PERMANENT, "Operation not supported"),
    3015: (ErrorKind.PERMANENT, "not a regular file"),
    3016: (ErrorKind.PERMANENT, "not a regular file"),
    3018: (ErrorKind.PERMANENT, "the target already exists (created during the transfer)"),
    3021: (ErrorKind.NO_SPACE, "Disk quota exceeded"),
    3025: (ErrorKind.PERMANENT, "Read-only file system"),
    3028: (ErrorKind.PERMANENT, "the server requires TLS"),
}
_EXISTS: Final = 3018


class _Refused(TransferError):
    """An error of the library or a server; ``number`` is the server's error code, or 0."""

    number: int = 0


@dataclass(frozen=True, slots=True)
class _XrootdFile:
    """A file of a server, in the form for the library."""

    server: str
    path: str  #: with the query of the URL
    words: str  #: our identity, as URL parameters
    lacking: str  #: what is wrong with the credential

    @property
    def url(self) -> str:
        return f"{self.server}{self.path}{'&' if '?' in self.path else '?'}{self.words}".rstrip("?&")

    def system(self) -> Any:  # noqa: ANN401 - the library has no types
        return client.FileSystem(f"{self.server}/?{self.words}".rstrip("?"))


class XrootdMover:
    """The library manages the connections."""

    def __init__(self, means: MoverSettings) -> None:
        self._clock = means.clock
        self._identities = ClientIdentities(means.clock)
        self._limit = int(means.inactivity_s or _ANSWER_S) or 1
        self._salt = secrets.token_hex(16)
        _set_up(means, self._limit)

    # --- the protocol of movers ---------------------------------------------------------------------------------

    async def stat(self, place: RemoteFile) -> FileInfo:
        far = await self._far(place)
        return await self._facts(far)

    async def fetch(self, place: RemoteFile, sink: Sink, resume: Resume | None) -> None:
        far = await self._far(place)
        facts = await self._facts(far)
        if checksum_of(place.url) is None:
            facts = replace(facts, checksums=await self._checksums(far))
        start = start_of(resume, facts)
        async with self._opened(far, far.url, OpenFlags.READ) as file:
            _must_be_far(file)
            await sink.begin(facts, start)
            pieces = read_ahead(
                lambda offset, size: _done(far, file.read, offset, size, self._limit),
                start,
                facts.size or 0,
                piece=_PIECE,
                depth=_DEPTH,
            )
            async with contextlib.aclosing(pieces):
                async for data in pieces:
                    await sink.write(data)

    async def send(self, place: RemoteFile, source: Source, *, overwrite: bool) -> None:
        far = await self._far(place)
        if not overwrite:
            # the server refuses an existing target, and removes a file that is not closed
            await self._write(far, far.path, source, OpenFlags.NEW | OpenFlags.POSC)
            return
        path, mark, query = far.path.partition("?")
        half = f"{path.rpartition('/')[0]}/.arex-{secrets.token_hex(8)}.part{mark}{query}"
        await self._write(far, half, source, OpenFlags.NEW | OpenFlags.POSC)
        try:
            await self._publish(far, half)
        except BaseException:
            await self._remove(far, half)
            raise

    async def ask(self, place: RemoteFile, name: str, *args: object) -> Any:  # noqa: ANN401 - the library has no types
        """The answer to a request of the library's FileSystem about the path of a URL; raises TransferError."""
        far = await self._far(place)
        return await _done(far, getattr(far.system(), name), far.path, *args, self._limit, threaded=True)

    async def close(self) -> None:
        """Connections without an open file are closed by the library."""

    # --- parts --------------------------------------------------------------------------------------------------

    async def _far(self, place: RemoteFile) -> _XrootdFile:
        who = await self._identities.of(place.credential)
        path, mark, query = place.url.path.partition("?")
        if _RESERVED.search(query):
            raise TransferError(
                ErrorKind.PERMANENT, "parameters xrd.* and xrdcl.* are not allowed in jobs", cure="remove them"
            )
        path = f"/{path.lstrip('/')}"
        scheme = place.url.scheme.removeprefix("x")
        shown: dict[str, str] = {}
        name = ""
        if place.credential is not None and (who.path is not None or who.token):
            version = f"{self._salt}{place.credential}{who.version}"
            name = hashlib.sha256(version.encode()).hexdigest()[:16] + "@"
            # set the other kinds of credentials too, or the library would use those of the account
            proxy, token = (who.path, _NOWHERE) if who.path is not None else (_NOWHERE, place.credential)
            shown = dict.fromkeys(_GSI, _NOWHERE) | {"xrd.gsiusrpxy": str(proxy), "xrd.ztn": str(token)}
        words = "&".join(f"{key}={quote(value, safe='/')}" for key, value in {**shown, **_NO_RECOVERY}.items())
        lacking = who.trouble(self._clock.now())
        return _XrootdFile(f"{scheme}://{name}{place.url.host}/", f"{path}{mark}{query}", words, lacking)

    async def _facts(self, far: _XrootdFile) -> FileInfo:
        found = await _done(far, far.system().stat, far.path, self._limit, threaded=True)
        if found.flags & (StatInfoFlags.IS_DIR | StatInfoFlags.OTHER):
            raise TransferError(ErrorKind.PERMANENT, "not a regular file")
        return FileInfo(size=found.size, modified=datetime.fromtimestamp(found.modtime, UTC))

    async def _checksums(self, far: _XrootdFile) -> tuple[Checksum, ...]:
        """The checksum from the server. Many servers compute none and return some error; others never answer."""
        limit = min(_CHECKSUM_S, self._limit)
        try:
            said = await _done(far, far.system().query, QueryCode.CHECKSUM, far.path, limit, threaded=True)
        except _Refused:
            return ()
        kind, _, value = bytes(said).rstrip(b"\0\n ").decode("ascii", "replace").partition(" ")
        found = checksum(kind, value)
        return () if found is None else (found,)

    async def _write(self, far: _XrootdFile, path: str, source: Source, flags: int) -> None:
        target = _XrootdFile(far.server, path, far.words, far.lacking)
        created = False
        try:
            async with self._opened(far, target.url, OpenFlags.UPDATE | OpenFlags.MAKEPATH | flags) as file:
                created = True
                _must_be_far(file)
                await write_behind(
                    lambda offset, data: _done(far, file.write, data, offset, len(data), self._limit),
                    source.chunks(),
                    depth=_DEPTH,
                )
                await _done(far, file.close, self._limit)
        except BaseException:
            if created:
                await self._remove(far, path)
            raise

    async def _publish(self, far: _XrootdFile, half: str) -> None:
        """Rename to the final name; not all servers replace an existing file."""
        system = far.system()
        try:
            await _done(far, system.mv, half, far.path, self._limit)
        except _Refused as exc:
            if exc.number != _EXISTS:
                raise
            await _done(far, system.rm, far.path, self._limit)
            await _done(far, system.mv, half, far.path, self._limit)

    async def _remove(self, far: _XrootdFile, path: str) -> None:
        """Remove a file, if the server answers in time; also if the transfer is cancelled meanwhile."""
        await settled(_removed(far, path))

    @contextlib.asynccontextmanager
    async def _opened(self, far: _XrootdFile, url: str, flags: int) -> AsyncIterator[Any]:
        file = client.File()
        try:
            await _done(far, file.open, url, flags, _MODE, self._limit, threaded=True, late=lambda: _part(file))
            yield file
        finally:
            _part(file)


def _set_up(means: MoverSettings, limit: int) -> None:
    """Set the time limits of the library, in whole seconds; the environment takes precedence."""
    os.environ.setdefault("X509_CERT_DIR", str(means.cert_dir))
    for name, value in {
        "ConnectionWindow": _CONNECT_S,
        "ConnectionRetry": 1,
        "StreamErrorWindow": _CONNECT_S,
        "RequestTimeout": limit,
        "StreamTimeout": limit,
        "TimeoutResolution": 1,
        "MetalinkProcessing": 0,  # a metalink may lead to any host
    }.items():
        client.EnvPutInt(name, value)


async def _removed(far: _XrootdFile, path: str) -> None:
    with contextlib.suppress(TransferError, TimeoutError):
        async with asyncio.timeout(_PARTING_S):
            await _done(far, far.system().rm, path, _PARTING_S)


def _must_be_far(file: Any) -> None:  # noqa: ANN401
    """Refuse a redirect to a file of this host, which the job has no access to."""
    if str(file.get_property("LastURL")).startswith("file:"):  # every open file has this property
        raise TransferError(ErrorKind.PERMANENT, "the server redirects to a file of this host")


def _part(file: Any) -> None:  # noqa: ANN401
    """Close without waiting. The callback keeps the file object, whose destructor would wait."""
    if file.is_open():
        file.close(timeout=_PARTING_S, callback=lambda *_: file.is_open())


# --- the library's threads, and what it says --------------------------------------------------------------------


async def _done(
    far: _XrootdFile,
    call: Callable[..., Any],
    *args: object,
    threaded: bool = False,
    late: Callable[[], None] = lambda: None,
) -> Any:  # noqa: ANN401 - the library has no types
    """
    The answer to a request; ``late`` is called if the answer arrives after the caller has left.

    ``threaded``: the call itself may wait, for the address of a host.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[tuple[Any, Any]] = loop.create_future()

    def settle(status: Any, response: Any) -> None:  # noqa: ANN401
        if answer.cancelled():
            late()
        else:
            answer.set_result((status, response))

    def called(status: Any, response: Any, _hosts: Any, _sent: object = args) -> None:  # noqa: ANN401
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, status, response)

    try:
        begun = await in_thread(call, *args, callback=called) if threaded else call(*args, callback=called)
        if not begun.ok:
            raise _trouble(begun, far.lacking)
        status, response = await answer
    except asyncio.CancelledError:
        answer.cancel()
        raise
    if not status.ok:
        raise _trouble(status, far.lacking)
    return response


def _trouble(status: Any, lacking: str) -> _Refused:  # noqa: ANN401
    number = int(status.errno) if status.code == _ANSWERED else 0
    said = _said(str(status.message))
    if number == 3030 or (not number and status.code in _AUTHENTICATION):
        verdict = ErrorKind.CREDENTIAL if lacking else ErrorKind.PERMANENT
        cure = f"{lacking}; renew it" if lacking else "ask the server's administrators for access"
        refused = _Refused(verdict, f"Permission denied: {said}", cure=cure)
    elif number == 3010 and lacking:
        refused = _Refused(ErrorKind.CREDENTIAL, f"Permission denied: {said}", cure=f"{lacking}; renew it")
    else:
        verdict, word = _MEANING.get(number, (ErrorKind.TEMPORARY, ""))
        cure = "ask the server's administrators for access" if number == 3010 else ""
        refused = _Refused(verdict, word or said, cure=cure)
    refused.number = number
    return refused


def _said(message: str) -> str:
    """The last part of a message; names of files and hosts are in the parts before it."""
    last = next(_pieces(message), "")
    return last[:200] or "the XRootD client gives no reason"


def _pieces(message: str) -> Iterator[str]:
    text = " ".join(message.split())
    for each in reversed(re.split(r"; |\] ", text)):
        if each.strip():
            yield each.strip()
