"""Files of an xRSL text, and the URLs where they come from and go to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from arex.jobdesc.model import DescriptionDialect, InputFile, Location, OutputFile, Target
from arex.jobdesc.xrsl.attribute import Attribute
from arex.model.numbers import LONG, whole_number
from arex.model.url import SCHEMES, Url, fault, is_remote, local_path, parse_url, sort_options
from arex.suggest import closest

_Place = TypeVar("_Place", bound=Location)


def read_input(a: Attribute, at: int, row: Sequence[str]) -> InputFile:
    """
    One row of ``inputfiles``: a name, a source, and options of the source.

    Raises:
        JobDescriptionError: the source is not a URL, or an option has no value.
    """
    name, where, *options = row
    if a.dialect is DescriptionDialect.GRIDMANAGER and (announced := _announced(where)):
        return InputFile(name=name, announced=announced)
    url = _url(a, at, where or name, where, name)
    location = Location() if url is None else _location(a, at, name, url, options if where else ())
    if url is not None and url.scheme != "file":
        return InputFile(name=name, sources=(replace(location, url=url.plain()),))
    if a.dialect is DescriptionDialect.GRIDMANAGER:
        # a file of the service's own host has to be named as a URL
        named = url is not None and where.lower().startswith("file:")
        return InputFile(name=name, sources=(Location(url=f"file:{local_path(where)}"),) if named else ())
    # an empty source is the file of the same name in the current directory
    path = local_path(where) or name
    return InputFile(name=name, sources=(Location(url=f"file:{path}" if is_remote(path) else path),))


def _announced(where: str) -> str:
    """Size and checksum of an upload; empty if it is something else."""
    size, dot, checksum = where.partition(".")
    try:
        number = whole_number(size, LONG)
    except ValueError:
        return ""
    return f"{number}.{checksum}" if dot and checksum else str(number)


def read_output(a: Attribute, at: int, row: Sequence[str]) -> OutputFile:
    """
    One row of ``outputfiles``: a name, a target if it does not stay, and options of the target.

    Raises:
        JobDescriptionError: the target is not a URL, or an option has no value.
    """
    name, where, *options = row
    if where.lower().startswith("file:"):
        return OutputFile(name=name, local=_local(where, options))  # whatever is behind it
    url = _url(a, at, where, where, name)
    if url is None or url.scheme == "file":
        return OutputFile(name=name, local=_local(where, options))
    found = _location(a, at, name, url, options)
    target = Target(url=url.plain(), options=found.options, delegationid=found.delegationid, locations=found.locations)
    return OutputFile(name=name, targets=(target,))


def _local(where: str, options: Sequence[str]) -> Target | None:
    pairs = [option.partition("=") for option in options]
    given = sort_options((name, value) for name, _, value in pairs if name and value)
    return Target(url=local_path(where), options=given) if where else None


def _url(a: Attribute, at: int, text: str, where: str, name: str) -> Url | None:
    """The URL of a source or target; None if there is none, or if it is only a name."""
    try:
        url = parse_url(text) if text else None
    except ValueError as exc:
        if not where:
            return None
        scheme = where.partition(":")[0]
        hint = closest(scheme, SCHEMES) if ":" in where else ""
        a.source.fail(f"Invalid URL '{where[:80]}' for '{name[:80]}': {exc}", at, hint if hint != scheme else "")
    if url is not None and url.scheme not in SCHEMES and where and not a.source.remarks.full:
        a.source.remark(f"Unknown URL scheme '{url.scheme[:80]}'", at, closest(url.scheme, SCHEMES))
    if url is not None and where and not a.source.remarks.full and (wrong := fault(url)):
        what = f"The URL '{where[:80]}' {wrong}"
        a.source.remark(f"{what}: its transfer will fail", at, error=what)
    return url


def _location(a: Attribute, at: int, name: str, url: Url, options: Sequence[str]) -> Location:
    """Options count for the URL before them."""
    delegationid, urls, given = "", [url], [url.arc_options]
    for option in options:
        word, mark, value = option.partition("=")
        if not mark:
            a.source.fail(f"Invalid URL option syntax in option '{option[:80]}' for file '{name[:80]}'", at)
        if word == "location":
            urls.append(_other(a, at, name, value))
            given.append(urls[-1].arc_options)
        elif word == "delegationid":
            delegationid = value
        elif word and value:
            given[-1][word] = value
    others = (other.full(more) for other, more in zip(urls[1:], given[1:], strict=True))
    return Location(
        options=sort_options(given[0].items()), delegationid=delegationid, locations=(*url.locations, *others)
    )


def _other(a: Attribute, at: int, name: str, text: str) -> Url:
    try:
        return parse_url(text)
    except ValueError as exc:
        a.source.fail(f"Invalid URL '{text[:80]}' in file '{name[:80]}': {exc}", at)


def with_option(location: _Place, name: str, value: str) -> _Place:
    """The same place, with one more option if that has a value."""
    return replace(location, options=sort_options((*location.options, (name, value)))) if value else location
