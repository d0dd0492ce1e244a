"""
What the URL of a file says to a transfer: ``scheme://host:port;option=value/path``, replicas separated by ``|``.

Names of URL options are ARC's: ``cache``, ``exec``, ``overwrite``, ``checksum``, ``readonly`` and others that mean
something to one protocol only. ``checksum=adler32`` names an algorithm, ``checksum=adler32:12345678`` the value as
well; ``checksumtype`` with ``checksumvalue``, and ``size``, also as ``:name=value`` after the path, are ARC's
metadata. Source: ARC user documentation, "Data transfer URLs"; CONTROLDIR files of ARC 6.17.
"""

from __future__ import annotations

import re
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from arex.errors import StagingError
from arex.model.url import Options, Url, fault, parse_url
from arex.staging.checksum import Checksum, algorithm_of, checksum

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(/)?")
#: A ``|`` is between replicas only if a URL follows.
_BETWEEN: Final = re.compile(r"\|(?=[A-Za-z][A-Za-z0-9+.-]*:/)")
_METADATA: Final = re.compile(r":(checksumtype|checksumvalue|size|guid)=([^:/]*)\Z")
_DEFAULT_PORTS: Final = {
    "http": "80", "dav": "80", "https": "443", "davs": "443",
    "s3": "80", "s3+https": "443", "sftp": "22", "ftp": "21", "root": "1094", "xroot": "1094",
}  # fmt: skip


class CacheUse(StrEnum):
    """Values of the option ``cache``; with DEFAULT the engine decides."""

    DEFAULT = ""
    YES = "yes"
    NO = "no"
    COPY = "copy"  #: delivered as a copy
    RENEW = "renew"  #: fetched anew
    CHECK = "check"  #: the server is asked every time
    INVARIANT = "invariant"  #: the server is never asked


def cache_use(url: Url) -> CacheUse:
    value = url.option("cache")
    return CacheUse(value) if value in set(CacheUse) else CacheUse.DEFAULT


def is_executable(url: Url) -> bool:
    return url.option("exec") == "yes"


def may_overwrite(url: Url) -> bool:
    return url.option("overwrite") == "yes"


def size_of(url: Url) -> int | None:
    """The size that the content must have."""
    value = url.option("size")
    return int(value) if value.isascii() and value.isdigit() else None


def checksum_of(url: Url) -> Checksum | None:
    """The checksum that the content must have."""
    name, colon, value = url.option("checksum").partition(":")
    if not colon:
        name, value = url.option("checksumtype") or name, url.option("checksumvalue")
    return checksum(name, value) if value else None


def algorithm_for(url: Url) -> str | None:
    """The checksum algorithm to ask servers for; None: any."""
    return algorithm_of(url.option("checksum").partition(":")[0] or url.option("checksumtype"))


def local_path(url: Url) -> Path:
    """
    The path that a ``file:`` URL names.

    Raises:
        StagingError: of another host, or not absolute.
    """
    if url.host not in {"", "localhost"}:
        raise StagingError(f"{url.shown}: a file on another host")
    path = Path(unquote(url.path, errors="surrogateescape"))
    if not path.is_absolute() or ".." in path.parts or "\0" in str(path) or not path.name:
        raise StagingError(f"{url.shown}: not an absolute path")
    return path


def parse(text: str) -> tuple[Url, ...]:
    """
    The replicas of a file, in order; options of the first are the defaults for the others.

    Raises:
        StagingError: not a URL.
    """
    first, *others = (parse_one(part) for part in _BETWEEN.split(text))
    shared = (*first.options, *first.metadata)
    return (first, *(replace(url, options=(*shared, *url.options)) for url in others))


def parse_one(text: str) -> Url:
    """
    One URL, with a path, and with the size in its metadata.

    Raises:
        StagingError: not one, or one that no transfer could use.
    """
    match = _SCHEME.match(text)
    if match is None:
        raise StagingError(f"not a URL: {text[:80]!r}")
    named = f"not a URL: {text.partition('?')[0][:200]!r}"
    if match[1].lower() == "file" and not match[2]:
        return Url("file", path=text[match.end() :])  # a relative path, which a service cannot use
    try:
        url = parse_url(text)
    except ValueError as exc:
        what = "an invalid host or port" if "]" in str(exc) else "no host"
        raise StagingError(f"{named} has {what}") from exc
    if wrong := fault(url):
        raise StagingError(f"{named} {wrong}")
    path, more = _metadata(url.path or "/")
    return replace(url, path=path, metadata=(*more, *url.metadata))


def _metadata(path: str) -> tuple[str, Options]:
    """ARC's metadata, and ``size``, which ARC's own URLs have among their options only."""
    found: list[tuple[str, str]] = []
    while match := _METADATA.search(path):
        found.insert(0, (match[1], match[2]))
        path = path[: match.start()]
    return path, tuple(found)


def canonical(url: Url) -> str:
    """
    The name under which a file is cached: without options, and with the default port of the scheme.

    The user is part of it: ``/~/x`` is a different file for each user.
    """
    machine = url.host
    if ":" not in machine and url.scheme in _DEFAULT_PORTS:
        machine = f"{machine}:{_DEFAULT_PORTS[url.scheme]}"
    user = url.authority.rpartition("@")[0].partition(":")[0]
    return f"{url.scheme}://{user}{'@' if user else ''}{machine}{url.path}"
