"""
Objects of S3 as files; what precedes a slash in their keys as directories, which S3 itself does not have.

Source: Amazon S3 API Reference (ListObjectsV2, DeleteObject).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote

from lxml import etree

from arex.model.url import Url
from arex.staging.movers.base import ErrorKind, RemoteFile, TransferError
from arex.staging.movers.s3.mover import S3Mover
from arex.staging.remote.base import EntryKind, NotSupported, RemoteEntry, last_name, not_empty, valid

_MOST_PAGES: Final = 10_000


class S3Directories:
    """Uses the connections and keys of the mover."""

    def __init__(self, mover: S3Mover) -> None:
        self._mover = mover

    async def look(self, place: RemoteFile) -> RemoteEntry:
        name = last_name(place.url)
        if _key(place.url) and not place.url.path.endswith("/"):
            try:
                facts = await self._mover.stat(place)
                return RemoteEntry(name=name, kind=EntryKind.FILE, size=facts.size, modified=facts.modified)
            except TransferError as exc:
                if exc.verdict is not ErrorKind.NOT_FOUND:
                    raise
        await self.entries(place)
        return RemoteEntry(name=name, kind=EntryKind.DIRECTORY)

    async def entries(self, place: RemoteFile) -> list[RemoteEntry]:
        key = _key(place.url).rstrip("/")
        query = {"list-type": "2", "delimiter": "/", "prefix": f"{key}/" if key else ""}
        bucket = RemoteFile(replace(place.url, path=f"/{_bucket(place.url)}/"), place.credential)
        found: list[RemoteEntry] = []
        known = not key  # a bucket may be empty
        for _ in range(_MOST_PAGES):
            root = _parsed(await self._mover.request("GET", bucket, query))
            page = _page(root, query["prefix"])
            known = known or root.find("{*}Contents") is not None or root.find("{*}CommonPrefixes") is not None
            found += page
            token = root.findtext("{*}NextContinuationToken")
            if not token:
                break
            query["continuation-token"] = token
        if not known:
            raise TransferError(ErrorKind.NOT_FOUND, "No such file or directory")
        return valid(found)

    async def remove(self, place: RemoteFile) -> None:
        if (await self.look(place)).kind is EntryKind.DIRECTORY:
            raise not_empty()
        await self._mover.request("DELETE", place, {})

    async def make(self, place: RemoteFile) -> None:
        del place
        raise NotSupported("S3 has no directories: copy objects there, it needs nothing else")

    async def rename(self, place: RemoteFile, new: Url) -> None:
        del place, new
        raise NotSupported("S3 cannot rename objects: use arccp, then arcrm")


def _bucket(url: Url) -> str:
    return url.path.lstrip("/").partition("/")[0]


def _key(url: Url) -> str:
    return unquote(url.path.lstrip("/").partition("/")[2], errors="surrogateescape")


def _parsed(data: bytes) -> etree._Element:
    try:
        return etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as exc:
        raise TransferError(ErrorKind.PERMANENT, f"the list of the bucket cannot be parsed: {exc}") from exc


def _page(root: etree._Element, prefix: str) -> list[RemoteEntry]:
    directories = [
        RemoteEntry(name=(each.text or "").removeprefix(prefix).rstrip("/"), kind=EntryKind.DIRECTORY)
        for each in root.iterfind("{*}CommonPrefixes/{*}Prefix")
    ]
    objects = [
        RemoteEntry(
            name=(each.findtext("{*}Key") or "").removeprefix(prefix),
            kind=EntryKind.FILE,
            size=int(each.findtext("{*}Size") or 0),
            modified=_date(each.findtext("{*}LastModified") or ""),
        )
        for each in root.iterfind("{*}Contents")
        if each.findtext("{*}Key") != prefix  # some programs put an empty object there, for the directory
    ]
    return [*directories, *objects]


def _date(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None
