"""
Parse URLs, for all parts of arex: leniently, as ARC does, with a separate strict check (``fault``).

Options follow the host and precede the path; metadata (checksums, ids) follows the path.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from arex.model.numbers import leading_number

Options = tuple[tuple[str, str], ...]

#: Ports that ARC adds to URLs without a port. Source: descriptions written by the clients of ARC 6.17.
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
#: Schemes that staging supports; other schemes are accepted with a warning.
SCHEMES: Final = (*PORTS, "file", "srm", "rucio", "dav", "davs", "acix", "arc", "link", "urllist")

_SCHEME: Final = re.compile(r"([A-Za-z0-9+.-]*):", re.ASCII)
#: Schemes whose URLs may consist of a path only.
_PATHS: Final = frozenset({"file", "urllist", "link"})
#: Schemes whose URLs may name replicas before the host.
_INDEXED: Final = frozenset({"rc", "fireman", "lfc"})
_QUERIED: Final = frozenset({"http", "https", "httpg", "dav", "davs", "arc", "srm", "root", "rucio"})
_METADATA: Final = r"checksumtype|checksumvalue|guid"
_FIRST_METADATA: Final = re.compile(rf":(?:{_METADATA})=")
_LARGEST: Final = 2**31 - 1
_SCOPES: Final = ("base", "one", "sub")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x20\x7f]")
#: One host and port. With some schemes, a URL has several of these, separated by commas.
_MACHINE: Final = re.compile(r"(?:(?P<name>[^\[\]:,]+)|\[(?P<address>[0-9A-Fa-f:.]+)\])(?::(?P<port>[0-9]{0,5}))?")
_LAST_PORT: Final = 65535


class Host(NamedTuple):
    """The part between the slashes and the path, as ARC parses it."""

    user: str = ""
    name: str = ""
    port: int = -1
    options: str = ""
    bracketed: bool = False  #: an IPv6 address


@dataclass(frozen=True, slots=True)
class Url:
    """
    The parts of a URL as written.

    ``str`` is the URL for requests to the server. ``plain`` and ``full`` return ARC's spelling, with hosts in lower
    case, explicit ports, and sorted options and queries.
    """

    scheme: str  #: lower case
    authority: str = ""  #: user, hosts and ports, without options
    path: str = ""  #: includes the query, but no metadata
    options: Options = ()  #: between the host and the path
    metadata: Options = ()  #: checksums and ids after the path
    locations: tuple[str, ...] = ()  #: replicas before the host, in ARC's spelling
    common: Options = ()  #: options of all locations
    read: Host = field(default=Host(), compare=False, repr=False)  #: the part before the path, as ARC parses it

    def __str__(self) -> str:
        return f"{self.scheme}:{self.path}" if self.scheme == "file" else f"{self.scheme}://{self.authority}{self.path}"

    @property
    def host(self) -> str:
        """Hosts and ports in lower case, for grouping connections and limits by server."""
        return self.authority.rpartition("@")[2].lower()

    @property
    def shown(self) -> str:
        """The URL for people and logs, without password, signature or token."""
        path, query, _ = self.path.partition("?")
        return str(Url(self.scheme, self.authority.rpartition("@")[2], path)) + ("?..." if query else "")

    def option(self, name: str) -> str:
        """Value of an option or of metadata; empty if it is missing, the last one if the name is repeated."""
        if not self.options and not self.metadata:  # fast path: most URLs have none
            return ""
        return next((value for key, value in reversed((*self.options, *self.metadata)) if key == name), "")

    @property
    def hostname(self) -> str:
        """The first host as ARC parses it, in lower case and without port."""
        return self.read.name

    @property
    def arc_options(self) -> dict[str, str]:
        """The options as ARC parses them; the last one counts if a name is repeated."""
        return _options(self.read.options, ";")

    def plain(self) -> str:
        """ARC's spelling without options and locations, but with metadata."""
        return self._around(f"{self.read.user}@" if self.read.user else "", "")

    def full(self, options: Mapping[str, str] | None = None, more: Sequence[str] = ()) -> str:
        """ARC's spelling of the whole URL; ``options`` replaces its options, ``more`` adds locations after its own."""
        locations = (*self.locations, *more)
        user = self.read.user + "|".join(locations)
        if self.common:
            user += ("|" if locations else "") + ";" + _joined(self.common, ";")
        after = _after_host((self.arc_options if options is None else options).items())
        return self._around(f"{user}@" if user or locations else "", after)

    def _around(self, user: str, options: str) -> str:
        host = f"[{self.read.name}]" if self.read.bracketed and self.read.name else self.read.name
        port = self.read.port if self.read.port != -1 else PORTS.get(self.scheme, -1)
        authority = f"{user}{host}{f':{port}' if port != -1 else ''}{options}"
        text = self.scheme and (f"{self.scheme}://{authority}" if authority else f"{self.scheme}:")
        text = (text or authority) + self._tail()
        return text + (":" + _joined(self.metadata, ":") if self.metadata else "")

    def _tail(self) -> str:
        """The path and the query."""
        if self.scheme == "ldap":
            return f"/{_ldap(self.path)}"
        if self.scheme not in _QUERIED:
            return self.path
        path, mark, query = self.path.partition("?")
        found = _options(query, "&") if mark else {}
        return f"{path}?{_joined(found.items(), '&')}" if found else path


def _joined(options: Iterable[tuple[str, str]], mark: str) -> str:
    return mark.join(f"{name}={value}" for name, value in sorted(dict(options).items()))


def _after_host(options: Collection[tuple[str, str]]) -> str:
    return ";" + _joined(options, ";") if options else ""


def _options(text: str, mark: str) -> dict[str, str]:
    if not text:
        return {}
    pairs = (option.partition("=") for option in text.split(mark))
    return {name: value for name, _, value in pairs}


def parse_url(text: str) -> Url:
    """
    Split a URL into its parts; a text without a scheme is the path of a file.

    A relative path starts in the working directory.

    Raises:
        ValueError: ARC does not accept the text as a URL.
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
    locations: tuple[str, ...] = ()
    common: Options = ()
    user, at, behind = rest.partition("@")
    if at and scheme in _INDEXED:
        locations, common = _read_locations(scheme, user)
        rest = behind
    elif at and "/" not in user:
        host, slash, path = behind.partition("/")
        return _checked(scheme, f"{user}@{host}", slash + path, text)
    host, slash, path = rest.partition("/")
    return replace(_checked(scheme, host, slash + path, text), locations=locations, common=common)


def _checked(scheme: str, host: str, path: str, text: str) -> Url:
    try:
        read = _read_host(host, indexed=scheme in _INDEXED)
    except ValueError as exc:
        raise ValueError(f"{exc} in the URL {text[:80]!r}") from None
    authority, *options = host.split(";")
    return _finished(Url(scheme, authority, path, tuple(_pairs(options)), read=read))


def _pairs(options: Iterable[str]) -> Iterator[tuple[str, str]]:
    for option in options:
        name, _, value = option.partition("=")
        yield name, value


def _read_locations(scheme: str, text: str) -> tuple[tuple[str, ...], Options]:
    locations: list[str] = []
    common: Options = ()
    for location in text.split("|"):
        if location.startswith(";"):
            common = tuple(_options(location[1:], ";").items())
        elif scheme == "rc":
            name, mark, options = location.partition(";")
            locations.append((options if mark else name) + _after_host(_options(options, ";").items()))
        else:
            locations.append(_location(location))
    return tuple(locations), common


def _location(text: str) -> str:
    try:
        return full_url(text)
    except ValueError:
        return ""


def _read_host(text: str, *, indexed: bool) -> Host:
    """Parse user, host, port and options. A port that is not a number becomes 0; text after its digits is ignored."""
    user, at, behind = text.partition("@")
    if at and not indexed:
        name, _, password = user.partition(":")
        user, text = name + (f":{password}" if password else ""), behind
    else:
        user = ""
    if not text:
        return Host(user)
    bracketed = text.startswith("[")
    end = text.find("]") if bracketed else -1
    if bracketed and end < 0:
        raise ValueError("missing ]")
    if bracketed:
        name, rest = text[1:end], text[end + 1 :]
        if rest and rest[0] not in ":;":
            raise ValueError("neither a port nor an option after ]")
    else:
        mark = ":" if ":" in text else ";"
        name, _, rest = text.partition(mark)
        rest = mark + rest if len(name) < len(text) else ""
    if not rest.startswith(":"):
        return Host(user, name.lower(), -1, rest[1:], bracketed)
    port, _, options = rest[1:].partition(";")
    return Host(user, name.lower(), _port(port), options, bracketed)


def _port(text: str) -> int:
    try:
        return leading_number(text)
    except ValueError as exc:
        return _LARGEST if "too large" in str(exc) else 0


def _finished(url: Url) -> Url:
    """Move metadata from the end of the path into its own field."""
    if url.scheme in {"ldap", "arc"} or (url.scheme == "root" and "?" in url.path):
        return url
    path, metadata = _split_metadata(url.path)
    return replace(url, path=path, metadata=metadata) if metadata else url


def _split_metadata(path: str) -> tuple[str, Options]:
    """Split checksums and ids off the end of a path: the longest end that consists of metadata only."""
    start = len(path)
    end = path.rfind("=")
    while end >= 0:
        colon = path.rfind(":", 0, end + 1)
        if colon < 0 or _FIRST_METADATA.fullmatch(path, colon, end + 1) is None:
            break
        start = colon
        end = path.rfind("=", 0, start + 1)
    if start == len(path):
        return path, ()
    return path[:start], tuple(_options(path[start + 1 :], ":").items())


def _ldap(path: str) -> str:
    path, *parts = path.split("?", 3)
    attributes, scope, condition = [*parts, "", "", ""][:3]
    scope = scope if scope in _SCOPES else "base"
    names = path[1:]
    if "/" in names:
        names = ", ".join(reversed(names.split("/")))
    return f"{names}?{attributes}?{scope}?{condition or '(objectClass=*)'}"


# --- strictly ---------------------------------------------------------------------------------------------------------


def fault(url: Url) -> str:
    """
    What is wrong with a URL that ARC accepts, as the end of a sentence; empty if it is valid.

    A transfer with such a URL will fail, so clients can report the fault when the job is submitted.
    """
    if url.scheme == "file":
        return ""
    if _UNPRINTABLE.search(f"{url.authority}{url.path}"):
        return "has a blank or a control character"
    machine = url.authority.rpartition("@")[2]
    if not machine.partition(":")[0]:
        return "has no host"
    if not all(map(_is_possible, machine.split(","))):
        return "has an invalid host or port"
    return ""


@functools.lru_cache(maxsize=1024)
def _is_possible(machine: str) -> bool:
    """Whether the address is valid; not every library reports an error for an invalid one."""
    match = _MACHINE.fullmatch(machine)
    if match is None or int(match["port"] or 0) > _LAST_PORT:
        return False
    try:
        (match["name"] or "a").encode("idna")
        ipaddress.IPv6Address(match["address"] or "::")
    except ValueError:
        return False
    return True


# --- ARC's spelling ---------------------------------------------------------------------------------------------------


def full_url(text: str) -> str:
    """
    ARC's spelling of a URL, with all its options.

    Raises:
        ValueError: the text is not a URL.
    """
    return parse_url(text).full()


def is_remote(text: str) -> bool:
    """Whether the service has to transfer this file: a URL with any scheme except ``file``."""
    match = _SCHEME.match(text)
    if match is None:
        return text.startswith("@")
    return match[1].lower() not in {"", "file"}


def local_path(text: str) -> str:
    """The path of a ``file:`` URL; any other text unchanged."""
    if not text.lower().startswith("file:"):
        return text
    rest = text[len("file:") :]
    return "/" + rest[2:].partition("/")[2] if rest.startswith("//") else rest


def split_url(text: str) -> tuple[str, Options]:
    """
    ARC's spelling of a URL without its options, and the options sorted by name.

    Raises:
        ValueError: the text is not a URL.
    """
    url = parse_url(text)
    return url.plain(), sort_options(url.arc_options.items())


def sort_options(pairs: Iterable[tuple[str, str]]) -> Options:
    """Options sorted by name; the last one counts if a name is repeated."""
    return tuple(sorted(dict(pairs).items()))
