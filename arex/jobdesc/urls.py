"""URLs as ARC writes them: with a port, options after the host part and before the path."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from arex.jobdesc.model import Location

Options = tuple[tuple[str, str], ...]

#: Ports that ARC adds to a URL that names none. Source: descriptions written by the clients of ARC 6.17.
_PORTS: Final = {
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
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)(.*)", re.DOTALL)
_PORT: Final = re.compile(r":[0-9]+\Z")


def is_remote(text: str) -> bool:
    """Whether a service has to move this: a URL of any scheme but ``file``."""
    match = _URL.match(text)
    return match is not None and match[1].lower() != "file"


def local_path(text: str) -> str:
    """The path in a ``file:`` URL, or the text itself."""
    if not text.lower().startswith("file:"):
        return text
    rest = text[len("file:") :]
    return "/" + rest[2:].partition("/")[2] if rest.startswith("//") else rest


def split_url(text: str) -> tuple[str, Options]:
    """A URL in ARC's spelling, without its options; and those, in order of name."""
    if text.lower().startswith("file:"):
        return f"file:{local_path(text)}", ()
    match = _URL.fullmatch(text)
    if match is None:
        return text, ()
    scheme, (host, *options), path = match[1].lower(), match[2].split(";"), match[3]
    user, at, machine = host.rpartition("@")
    if scheme in _PORTS and not _PORT.search(machine):
        machine = f"{machine}:{_PORTS[scheme]}"
    pairs = (option.partition("=") for option in options if option)
    return f"{scheme}://{user}{at}{machine.lower()}{path}", sort_options((name, value) for name, _, value in pairs)


def sort_options(pairs: Iterable[tuple[str, str]]) -> Options:
    """Options in order of name; of two with one name the later counts."""
    return tuple(sorted(dict(pairs).items()))


def join_url(location: Location, extra: Options = ()) -> str:
    """One text with the options, and more of them, in the host part: as file lists and xRSL have it."""
    options = sort_options((*location.options, *extra))
    match = _URL.fullmatch(location.url)
    if match is None or not options:
        return location.url
    words = "".join(f";{name}={value}" if value else f";{name}" for name, value in options)
    return f"{match[1]}://{match[2]}{words}{match[3]}"
