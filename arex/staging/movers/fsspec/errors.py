"""Facts and errors of the storages under fsspec, which all use different names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from arex.staging.checksum import checksum
from arex.staging.movers.base import ErrorKind, FileInfo, TransferError, from_os

_MODIFIED: Final = ("mtime", "LastModified", "last_modified", "updated", "modified", "modificationTime", "timeModified")
_MD5: Final = ("md5Hash", "content_md5", "md5", "ContentMD5")
_STAMP: Final = re.compile(r"(\d{14})(?:\.\d+)?")
#: Larger numbers are milliseconds since 1970, smaller ones seconds.
_MILLISECONDS: Final = 1e11
_URL: Final = re.compile(r"\S*://\S*|'?\\\\.*")
_DENIED: Final = re.compile(r"access.?denied|logon.?failure|authentication.?fail|forbidden|unauthorized", re.IGNORECASE)
_MEANING: Final = (
    (FileNotFoundError, ErrorKind.NOT_FOUND, "No such file or directory"),
    (FileExistsError, ErrorKind.PERMANENT, "the target already exists (created during the transfer)"),
    (IsADirectoryError, ErrorKind.PERMANENT, "not a regular file"),
    (NotADirectoryError, ErrorKind.PERMANENT, "not a regular file"),
    (TimeoutError, ErrorKind.TEMPORARY, "Connection timed out"),
    (EOFError, ErrorKind.TEMPORARY, "the server closed the connection"),
)


def facts(info: Mapping[str, Any]) -> FileInfo:
    """
    The facts that a file system reports about a file, under different names.

    Raises:
        TransferError: it is not a regular file.
    """
    if info.get("type") not in {"file", "link", None}:
        raise TransferError(ErrorKind.PERMANENT, "not a regular file")
    size = info.get("size")
    md5 = next((info[name] for name in _MD5 if info.get(name)), None)
    settings = info.get("content_settings")
    if md5 is None and settings:
        md5 = settings.get("content_md5")
    known = None if md5 is None else checksum("md5", bytes(md5).hex() if isinstance(md5, bytes | bytearray) else md5)
    return FileInfo(
        size=int(size) if size is not None else None,
        modified=next(filter(None, (_time(info.get(name)) for name in _MODIFIED)), None),
        etag=str(info.get("ETag") or info.get("etag") or info.get("generation") or ""),
        checksums=() if known is None else (known,),
    )


def _time(value: object) -> datetime | None:
    try:
        match value:
            case datetime():
                found = value
            case bool():
                return None
            case int() | float():
                found = datetime.fromtimestamp(value / 1000 if value > _MILLISECONDS else value, UTC)
            case str() if match_ := _STAMP.fullmatch(value):
                found = datetime.strptime(f"{match_[1]}+0000", "%Y%m%d%H%M%S%z")
            case str():
                found = datetime.fromisoformat(value)
            case _:
                return None
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def trouble(exc: Exception, options: Mapping[str, Any]) -> TransferError:
    """The TransferError for an error of any library; it contains no value of the options."""
    if isinstance(exc, TransferError):
        return exc
    text = _plain(str(exc), options) or type(exc).__name__
    if isinstance(exc, PermissionError) or _DENIED.search(text):
        return refused(f"Permission denied: {text}")
    for kind, verdict, word in _MEANING:
        if isinstance(exc, kind):
            return TransferError(verdict, word)
    if status := _status(exc):
        return _answered(status, text)
    if isinstance(exc, OSError) and exc.errno and exc.errno > 0:
        return from_os(exc)
    if isinstance(exc, NotImplementedError | TypeError):
        return TransferError(ErrorKind.PERMANENT, f"the storage does not support this operation: {text}")
    return TransferError(ErrorKind.TEMPORARY, text)


def refused(text: str) -> TransferError:
    return TransferError(
        ErrorKind.PERMANENT, text, cure="check fsspec_options, or ask the storage's administrators for access"
    )


def _status(exc: Exception) -> int:
    """The HTTP status in an error; 0 if there is none."""
    answer = getattr(exc, "response", None)
    for value in (*(getattr(exc, name, None) for name in ("status", "code", "status_code")),
                  getattr(answer, "status_code", None)):  # fmt: skip
        if isinstance(value, int) and 400 <= value <= 599:
            return value
    return 0


def _answered(status: int, text: str) -> TransferError:
    if status in {401, 403, 407}:
        return refused(f"Permission denied: {text}")
    if status in {404, 410}:
        return TransferError(ErrorKind.NOT_FOUND, f"No such file or directory: {text}")
    if status in {413, 507}:
        return TransferError(
            ErrorKind.NO_SPACE, f"No space left on device: {text}", cure="make room, or raise the quota"
        )
    if status in {408, 425, 429} or status >= 500:
        return TransferError(ErrorKind.TEMPORARY, f"Resource temporarily unavailable: {text}")
    return TransferError(ErrorKind.PERMANENT, f"Operation not permitted: {text}")


def _plain(text: str, options: Mapping[str, Any]) -> str:
    """One short line, without URLs and without any value of the options."""
    text = _URL.sub("(URL)", " ".join(text.split()))
    for value in _values(options):
        if len(value) > 2:
            text = text.replace(value, "***")
    return text[:200]


def _values(options: object) -> Iterator[str]:
    match options:
        case Mapping():
            for each in options.values():
                yield from _values(each)
        case list():
            for each in options:
                yield from _values(each)
        case str():
            yield options
        case _:
            pass
