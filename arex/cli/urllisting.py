"""``arcls URL``: list files at servers, in the form of ARC's ``arcls``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arex.cli.data import run, url_of
from arex.cli.output import printable, remark, say
from arex.errors import StagingError

if TYPE_CHECKING:
    from arex.model.url import Url
    from arex.staging.remote.access import RemoteAccess
    from arex.staging.remote.base import RemoteEntry

#: Deepest level of a recursive listing; links of servers can lead in circles.
MOST_LEVELS: Final = 100
_UNKNOWN: Final = "(n/a)"
#: ARC's words.
_TYPES: Final = {"file": "file", "directory": "dir", "other": "unknown"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingWish:
    """What is asked for, by the options of ARC."""

    long: bool = False
    metadata: bool = False
    locations: bool = False
    levels: int = 0  #: of directories in the directory
    only_itself: bool = False
    as_directory: bool = False
    only_access: bool = False


@dataclass(slots=True)
class UrlListing:
    """A directory, or the file itself, and what failed."""

    place: str
    entries: list[RemoteEntry] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def show(
    places: Sequence[str], wish: ListingWish, config: Path | None, timeout: int, *, quiet: bool
) -> list[UrlListing]:
    """List URLs, and print them as they are found unless ``quiet``."""
    found: list[UrlListing] = []

    def take(listing: UrlListing, heading: str) -> None:
        found.append(listing)
        if not quiet:
            _print(listing, heading, wish)

    run(config, timeout, lambda access: _all(access, places, wish, take))
    return found


async def _all(
    access: RemoteAccess, places: Sequence[str], wish: ListingWish, take: Callable[[UrlListing, str], None]
) -> None:
    for text in places:
        try:
            url = url_of(text)
            if wish.only_access:
                await _check(access, url)
                take(UrlListing(url.shown), "")
            else:
                await _one(access, url, wish, take, printable(url.shown) if len(places) > 1 else "")
        except StagingError as exc:
            take(UrlListing(text, errors=[str(exc)]), "")


async def _check(access: RemoteAccess, url: Url) -> None:
    """Raises RemoteError: a file cannot be read, or a directory cannot be listed."""
    from arex.staging.remote.base import EntryKind  # noqa: PLC0415 - start-up time

    if (await access.look(url)).kind is EntryKind.DIRECTORY:
        await access.entries(url)
        return
    mover = await access.mover(url)
    await access.tried(url, lambda: mover.stat(access.place(url)))


async def _one(
    access: RemoteAccess, url: Url, wish: ListingWish, take: Callable[[UrlListing, str], None], heading: str
) -> None:
    from arex.staging.remote.base import EntryKind, below  # noqa: PLC0415 - start-up time

    if not wish.as_directory:
        itself = await access.look(url)
        if wish.only_itself or itself.kind is not EntryKind.DIRECTORY:
            take(UrlListing(url.shown, [itself]), heading)
            return
    entries = await access.entries(url)
    take(UrlListing(url.shown, entries), heading)
    for entry in entries if wish.levels > 0 else ():
        if entry.kind is EntryKind.DIRECTORY:
            inside = below(url, entry.name)
            deeper = ListingWish(long=wish.long, metadata=wish.metadata, levels=wish.levels - 1, as_directory=True)
            try:
                await _one(access, inside, deeper, take, f"\n{printable(inside.shown)}")
            except StagingError as exc:
                take(UrlListing(inside.shown, errors=[str(exc)]), "")


def _print(listing: UrlListing, heading: str, wish: ListingWish) -> None:
    if listing.errors:
        for why in listing.errors:
            remark(f"ERROR: {printable(why)}")
        return
    if wish.only_access:
        say(f"{printable(listing.place)} - passed")
        return
    if heading:
        say(f"{heading}:")
    if wish.long:
        _print_table(listing.entries)
        return
    for entry in listing.entries:
        say(printable(entry.name))
        if wish.locations:
            say(f"\t{printable(listing.place)}")
        for name, value in _metadata(entry) if wish.metadata else ():
            say(f"{name}:{value}")


def _metadata(entry: RemoteEntry) -> list[tuple[str, str]]:
    return [
        *([("checksum", entry.checksum)] if entry.checksum else []),
        *([("mtime", _time(entry.modified))] if entry.modified else []),
        ("name", printable(entry.name)),
        *([("size", str(entry.size))] if entry.size is not None else []),
        ("type", _TYPES[entry.kind]),
    ]


def _print_table(entries: list[RemoteEntry]) -> None:
    rows = [
        (
            printable(entry.name),
            _TYPES[entry.kind],
            _UNKNOWN if entry.size is None else str(entry.size),
            _UNKNOWN if entry.modified is None else _time(entry.modified),
            printable(entry.checksum) or _UNKNOWN,
            _UNKNOWN,
        )
        for entry in entries
    ]
    titles = ("<Name>", "<Type>", "<Size>", "<Modified>", "<CheckSum>", "<Latency>")
    widths = [max(len(row[column]) for row in (titles, *rows)) for column in range(len(titles))]
    for row in (titles, *rows):
        first, *others = (f"{text:<{width}}" if not column else f"{text:>{width}}"
                          for column, (text, width) in enumerate(zip(row, widths, strict=True)))  # fmt: skip
        say(" ".join((first, *others)).rstrip())


def _time(moment: datetime) -> str:
    """As ARC prints it, in the local time zone."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
