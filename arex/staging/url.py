"""
A remote file's name, read once: ``scheme://host:port;option=value/path``, replicas separated by ``|``.

Names of URL options are ARC's: ``cache``, ``exec``, ``overwrite``, ``checksum``, ``readonly`` and others that mean
something to one protocol only. ``checksum=adler32`` names an algorithm, ``checksum=adler32:12345678`` the value as
well; ``checksumtype`` with ``checksumvalue``, and ``size``, also as ``:name=value`` after the path, are ARC's
metadata. Source: ARC user documentation, "Data transfer URLs"; CONTROLDIR files of ARC 6.17.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from arex.errors import StagingError
from arex.staging.checksum import Checksum, algorithm_of, checksum

Options = tuple[tuple[str, str], ...]

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
#: A ``|`` is between replicas only if a URL follows.
_BETWEEN: Final = re.compile(r"\|(?=[A-Za-z][A-Za-z0-9+.-]*:/)")
_METADATA: Final = re.compile(r":(checksumtype|checksumvalue|size|guid)=([^:/]*)\Z")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x20\x7f]")
#: Some schemes have several hosts in one URL, with commas between them.
_MACHINE: Final = re.compile(r"(?:(?P<name>[^\[\]:,]+)|\[(?P<address>[0-9A-Fa-f:.]+)\])(?::(?P<port>[0-9]{0,5}))?")
_LAST_PORT: Final = 65535
_DEFAULT_PORTS: Final = {
    "http": "80", "dav": "80", "https": "443", "davs": "443",
    "s3": "80", "s3+https": "443", "sftp": "22", "ftp": "21", "root": "1094", "xroot": "1094",
}  # fmt: skip


class CacheUse(StrEnum):
    """What the ``cache`` option says; DEFAULT is for the engine to decide."""

    DEFAULT = ""
    YES = "yes"
    NO = "no"
    COPY = "copy"  #: delivered as a copy
    RENEW = "renew"  #: fetched anew
    CHECK = "check"  #: the server is asked every time
    INVARIANT = "invariant"  #: the server is never asked


@dataclass(frozen=True, slots=True)
class Url:
    """One replica."""

    scheme: str  #: lower case
    authority: str  #: with user and port, without options
    path: str  #: with the query, as written
    options: Options = ()

    def __str__(self) -> str:
        """Without options: what a server is asked for, and what the cache goes by."""
        return f"{self.scheme}:{self.path}" if self.scheme == "file" else f"{self.scheme}://{self.authority}{self.path}"

    @property
    def host(self) -> str:
        """Name and port, lower case: what limits and connections go by."""
        return self.authority.rpartition("@")[2].lower()

    @property
    def shown(self) -> str:
        """For people and logs: without a password, a signature or a token."""
        path, query, _ = self.path.partition("?")
        return str(Url(self.scheme, self.authority.rpartition("@")[2], path)) + ("?..." if query else "")

    def option(self, name: str) -> str:
        if not self.options:  # as thousands have none
            return ""
        return next((value for key, value in reversed(self.options) if key == name), "")

    @property
    def executable(self) -> bool:
        return self.option("exec") == "yes"

    @property
    def overwrite(self) -> bool:
        return self.option("overwrite") == "yes"

    @property
    def cache(self) -> CacheUse:
        value = self.option("cache")
        return CacheUse(value) if value in set(CacheUse) else CacheUse.DEFAULT

    @property
    def size(self) -> int | None:
        value = self.option("size")
        return int(value) if value.isascii() and value.isdigit() else None

    @property
    def checksum(self) -> Checksum | None:
        """The value that the content must have."""
        name, colon, value = self.option("checksum").partition(":")
        if not colon:
            name, value = self.option("checksumtype") or name, self.option("checksumvalue")
        return checksum(name, value) if value else None

    @property
    def algorithm(self) -> str | None:
        """The algorithm that servers are asked for; None: any."""
        return algorithm_of(self.option("checksum").partition(":")[0] or self.option("checksumtype"))

    def local(self) -> Path:
        """
        The path that a ``file:`` URL names.

        Raises:
            StagingError: of another host, or not absolute.
        """
        if self.host not in {"", "localhost"}:
            raise StagingError(f"{self.shown}: a file of another host")
        path = Path(unquote(self.path, errors="surrogateescape"))
        if not path.is_absolute() or ".." in path.parts or "\0" in str(path) or not path.name:
            raise StagingError(f"{self.shown}: not an absolute path")
        return path


def parse(text: str) -> tuple[Url, ...]:
    """
    The replicas of a file, in order; options of the first hold for all that do not say otherwise.

    Raises:
        StagingError: not a URL.
    """
    first, *others = (parse_one(part) for part in _BETWEEN.split(text))
    if others:
        others = [Url(url.scheme, url.authority, url.path, (*first.options, *url.options)) for url in others]
    return (first, *others)


def parse_one(text: str) -> Url:
    """
    One URL.

    Raises:
        StagingError: not one, or with characters that no URL has.
    """
    match = _URL.fullmatch(text)
    if match is None:
        raise StagingError(f"not a URL: {text[:80]!r}")
    scheme, rest = match[1].lower(), match[2]
    if scheme != "file" and _UNPRINTABLE.search(rest):
        raise StagingError(f"not a URL: {text.partition('?')[0][:200]!r} has a blank or a control character")
    if not rest.startswith("//"):
        if scheme != "file":
            raise StagingError(f"not a URL: {text.partition('?')[0][:200]!r} has no host")
        path, metadata = _metadata(rest)
        return Url(scheme, "", path, metadata)
    slash = rest.find("/", 2)
    host, path = (rest[2:], "/") if slash < 0 else (rest[2:slash], rest[slash:])
    authority, *options = host.split(";")
    path, metadata = _metadata(path)
    machine = authority.rpartition("@")[2]
    if scheme != "file" and not machine.partition(":")[0]:
        raise StagingError(f"not a URL: {text.partition('?')[0][:200]!r} has no host")
    if scheme != "file" and not all(map(_can_be, machine.split(","))):
        raise StagingError(f"not a URL: {text.partition('?')[0][:200]!r} has a host or port that can't be")
    pairs = (option.partition("=") for option in options if option)
    return Url(scheme, authority, path, (*((name, value) for name, _, value in pairs), *metadata))


@functools.lru_cache(maxsize=1024)
def _can_be(machine: str) -> bool:
    """Whether somebody could be asked for the address: not every library takes the rest for an error."""
    match = _MACHINE.fullmatch(machine)
    if match is None or int(match["port"] or 0) > _LAST_PORT:
        return False
    try:
        (match["name"] or "a").encode("idna")
        ipaddress.IPv6Address(match["address"] or "::")
    except ValueError:
        return False
    return True


def _metadata(path: str) -> tuple[str, Options]:
    found: list[tuple[str, str]] = []
    while match := _METADATA.search(path):
        found.insert(0, (match[1], match[2]))
        path = path[: match.start()]
    return path, tuple(found)


def canonical(url: Url) -> str:
    """
    The name under which a file is cached: no options, and the port that the scheme has anyway is written.

    Users are different files: ``/~/x`` is another one for each.
    """
    machine = url.host
    if ":" not in machine and url.scheme in _DEFAULT_PORTS:
        machine = f"{machine}:{_DEFAULT_PORTS[url.scheme]}"
    user = url.authority.rpartition("@")[0].partition(":")[0]
    return f"{url.scheme}://{user}{'@' if user else ''}{machine}{url.path}"
