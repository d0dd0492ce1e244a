"""
Directories of WebDAV servers; a plain HTTP server only has files.

Source: RFC 4918 (PROPFIND, MKCOL, MOVE, DELETE).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import unquote, urlsplit

from lxml import etree

from arex.model.url import Url
from arex.staging.movers.base import ErrorKind, RemoteFile, TransferError
from arex.staging.movers.http.mover import HttpMover, web_url
from arex.staging.remote.base import EntryKind, NotSupported, RemoteEntry, last_name, not_empty, valid

_ASKED: Final = (
    b'<?xml version="1.0"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getlastmodified/></prop>'
    b"</propfind>"
)
_LARGEST: Final = 64 * 1024 * 1024
#: Answers of servers that do not know a method, or do not allow it here.
_UNKNOWN: Final = frozenset({405, 501})
_NO_DAV: Final = "the server lists no directories: it has no WebDAV at this URL"


class DavDirectories:
    """Uses the connections of the mover."""

    def __init__(self, mover: HttpMover) -> None:
        self._mover = mover

    async def look(self, place: RemoteFile) -> RemoteEntry:
        try:
            return (await self._found(place, depth=0))[0]
        except NotSupported:
            facts = await self._mover.stat(place)
        checksum = next((f"{each.algorithm}:{each.value}" for each in facts.checksums), "")
        return RemoteEntry(
            name=last_name(place.url),
            kind=EntryKind.FILE,
            size=facts.size,
            modified=facts.modified,
            checksum=checksum,
        )

    async def entries(self, place: RemoteFile) -> list[RemoteEntry]:
        itself, *others = await self._found(_directory(place), depth=1)
        if itself.kind is not EntryKind.DIRECTORY:
            raise TransferError(ErrorKind.PERMANENT, "Not a directory")
        return valid(others)

    async def remove(self, place: RemoteFile) -> None:
        """DELETE removes a whole tree, so it is only sent for a directory that is known to be empty."""
        try:
            is_directory = (await self._found(place, depth=0))[0].kind is EntryKind.DIRECTORY
        except NotSupported:
            is_directory = place.url.path.endswith("/")
        if is_directory and await self.entries(place):
            raise not_empty()
        async with self._mover.request("DELETE", place, {}, None, {200, 202, 204}):
            pass

    async def make(self, place: RemoteFile) -> None:
        async with self._mover.request("MKCOL", _directory(place), {}, None, {200, 201, 409, *_UNKNOWN}) as answer:
            if answer.status in _UNKNOWN:
                raise NotSupported(
                    "the server creates no directories: it has no WebDAV at this URL, or the name exists"
                )
            if answer.status == 409:
                raise TransferError(ErrorKind.NOT_FOUND, "No such file or directory: the directory above is missing")

    async def rename(self, place: RemoteFile, new: Url) -> None:
        headers = {"Destination": str(web_url(new)), "Overwrite": "T"}
        async with self._mover.request("MOVE", place, headers, None, {200, 201, 204, *_UNKNOWN}) as answer:
            if answer.status in _UNKNOWN:
                raise NotSupported("the server renames no files: it has no WebDAV at this URL")

    async def _found(self, place: RemoteFile, *, depth: int) -> list[RemoteEntry]:
        """The entry of the URL itself, then what is in it."""
        headers = {"Depth": str(depth), "Content-Type": "application/xml"}
        async with self._mover.request("PROPFIND", place, headers, _ASKED, {200, 207, *_UNKNOWN}) as answer:
            if answer.status != 207:
                raise NotSupported(_NO_DAV)
            data = await answer.content.read(_LARGEST)
            while more := await answer.content.read(_LARGEST):
                data += more
                if len(data) > _LARGEST:
                    raise TransferError(ErrorKind.PERMANENT, "the directory is too large")
        return parse(data)


def _directory(place: RemoteFile) -> RemoteFile:
    """Servers redirect requests about directories without a slash at the end, or refuse them."""
    url = place.url
    path = f"{url.path.rstrip('/')}/"
    return RemoteFile(Url(url.scheme, url.authority, path, url.options), place.credential)


def parse(data: bytes) -> list[RemoteEntry]:
    """
    The entries in the answer to PROPFIND: the one that was asked about first, then what is directly in it.

    Raises:
        TransferError: it cannot be parsed.
    """
    try:
        root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as exc:
        raise TransferError(ErrorKind.PERMANENT, f"the list of the directory cannot be parsed: {exc}") from exc
    found = sorted(_parts(root), key=lambda pair: len(pair[0]))
    if not found:
        raise TransferError(ErrorKind.PERMANENT, "the list of the directory is empty")
    above = found[0][0].rstrip("/")
    inside = [entry for path, entry in found[1:] if path.rstrip("/").rpartition("/")[0] == above]
    return [found[0][1], *inside]


def _parts(root: etree._Element) -> Iterator[tuple[str, RemoteEntry]]:
    for response in root.iter("{DAV:}response"):
        path = unquote(urlsplit((response.findtext("{DAV:}href") or "").strip()).path, errors="surrogateescape")
        prop = next((each for each in response.iter("{DAV:}prop") if _is_good(each)), None)
        if not path or prop is None:
            continue
        directory = prop.find("{DAV:}resourcetype/{DAV:}collection") is not None
        size = (prop.findtext("{DAV:}getcontentlength") or "").strip()
        yield (
            path,
            RemoteEntry(
                name=path.rstrip("/").rpartition("/")[2],
                kind=EntryKind.DIRECTORY if directory else EntryKind.FILE,
                size=int(size) if size.isascii() and size.isdigit() else None,
                modified=_date(prop.findtext("{DAV:}getlastmodified") or ""),
            ),
        )


def _is_good(prop: etree._Element) -> bool:
    """Whether these properties exist; servers list missing ones with status 404."""
    parent = prop.getparent()
    status = "" if parent is None else parent.findtext("{DAV:}status") or ""
    return not status or " 200" in status


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except ValueError:
        return None
