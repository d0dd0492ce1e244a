"""URLs as ARC reads and writes them: with a port, and with options after the host part and before the path."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from arex.jobdesc.model import Location
from arex.jobdesc.numbers import leading_number

Options = tuple[tuple[str, str], ...]

#: Ports that ARC adds to a URL that names none. Source: descriptions written by the clients of ARC 6.17.
PORTS: Final = {
    "ftp": 21,
    "gsiftp": 2811,
    "http": 80,
    "httpg": 8443,
    "https": 443,
    "ldap": 389,
    "lfc": 5010,
    "rc": 389,
    "root": 1094,
    "s3": 80,
    "s3+https": 443,
}
#: Schemes that staging knows; others pass, with a remark.
SCHEMES: Final = (*PORTS, "file", "srm", "rucio", "dav", "davs", "acix", "arc", "link", "urllist")

_SCHEME: Final = re.compile(r"([A-Za-z0-9+.-]*):", re.ASCII)
#: Schemes whose URL may be a path alone.
_PATHS: Final = frozenset({"file", "urllist", "link"})
#: Schemes whose URL may name replicas before the host.
_INDEXED: Final = frozenset({"rc", "fireman", "lfc"})
_QUERIED: Final = frozenset({"http", "https", "httpg", "dav", "davs", "arc", "srm", "root", "rucio"})
_METADATA: Final = r"checksumtype|checksumvalue|guid"
_FIRST_METADATA: Final = re.compile(rf":(?:{_METADATA})=")
_LARGEST: Final = 2**31 - 1
_SCOPES: Final = ("base", "one", "sub")


@dataclass(slots=True)
class Url:
    """The parts of a URL; options of all kinds in order of name."""

    scheme: str
    user: str = ""
    password: str = ""
    host: str = ""
    bracketed: bool = False  #: an IPv6 address
    port: int = -1
    path: str = ""
    tail: str = ""  #: what LDAP has behind its path
    options: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    locations: list[str] = field(default_factory=list)
    common: dict[str, str] = field(default_factory=dict)  #: options of all locations

    def plain(self) -> str:
        """Without options and locations, but with metadata."""
        user = self.user + (f":{self.password}" if self.password else "")
        return self._around(f"{user}@" if user else "", "")

    def full(self) -> str:
        """With all there is."""
        user = self.user + (f":{self.password}" if self.password else "") + "|".join(self.locations)
        if self.common:
            user += ("|" if self.locations else "") + ";" + _joined(self.common, ";")
        return self._around(f"{user}@" if user or self.locations else "", _after_host(self.options))

    def _around(self, user: str, options: str) -> str:
        host = f"[{self.host}]" if self.bracketed and self.host else self.host
        authority = f"{user}{host}{f':{self.port}' if self.port != -1 else ''}{options}"
        text = self.scheme and (f"{self.scheme}://{authority}" if authority else f"{self.scheme}:")
        text = (text or authority) + ("/" if self.scheme == "ldap" else "") + self.path
        if self.query:
            text += "?" + _joined(self.query, "&")
        text += self.tail
        return text + (":" + _joined(self.metadata, ":") if self.metadata else "")


def _joined(options: Mapping[str, str], mark: str) -> str:
    return mark.join(f"{name}={value}" for name, value in sorted(options.items()))


def _after_host(options: Mapping[str, str]) -> str:
    return ";" + _joined(options, ";") if options else ""


def _options(text: str, mark: str) -> dict[str, str]:
    if not text:
        return {}
    pairs = (option.partition("=") for option in text.split(mark))
    return {name: value for name, _, value in pairs}


def parse_url(text: str) -> Url:
    """
    Take a URL apart; a text without a scheme is the path of a file.

    A relative path starts in the working directory.

    Raises:
        ValueError: ARC takes it for no URL.
    """
    if not text or text.startswith(("#", "\0")):
        raise ValueError(f"not a URL: {text[:80]!r}")
    match = _SCHEME.match(text)
    if match is None:
        listed = text.startswith("@")
        return Url("urllist" if listed else "file", path=_absolute(text[listed:]))
    scheme, rest = match[1].lower(), text[match.end() :]
    if not scheme:
        raise ValueError(f"no scheme in the URL {text[:80]!r}")
    if rest.startswith("//"):
        return _with_host(scheme, rest[2:], text)
    if scheme in _PATHS:
        return Url(scheme, path=_absolute(rest))
    if scheme != "arc" or not rest.startswith("/"):
        raise ValueError(f"no host in the URL {text[:80]!r}")
    return _finished(Url(scheme, path=rest))


def _absolute(path: str) -> str:
    if path.startswith("/"):
        return path
    here = os.getcwd()  # noqa: PTH109 - not normalized
    return os.path.join(here, path) if path else here  # noqa: PTH118 - as it is written


def _with_host(scheme: str, rest: str, text: str) -> Url:
    url = Url(scheme)
    user, at, behind = rest.partition("@")
    if at and scheme in _INDEXED:
        _take_locations(url, user)
        rest = behind
    elif at and "/" not in user:
        name, _, url.password = user.partition(":")
        url.user = name
        rest = behind
    host, slash, path = rest.partition("/")
    url.path = slash + path
    if host:
        _take_host(url, host, text)
    return _finished(url)


def _take_locations(url: Url, text: str) -> None:
    for location in text.split("|"):
        if location.startswith(";"):
            url.common = _options(location[1:], ";")
        elif url.scheme == "rc":
            name, mark, options = location.partition(";")
            url.locations.append((options if mark else name) + _after_host(_options(options, ";")))
        else:
            url.locations.append(_location(location))


def _location(text: str) -> str:
    try:
        return full_url(text)
    except ValueError:
        return ""


def _take_host(url: Url, host: str, text: str) -> None:
    """Host, port and options; a port that is no number is as none, or what of it is one."""
    url.bracketed = host.startswith("[")
    end = host.find("]") if url.bracketed else -1
    if url.bracketed and end < 0:
        raise ValueError(f"no closing ] in the URL {text[:80]!r}")
    if url.bracketed:
        name, rest = host[1:end], host[end + 1 :]
        if rest and rest[0] not in ":;":
            raise ValueError(f"neither a port nor an option after ] in the URL {text[:80]!r}")
    else:
        mark = ":" if ":" in host else ";"
        name, _, rest = host.partition(mark)
        rest = mark + rest if len(name) < len(host) else ""
    if rest.startswith(":"):
        port, _, options = rest[1:].partition(";")
        url.port = _port(port)
    else:
        options = rest[1:]
    url.options = _options(options, ";")
    url.host = name.lower()


def _port(text: str) -> int:
    try:
        return leading_number(text)
    except ValueError as exc:
        return _LARGEST if "too large" in str(exc) else 0


def _finished(url: Url) -> Url:
    """Default port, then what is behind the path."""
    if url.port == -1:
        url.port = PORTS.get(url.scheme, -1)
    if url.scheme not in {"ldap", "arc"} and (url.scheme != "root" or "?" not in url.path):
        _take_metadata(url)
    if url.scheme in _QUERIED:
        url.path, mark, query = url.path.partition("?")
        url.query = _options(query, "&") if mark else {}
    if url.scheme == "ldap":
        _take_ldap(url)
    return url


def _take_metadata(url: Url) -> None:
    """Checksums and ids at the end of a path; from the first one on if nothing else is between."""
    start = len(url.path)
    end = url.path.rfind("=")
    while end >= 0:
        colon = url.path.rfind(":", 0, end + 1)
        if colon < 0 or _FIRST_METADATA.fullmatch(url.path, colon, end + 1) is None:
            break
        start = colon
        end = url.path.rfind("=", 0, start + 1)
    if start < len(url.path):
        url.metadata = _options(url.path[start + 1 :], ":")
        url.path = url.path[:start]


def _take_ldap(url: Url) -> None:
    path, *parts = url.path.split("?", 3)
    attributes, scope, condition = [*parts, "", "", ""][:3]
    scope = scope if scope in _SCOPES else "base"
    url.tail = f"?{attributes}?{scope}?{condition or '(objectClass=*)'}"
    if "/" in path[1:]:
        url.path = ", ".join(reversed(path[1:].split("/")))
    else:
        url.path = path[1:]


def full_url(text: str) -> str:
    """
    A URL in ARC's spelling, with all its options.

    Raises:
        ValueError: it is none.
    """
    return parse_url(text).full()


def is_remote(text: str) -> bool:
    """Whether a service has to move this: a URL of any scheme but ``file``."""
    match = _SCHEME.match(text)
    if match is None:
        return text.startswith("@")
    return match[1].lower() not in {"", "file"}


def local_path(text: str) -> str:
    """The path in a ``file:`` URL, or the text itself."""
    if not text.lower().startswith("file:"):
        return text
    rest = text[len("file:") :]
    return "/" + rest[2:].partition("/")[2] if rest.startswith("//") else rest


def split_url(text: str) -> tuple[str, Options]:
    """
    A URL in ARC's spelling, without its options; and those, in order of name.

    Raises:
        ValueError: it is none.
    """
    url = parse_url(text)
    return url.plain(), sort_options(url.options.items())


def sort_options(pairs: Iterable[tuple[str, str]]) -> Options:
    """Options in order of name; of two with one name the later counts."""
    return tuple(sorted(dict(pairs).items()))


def join_url(location: Location, extra: Options = (), *, without: frozenset[str] = frozenset()) -> str:
    """One text with options, more of them and locations in the host part: as file lists and xRSL have it."""
    options = {name: value for name, value in (*location.options, *extra) if name not in without}
    if not options and not location.locations:
        return location.url
    try:
        url = parse_url(location.url)
    except ValueError:
        return location.url
    url.options = options
    if url.scheme != "file":
        url.locations = [*url.locations, *location.locations]
    return url.full()
