"""The location of a file as one string: a URL with its options and replicas in the host part."""

from __future__ import annotations

from arex.jobdesc.model import Location
from arex.model.url import Options, parse_url


def join_url(location: Location, extra: Options = (), *, without: frozenset[str] = frozenset()) -> str:
    """One text with options, more of them and locations in the host part: as file lists and xRSL have it."""
    options = {name: value for name, value in (*location.options, *extra) if name not in without}
    if not options and not location.locations:
        return location.url
    try:
        url = parse_url(location.url)
    except ValueError:
        return location.url
    more = () if url.scheme == "file" else location.locations
    return url.full(options, more)
