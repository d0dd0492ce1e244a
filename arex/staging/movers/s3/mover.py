"""
Buckets of S3 services: ``s3://host:port/bucket/key`` without TLS, ``s3+https://host:port/bucket/key`` with TLS.

The host is always the service, and the bucket is the first name of the path. Keys come from the credential file of the
job, or else from the places where AWS tools look for the keys of the service's account. Without keys, requests are not
signed, which is enough for public buckets. The URL option ``region`` sets the region of the signature.
Source: Amazon S3 API Reference; AWS Signature Version 4.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import quote, unquote

import aiohttp
from lxml import etree
from yarl import URL

from arex.aio import cancel_and_wait, in_thread, settled
from arex.model.url import Url
from arex.staging.checksum import checksum
from arex.staging.movers.base import ErrorKind, FileInfo, MoverSettings, RemoteFile, Resume, Sink, Source, TransferError
from arex.staging.movers.http.client import client
from arex.staging.movers.http.errors import FAULTS, broken, refusal
from arex.staging.movers.identity import ANONYMOUS, ClientIdentity, context
from arex.staging.movers.s3.keys import Keyring, Keys, signed
from arex.staging.movers.shared import Shared

#: Larger files are sent in parts of at least this size; two parts are in memory.
_PART: Final = 16 * 1024 * 1024
_MOST_PARTS: Final = 10_000
_SMALL: Final = 256 * 1024
_ANSWER_S: Final = 300.0
#: Longest wait for the removal of what a failed upload has left.
_PARTING_S: Final = 10.0
_DEFAULT_REGION: Final = "us-east-1"
_MD5: Final = re.compile(r'"([0-9a-f]{32})"')
_TAGS: Final = {"NoSuchKey", "NoSuchBucket", "NoSuchUpload"}
_FULL: Final = {"QuotaExceeded", "EntityTooLarge", "XMinioStorageFull"}
_KEYS_REFUSED: Final = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _S3Request:
    """One request."""

    method: str
    place: RemoteFile
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes | None = None


class S3Mover:
    """One pool of connections; the identity is in the signature of each request."""

    def __init__(self, means: MoverSettings) -> None:
        self._means = means
        self._keyring = Keyring(means.clock)
        self._sessions = Shared(self._connect, aiohttp.ClientSession.close)

    # --- the protocol of movers ---------------------------------------------------------------------------------

    async def stat(self, place: RemoteFile) -> FileInfo:
        async with self._answer(_ask("HEAD", place)) as answer:
            return _facts(answer.headers)

    async def fetch(self, place: RemoteFile, sink: Sink, resume: Resume | None) -> None:
        headers = {} if resume is None else _rest(resume)
        async with self._answer(_ask("GET", place, headers), also={412, 416}) as answer:
            if answer.status in {200, 206}:
                await _receive(answer, sink)
                return
        await self.fetch(place, sink, None)  # the file has changed

    async def send(self, place: RemoteFile, source: Source, *, overwrite: bool) -> None:
        only_new = {} if overwrite else {"If-None-Match": "*"}
        try:
            await self._send(place, source, only_new)
        except _NotImplementedThere:  # the engine has checked that there is no target; only a race could replace one
            await self._send(place, source, {})

    async def close(self) -> None:
        await self._sessions.close()

    # --- sending ------------------------------------------------------------------------------------------------

    async def _send(self, place: RemoteFile, source: Source, only_new: Mapping[str, str]) -> None:
        if source.size > _PART:
            await self._send_parts(place, source, only_new)
            return
        body = b"".join([data async for data in source.chunks()])
        await self._put(place, body, only_new, {})

    async def _send_parts(self, place: RemoteFile, source: Source, only_new: Mapping[str, str]) -> None:
        """Send in parts; the object appears when the upload is completed."""
        begun = await self._plain(_ask("POST", place, {}, {"uploads": ""}))
        upload = {"uploadId": _text(begun, "UploadId")}
        try:
            tags = await self._parts(place, source, upload)
            listed = "".join(
                f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
                for number, tag in enumerate(tags, start=1)
            )
            body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
            end = _ask("POST", place, {**only_new, "Content-Type": "application/xml"}, upload, body)
            _must_be_whole(await self._plain(end))
        except BaseException:
            await settled(self._abort(place, upload))
            raise

    async def _abort(self, place: RemoteFile, upload: Mapping[str, str]) -> None:
        """Remove the parts, which cost money as long as they stay."""
        with contextlib.suppress(TransferError, TimeoutError):
            async with asyncio.timeout(_PARTING_S):
                await self._plain(_ask("DELETE", place, {}, upload))

    async def _parts(self, place: RemoteFile, source: Source, upload: Mapping[str, str]) -> list[str]:
        """Send one part while the next one is read."""
        tags: list[str] = []
        sending: asyncio.Task[str] | None = None
        try:
            async for number, part in _cut(source):
                if sending is not None:
                    tags.append(await sending)
                query = {"partNumber": str(number), **upload}
                sending = asyncio.create_task(self._put(place, part, {}, query), name=f"part {number}")
            if sending is not None:
                tags.append(await sending)
        finally:
            if sending is not None:
                await cancel_and_wait(sending)
        return tags

    async def _put(self, place: RemoteFile, body: bytes, headers: Mapping[str, str], query: Mapping[str, str]) -> str:
        md5 = await in_thread(_md5, body)
        ask = _ask("PUT", place, {**headers, "Content-MD5": md5}, query, body)
        async with self._answer(ask) as answer:
            return answer.headers.get("ETag", "")

    # --- requests -----------------------------------------------------------------------------------------------

    async def request(self, method: str, place: RemoteFile, query: Mapping[str, str]) -> bytes:
        """The answer to a request that moves no object. Raises TransferError for any other status than success."""
        return await self._plain(_ask(method, place, {}, query))

    async def _plain(self, ask: _S3Request) -> bytes:
        async with self._answer(ask) as answer:
            return await answer.read()

    @contextlib.asynccontextmanager
    async def _answer(
        self, ask: _S3Request, also: frozenset[int] | set[int] = frozenset()
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A successful answer, or one with a status in ``also``; raises TransferError for all others."""
        keys = await self._keyring.of(ask.place.credential)
        url = _target(ask.place.url, ask.query)
        headers = {"Host": ask.place.url.host, **ask.headers}
        if ask.body is not None:
            headers["Content-Length"] = str(len(ask.body))
        if keys.access:
            region = ask.place.url.option("region") or keys.region or _DEFAULT_REGION
            headers = signed(keys, region, ask.method, url, headers)
        proxy = self._means.http_proxy or None if url.scheme == "http" else None
        with _judged():
            session = await self._sessions.of(ANONYMOUS)
            async with session.request(
                ask.method, url, headers=headers, data=_streamed(ask.body), allow_redirects=False, proxy=proxy
            ) as answer:
                if answer.status not in {200, 204, 206, *also}:
                    raise _refused(answer, await answer.content.read(_SMALL), ask, keys)
                yield answer

    async def _connect(self, who: ClientIdentity) -> aiohttp.ClientSession:
        trust = await asyncio.to_thread(context, self._means.cert_dir, who)
        return client(trust, self._means.inactivity_s or _ANSWER_S)


class _NotImplementedThere(TransferError):
    """The service does not support conditional uploads."""


def _ask(
    method: str,
    place: RemoteFile,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> _S3Request:
    return _S3Request(method=method, place=place, headers=headers or {}, query=query or {}, body=body)


def _target(url: Url, query: Mapping[str, str]) -> URL:
    path = unquote(url.path.partition("?")[0])
    bucket, _, key = path[1:].partition("/")
    if not bucket or (not key and "list-type" not in query) or {".", ".."} & set(path.split("/")):
        raise TransferError(ErrorKind.PERMANENT, "the URL does not name an object", cure="write s3://HOST/BUCKET/KEY")
    scheme = "https" if url.scheme == "s3+https" else "http"
    words = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(query.items()))
    asked = f"?{words}" if words else ""
    return URL(f"{scheme}://{url.host}{quote(path, safe='/~')}{asked}", encoded=True)


def _rest(resume: Resume) -> dict[str, str]:
    """Headers for the rest of a file; empty without an ETag, so that the whole file is downloaded."""
    if not resume.facts.etag:
        return {}
    return {"Range": f"bytes={resume.offset}-", "If-Match": resume.facts.etag}


async def _receive(answer: aiohttp.ClientResponse, sink: Sink) -> None:
    start = 0
    if answer.status == 206:
        start = int(answer.headers["Content-Range"].removeprefix("bytes ").partition("-")[0])
    await sink.begin(_facts(answer.headers), start)
    if (answer.content_length or _SMALL + 1) <= _SMALL:
        await sink.write(await answer.read())
        return
    async for data in answer.content.iter_any():
        await sink.write(data)


def _facts(headers: Mapping[str, str]) -> FileInfo:
    length = headers.get("Content-Range", "").rpartition("/")[2] or headers.get("Content-Length", "")
    tag = headers.get("ETag", "")
    modified = headers.get("Last-Modified", "")
    return FileInfo(
        size=int(length) if length.isascii() and length.isdigit() else None,
        modified=parsedate_to_datetime(modified).astimezone(UTC) if modified else None,
        etag=tag,
        checksums=tuple(filter(None, [checksum("md5", match[1])])) if (match := _content_md5(tag, headers)) else (),
    )


def _content_md5(tag: str, headers: Mapping[str, str]) -> re.Match[str] | None:
    """The ETag if it is the MD5 of the content: not after an upload in parts, or with a customer's encryption."""
    encrypted = headers.get("x-amz-server-side-encryption", "AES256") != "AES256"
    customer = "x-amz-server-side-encryption-customer-algorithm" in headers
    return None if encrypted or customer else _MD5.fullmatch(tag)


async def _cut(source: Source) -> AsyncIterator[tuple[int, bytes]]:
    """Parts with their numbers, of equal size except the last; at most as many as the service accepts."""
    size = max(_PART, -(-source.size // _MOST_PARTS))
    number, left = 1, source.size
    gathered = bytearray()
    async for data in source.chunks():
        gathered += data
        left -= len(data)
        while len(gathered) >= size or (not left and gathered):
            yield number, bytes(memoryview(gathered)[:size])
            number += 1
            gathered = gathered[size:]


def _streamed(body: bytes | None) -> bytes | AsyncIterator[bytes] | None:
    """A large body in pieces, so that other tasks can run in between."""
    return body if body is None or len(body) <= _SMALL else _pieces(body)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _SMALL):
        yield body[start : start + _SMALL]


def _must_be_whole(answer: bytes) -> None:
    """Raise an error that the service reports in the body of an answer with status 200."""
    if (code := _text(answer, "Code")) and not _text(answer, "ETag"):
        raise TransferError(ErrorKind.TEMPORARY, f"the parts of the upload were not combined: {code}")


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


# --- what went wrong --------------------------------------------------------------------------------------------


def _text(answer: bytes, name: str) -> str:
    """The text of the first element of this name; empty if there is none."""
    try:
        root = etree.fromstring(answer, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        return ""
    found = next((each for each in root.iter("{*}" + name)), None)
    return "" if found is None else (found.text or "").strip()


def _refused(answer: aiohttp.ClientResponse, body: bytes, ask: _S3Request, keys: Keys) -> TransferError:
    code = _text(body, "Code")
    reason = code or answer.reason or str(answer.status)
    if answer.status == 501 and "If-None-Match" in ask.headers:
        return _NotImplementedThere(ErrorKind.PERMANENT, reason)
    if answer.status == 412 and "If-None-Match" in ask.headers:
        return TransferError(ErrorKind.PERMANENT, "the target already exists (created during the transfer)")
    if code in _FULL:
        return TransferError(ErrorKind.NO_SPACE, f"No space left on device: {code}")
    if code in _KEYS_REFUSED:
        verdict = ErrorKind.CREDENTIAL if keys.of_job else ErrorKind.PERMANENT
        return TransferError(verdict, f"Permission denied: {code}", cure=f"renew the keys {keys.origin}")
    if code == "RequestTimeTooSkewed":
        return TransferError(ErrorKind.TEMPORARY, f"Permission denied: {code}", cure="correct the clock of this host")
    if code in {"RequestTimeout", "OperationAborted", "ConditionalRequestConflict"}:
        return TransferError(ErrorKind.TEMPORARY, f"Resource temporarily unavailable: {code}")
    if answer.status == 404 or code in _TAGS:
        return refusal(404, reason, "", None)
    if answer.status in {301, 307, 400} and code in {
        "PermanentRedirect",
        "TemporaryRedirect",
        "AuthorizationHeaderMalformed",
    }:
        return TransferError(
            ErrorKind.PERMANENT,
            f"the bucket is in another region or at another host: {code}",
            cure="use the host of the bucket, or add its region as ;region=",
        )
    wait = answer.headers.get("Retry-After", "")
    return refusal(answer.status, reason, "", float(wait) if wait.isascii() and wait.isdigit() else None)


@contextlib.contextmanager
def _judged() -> Iterator[None]:
    try:
        yield
    except FAULTS as exc:
        raise broken(exc, "") from exc
