"""
HTTP and WebDAV, plain and with TLS: ``http``, ``https``, ``dav``, ``davs``.

Redirects are followed here and not by aiohttp: a credential goes only to the host that it was meant for, and never
over an unencrypted connection.
Source: RFC 9110 (ranges, conditions, redirects), RFC 4918 (MKCOL).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import quote

import aiohttp
from yarl import URL

from arex.clock import Clock
from arex.model.url import Url
from arex.staging.checksum import announced
from arex.staging.movers.base import ErrorKind, FileInfo, MoverSettings, RemoteFile, Resume, Sink, Source, TransferError
from arex.staging.movers.http.client import client
from arex.staging.movers.http.errors import FAULTS, broken, causes, refusal
from arex.staging.movers.identity import ANONYMOUS, ClientIdentities, ClientIdentity, context
from arex.staging.movers.shared import Shared

_SCHEMES: Final = {"dav": "http", "davs": "https"}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 10
_MOST_SESSIONS: Final = 64
_RANGE: Final = 32 * 1024 * 1024
_SMALL: Final = 256 * 1024
#: From this size on, ask the server (``Expect: 100-continue``) before the body is sent.
_ASK_FIRST: Final = 1024 * 1024
_PATIENCE_S: Final = 5.0
_MOST_LEVELS: Final = 100
_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+|\*)")
_WANT: Final = {"Want-Digest": "adler32, md5;q=0.8, sha-256;q=0.5"}
_SAFE: Final = "%/:?#[]@!$&'()*+,;=~"
_EXISTS: Final = frozenset({403, 405, 409, 412})
#: Some servers answer 500 for a missing collection.
_NO_COLLECTION: Final = frozenset({404, 409, 500})


_Body = Callable[[], bytes | AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class _HttpRequest:
    """One request, before any redirect."""

    method: str
    place: RemoteFile
    headers: Mapping[str, str]
    body: _Body | None = None
    ask_first: bool = False


class HttpMover:
    """A pool of connections for each credential."""

    def __init__(self, means: MoverSettings) -> None:
        self._means = means
        self._clock = means.clock
        self._identities = ClientIdentities(means.clock)
        self._sessions = Shared(self._connect, aiohttp.ClientSession.close)
        self._hasty: set[str] = set()  #: hosts that ignore ``Expect: 100-continue``

    # --- the protocol of movers ---------------------------------------------------------------------------------

    async def stat(self, place: RemoteFile) -> FileInfo:
        async with self._answer(_HttpRequest("HEAD", place, _WANT)) as answer:
            if answer.status == 200:
                return _facts(answer, whole=True)
            if answer.status in {404, 410}:
                raise await self._refusal(answer, place)
        # some servers do not support HEAD, and some URLs are signed for GET only
        async with self._answer(_HttpRequest("GET", place, {**_WANT, "Range": "bytes=0-0"})) as answer:
            if answer.status == 416:
                return FileInfo(size=0)
            if answer.status not in {200, 206}:
                raise await self._refusal(answer, place)
            return _facts(answer, whole=answer.status == 200)

    async def fetch(self, place: RemoteFile, sink: Sink, resume: Resume | None) -> None:
        offset, known = (0, None) if resume is None else (resume.offset, resume.facts)
        ranges = self._means.partial_get
        begun = False
        for _ in range(1_000_000):
            async with self._answer(_HttpRequest("GET", place, _range(offset, known, in_ranges=ranges))) as answer:
                if answer.status == 416 or (answer.status == 206 and not _continues(answer, offset, known)):
                    if not offset and not ranges:
                        raise TransferError(ErrorKind.TEMPORARY, "the server sent a different range than requested")
                    offset, known, begun, ranges = 0, None, False, False
                    continue
                if answer.status not in {200, 206}:
                    raise await self._refusal(answer, place)
                known = _facts(answer, whole=answer.status == 200)
                if not begun or answer.status == 200:
                    await sink.begin(known, offset if answer.status == 206 else 0)
                    begun = True
                offset = await _receive(answer, sink, offset)
                if answer.status == 200 or known.size is None or offset >= known.size:
                    return

    async def send(self, place: RemoteFile, source: Source, *, overwrite: bool) -> None:
        status, answer = await self._put(place, source, overwrite=overwrite)
        if status in _NO_COLLECTION and await self._make_collections(place):
            status, answer = await self._put(place, source, overwrite=overwrite)
        if status in _EXISTS and overwrite and await self._remove(place):
            status, answer = await self._put(place, source, overwrite=True)
        if answer is not None:
            raise answer

    async def close(self) -> None:
        await self._sessions.close()

    # --- sending ------------------------------------------------------------------------------------------------

    async def _put(self, place: RemoteFile, source: Source, *, overwrite: bool) -> tuple[int, TransferError | None]:
        headers = {"Content-Length": str(source.size), "Content-Type": "application/octet-stream"}
        if not overwrite:
            headers["If-None-Match"] = "*"
        first = source.size >= _ASK_FIRST and place.url.host not in self._hasty
        body: _Body = source.chunks
        if source.size <= _SMALL:
            content = b"".join([data async for data in source.chunks()])
            body = lambda: content  # noqa: E731
        ask = _HttpRequest("PUT", place, headers, body, ask_first=first)
        try:
            async with self._answer(ask) as answer:
                if answer.status in {200, 201, 202, 204}:
                    return answer.status, None
                if answer.status == 412 and not overwrite:
                    raise TransferError(ErrorKind.PERMANENT, "the target already exists (created during the transfer)")
                return answer.status, await self._refusal(answer, place)
        except _NoAnswerYet:
            self._hasty.add(place.url.host)
            return await self._put(place, source, overwrite=overwrite)

    async def _make_collections(self, place: RemoteFile) -> bool:
        """MKCOL upwards to the first existing level, and down again; whether the last collection was created."""
        path = place.url.path.partition("?")[0]
        missing: list[str] = []
        status = 0
        while (path := path.rstrip("/").rpartition("/")[0]) and len(missing) < _MOST_LEVELS:
            status = await self._plain("MKCOL", place, f"{path}/")
            if status not in _NO_COLLECTION:
                break
            missing.append(path)
        for below in reversed(missing):
            status = await self._plain("MKCOL", place, f"{below}/")
        return status in {200, 201}

    async def _remove(self, place: RemoteFile) -> bool:
        return await self._plain("DELETE", place, place.url.path) in {200, 202, 204}

    async def _plain(self, method: str, place: RemoteFile, path: str) -> int:
        url = Url(place.url.scheme, place.url.authority, path)
        async with self._answer(_HttpRequest(method, RemoteFile(url, place.credential), {})) as answer:
            return answer.status

    # --- requests -----------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def request(
        self, method: str, place: RemoteFile, headers: Mapping[str, str], body: bytes | None, allowed: Collection[int]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A request that moves no file. Raises TransferError for a status that is not ``allowed``."""
        ask = _HttpRequest(method, place, headers, None if body is None else lambda: body)
        async with self._answer(ask) as answer:
            if answer.status not in allowed:
                raise await self._refusal(answer, place)
            yield answer

    def _answer(self, ask: _HttpRequest) -> _Exchange:
        return _Exchange(self, ask)

    async def ask(self, ask: _HttpRequest, url: URL, who: ClientIdentity) -> aiohttp.ClientResponse:
        """Send one request, without following redirects, on a connection of this identity."""
        return await _sent(await self._sessions.of(who), ask, url, self._proxy(url), who, self._clock)

    def _proxy(self, url: URL) -> str | None:
        return self._means.http_proxy or None if url.scheme == "http" else None

    async def _connect(self, who: ClientIdentity) -> aiohttp.ClientSession:
        """A session for one credential; if there are many, the oldest idle one is closed."""
        if len(self._sessions) > _MOST_SESSIONS:
            await self._sessions.retire(_is_idle)
        trust = await asyncio.to_thread(context, self._means.cert_dir, who)
        # the meter detects silent servers; a timer for each read would slow small files down
        return client(trust, None)

    # --- what went wrong ----------------------------------------------------------------------------------------

    async def _refusal(self, answer: aiohttp.ClientResponse, place: RemoteFile) -> TransferError:
        who = await self._identities.of(place.credential)
        lacking = who.trouble(self._clock.now()) if answer.url.scheme == "https" else ""
        if answer.status == 400 and not (who.expires is not None and lacking):
            lacking = ""
        retry_after = _retry_after(answer.headers.get("Retry-After", ""), self._clock.now())
        return refusal(answer.status, answer.reason or str(answer.status), lacking, retry_after)

    async def identity(self, ask: _HttpRequest) -> ClientIdentity:
        return await self._identities.of(ask.place.credential)

    def judge(self, exc: Exception, who: ClientIdentity, url: URL) -> TransferError:
        """The TransferError for an error of a connection or an answer."""
        for cause in causes(exc):
            if isinstance(cause, TransferError):
                return cause
        return broken(exc, who.trouble(self._clock.now()) if url.scheme == "https" else "")


class _Exchange:
    """A request and its answer, after redirects; errors of the connection become TransferError."""

    __slots__ = ("_answer", "_ask", "_mover", "_url", "_who")
    _answer: aiohttp.ClientResponse

    def __init__(self, mover: HttpMover, ask: _HttpRequest) -> None:
        self._mover, self._ask = mover, ask
        self._url, self._who = web_url(ask.place.url), ANONYMOUS

    async def __aenter__(self) -> aiohttp.ClientResponse:
        self._who = await self._mover.identity(self._ask)
        try:
            self._answer = await self._after_redirects()
        except FAULTS as exc:
            raise self._mover.judge(exc, self._who, self._url) from exc
        return self._answer

    async def __aexit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        self._answer.release()
        await self._answer.wait_for_close()
        if isinstance(exc, FAULTS):
            raise self._mover.judge(exc, self._who, self._url) from exc

    async def _after_redirects(self) -> aiohttp.ClientResponse:
        url, origin = self._url, self._url.origin()
        for _ in range(_MOST_REDIRECTS):
            mine = self._who if url.scheme == "https" and url.origin() == origin else ANONYMOUS
            answer = await self._mover.ask(self._ask, url, mine)
            if answer.status not in _REDIRECTS or "Location" not in answer.headers:
                return answer
            async with answer:
                url = _redirected(url, answer.headers["Location"])
        raise TransferError(ErrorKind.PERMANENT, f"more than {_MOST_REDIRECTS} redirects")


class _NoAnswerYet(Exception):
    """The server has not answered ``Expect: 100-continue``."""


async def _sent(
    session: aiohttp.ClientSession, ask: _HttpRequest, url: URL, proxy: str | None, who: ClientIdentity, clock: Clock
) -> aiohttp.ClientResponse:
    headers = {**ask.headers, "Authorization": f"Bearer {who.token}"} if who.token else ask.headers
    if not ask.ask_first or ask.body is None:
        data = None if ask.body is None else ask.body()
        return await session.request(ask.method, url, headers=headers, data=data, allow_redirects=False, proxy=proxy)
    loop = asyncio.get_running_loop()
    scope = asyncio.timeout(None)
    patience = clock.call_later(_PATIENCE_S, lambda: scope.reschedule(loop.time()))
    data = _noticed(ask.body, patience.cancel)
    try:
        async with scope:
            return await session.request(
                ask.method, url, headers=headers, data=data, allow_redirects=False, proxy=proxy, expect100=True
            )
    except TimeoutError as exc:
        if scope.expired():
            raise _NoAnswerYet from exc
        raise
    finally:
        patience.cancel()


def _is_idle(session: aiohttp.ClientSession) -> bool:
    return isinstance(session.connector, aiohttp.TCPConnector) and not session.connector._acquired  # noqa: SLF001


async def _noticed(body: _Body, begins: Callable[[], object]) -> AsyncIterator[bytes]:
    begins()
    content = body()
    if isinstance(content, bytes):
        yield content
        return
    async for data in content:
        yield data


async def _receive(answer: aiohttp.ClientResponse, sink: Sink, offset: int) -> int:
    start = 0 if answer.status == 200 else offset
    if (answer.content_length or _SMALL + 1) <= _SMALL:
        data = await answer.read()
        await sink.write(data)
        return start + len(data)
    async for data in answer.content.iter_any():
        await sink.write(data)
        start += len(data)
    return start


def _range(offset: int, known: FileInfo | None, *, in_ranges: bool) -> dict[str, str]:
    headers = dict(_WANT)
    if in_ranges:
        headers["Range"] = f"bytes={offset}-{offset + _RANGE - 1}"
    elif offset:
        headers["Range"] = f"bytes={offset}-"
    if offset and known is not None and (condition := _condition(known)):
        headers["If-Range"] = condition
    return headers


def _condition(known: FileInfo) -> str:
    if known.etag and not known.etag.startswith("W/"):
        return known.etag
    return "" if known.modified is None else f"{known.modified:%a, %d %b %Y %H:%M:%S} GMT"


def _continues(answer: aiohttp.ClientResponse, offset: int, known: FileInfo | None) -> bool:
    """Whether a partial answer begins at this offset and belongs to the same version of the file."""
    match = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if match is None or int(match[1]) != offset:
        return False
    if known is None or not offset:
        return True
    now = _facts(answer, whole=False)
    same_size = known.size is None or now.size in {None, known.size}
    return same_size and (not known.etag or not now.etag or known.etag == now.etag)


def _facts(answer: aiohttp.ClientResponse, *, whole: bool) -> FileInfo:
    headers = answer.headers
    size: int | None = None
    if whole:
        length = headers.get("Content-Length", "")
        size = int(length) if length.isascii() and length.isdigit() else None
    elif match := _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "")):
        size = None if match[3] == "*" else int(match[3])
    return FileInfo(
        size=size,
        modified=_date(headers.get("Last-Modified", "")),
        etag=headers.get("ETag", ""),
        checksums=announced(headers, whole=whole),
    )


@functools.lru_cache(maxsize=1024)
def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _retry_after(text: str, now: datetime) -> float | None:
    if text.isascii() and text.isdigit():
        return float(text)
    date = _date(text) if text else None
    return None if date is None else max(0.0, (date - now).total_seconds())


def web_url(url: Url) -> URL:
    """The URL as HTTP requests have it: without options, with ``http`` or ``https`` as its scheme."""
    scheme = _SCHEMES.get(url.scheme, url.scheme)
    return URL(f"{scheme}://{url.authority}{quote(url.path, safe=_SAFE)}", encoded=True)


def _redirected(url: URL, location: str) -> URL:
    try:
        goal = url.join(URL(quote(location, safe=_SAFE), encoded=True)).with_fragment(None)
    except ValueError as exc:
        raise TransferError(ErrorKind.PERMANENT, "redirect to an invalid URL") from exc
    if goal.scheme not in {"http", "https"}:
        raise TransferError(ErrorKind.PERMANENT, f"the server redirects to {goal.scheme}:, which arex does not follow")
    if not goal.host:
        raise TransferError(ErrorKind.PERMANENT, "the server redirects to a URL without a host")
    if url.scheme == "https" and goal.scheme == "http":
        raise TransferError(ErrorKind.PERMANENT, "redirect from https: to http:, which is not allowed")
    return goal
