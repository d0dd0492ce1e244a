"""``arcls``: list the files in the session directories of jobs."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from arex.cli import complete, options
from arex.cli.output import document, failure, local_time, printable, say
from arex.cli.select import JobSelection, choose
from arex.cli.site import Site
from arex.errors import ArexError
from arex.model.ids import is_job_id
from plugins.local.session import SessionEntry

_TYPES = {"file": stat.S_IFREG, "directory": stat.S_IFDIR, "link": stat.S_IFLNK, "other": 0}


@click.command(context_settings=options.CONTEXT)
@click.argument("places", nargs=-1, required=True, metavar="JOB[/PATH]...", shell_complete=complete.job)
@click.option("-l", "--long", is_flag=True, help="Also print mode, size and time.")
@click.option("-r", "--recursive", is_flag=True, help="List subdirectories recursively.")
@options.joblist
@options.common
def command(
    *,
    places: tuple[str, ...],
    long: bool,
    recursive: bool,
    joblist: Path | None,
    as_json: bool,
    config: Path | None,
    timeout: int | None,
    debug: int,
) -> int:
    """List the session directory of jobs, or PATH in it. JOB is a URL, an id or a name."""
    del timeout
    site = Site(config, joblist, debug)
    found: dict[str, list[SessionEntry]] = {}
    failed: list[tuple[str, str]] = []
    for place in places:
        try:
            entries = _entries(site, place, recursive=recursive)
            if as_json:
                found[place] = []
                found[place].extend(entries)  # all up to an error
            else:
                _show(entries, heading=place if len(places) > 1 else "", long=long)
        except (ArexError, OSError) as exc:
            site.error(f"{place}: {exc}")
            failed.append((place, str(exc)))
    if as_json:
        document(
            directories=[{"place": place, "entries": entries} for place, entries in found.items()],
            errors=[failure(why, source=place) for place, why in failed],
        )
    return 1 if failed else 0


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
