"""``arcls``: list the files in the session directories of jobs, and at URLs."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from arex.cli import complete, options
from arex.cli.data import TIMEOUT_S
from arex.cli.output import document, failure, local_time, printable, say
from arex.cli.select import JobSelection, choose
from arex.cli.site import Site
from arex.cli.urllisting import MOST_LEVELS, ListingWish, show
from arex.errors import ArexError
from arex.model.ids import is_job_id
from plugins.local.session import SessionEntry

if TYPE_CHECKING:
    from arex.staging.remote.base import RemoteEntry

_TYPES = {"file": stat.S_IFREG, "directory": stat.S_IFDIR, "link": stat.S_IFLNK, "other": 0}


@click.command(context_settings=options.CONTEXT)
@click.argument("places", nargs=-1, required=True, metavar="JOB[/PATH]|URL...", shell_complete=complete.job)
@click.option("-l", "--long", is_flag=True, help="Also print type, size and time; for jobs, the mode too.")
@click.option("-L", "--locations", is_flag=True, help="Also print the URL of each file. Only for URLs.")
@click.option("-m", "--metadata", is_flag=True, help="Print everything that the server says. Only for URLs.")
@click.option("-r", "--recursive", is_flag=True, help="List subdirectories recursively.")
@click.option(
    "-D",
    "--depth",
    type=click.IntRange(min=0),
    help="List subdirectories recursively, at most so many levels. Only for URLs.",
)
@click.option("-n", "--nolist", is_flag=True, help="Show the directory itself, not what is in it. Only for URLs.")
@click.option("-f", "--forcelist", is_flag=True, help="Fail if the URL is not a directory. Only for URLs.")
@click.option("-c", "--checkaccess", is_flag=True, help="Only check that the file can be read. Only for URLs.")
@options.joblist
@options.common
def command(
    *,
    places: tuple[str, ...],
    long: bool,
    locations: bool,
    metadata: bool,
    recursive: bool,
    depth: int | None,
    nolist: bool,
    forcelist: bool,
    checkaccess: bool,
    joblist: Path | None,
    as_json: bool,
    config: Path | None,
    timeout: int | None,
    debug: int,
) -> int:
    """
    List the session directory of jobs, or PATH in it, or files at URLs.

    JOB is a URL, an id or a name. URL is one of a server, or a path on this host that begins with / or a dot.
    """
    site = Site(config, joblist, debug)
    found: dict[str, list[SessionEntry] | list[RemoteEntry]] = {}
    failed: list[tuple[str, str]] = []
    wish = ListingWish(
        long=long,
        metadata=metadata,
        locations=locations,
        levels=MOST_LEVELS if recursive and depth is None else depth or 0,
        only_itself=nolist,
        as_directory=forcelist,
        only_access=checkaccess,
    )
    urls = [place for place in places if _is_remote(site, place)]
    for place in places:
        if place in urls:
            continue
        try:
            entries = _entries(site, place, recursive=recursive)
            if as_json:
                of_job: list[SessionEntry] = []
                found[place] = of_job
                of_job.extend(entries)  # all up to an error
            else:
                _show(entries, heading=place if len(places) > 1 else "", long=long)
        except (ArexError, OSError) as exc:
            site.error(f"{place}: {exc}")
            failed.append((place, str(exc)))
    for listing in show(urls, wish, config, timeout or TIMEOUT_S, quiet=as_json) if urls else ():
        if listing.errors:
            failed += [(listing.place, why) for why in listing.errors]
        else:
            found[listing.place] = listing.entries
    if as_json:
        document(
            directories=[{"place": place, "entries": entries} for place, entries in found.items()],
            errors=[failure(why, source=place) for place, why in failed],
        )
    return 1 if failed else 0


def _is_remote(site: Site, place: str) -> bool:
    """Whether a place is no job: a URL of a server, or a file on this host outside the session directories."""
    if place.startswith(("/", "./", "../")) or place in {".", ".."}:
        return True
    if place.startswith("file:"):
        return divide(site, place) == (place, "")
    return "://" in place


def _entries(site: Site, place: str, *, recursive: bool) -> Iterator[SessionEntry]:
    job, name = divide(site, place)
    [chosen] = choose(site, JobSelection(jobs=[job]))[:1]
    return site.plugin.listing(chosen.id, name, recursive=recursive)


def divide(site: Site, place: str) -> tuple[str, str]:
    """Split ``JOB/PATH`` or ``file://SESSION/PATH`` into the job and the path in its session directory."""
    if not place.startswith("file:"):
        job, _, name = place.partition("/")
        return job, name
    path = "/" + place.removeprefix("file:").lstrip("/")
    for entry in site.config.arex.sessiondir:
        below = path.removeprefix(f"{entry.path}/")
        job, _, name = below.partition("/")
        if below != path and is_job_id(job):
            return job, name
    return place, ""


def _show(entries: Iterable[SessionEntry], *, heading: str, long: bool) -> None:
    if heading:
        say(f"{printable(heading)}:")
    for entry in entries:
        name = printable(entry.name) + ("/" if entry.kind == "directory" else "")
        if long:
            mode = stat.filemode(_TYPES[entry.kind] | entry.mode)
            say(f"{mode} {entry.size:>12} {local_time(entry.modified)} {name}")
        else:
            say(name)
