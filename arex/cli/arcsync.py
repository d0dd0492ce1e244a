"""``arcsync``: rebuild the list of jobs from the control directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from arex.cli import options
from arex.cli.jobvalue import job_value
from arex.cli.output import document, say
from arex.cli.site import Site
from arex.errors import ArexError
from arex.userjobs.joblist import JobListError, Row, local_row
from plugins.local.status import JobStatus


@click.command(context_settings=options.CONTEXT)
@click.option("-f", "--force", is_flag=True, help="Do not ask for confirmation.")
@click.option(
    "-T",
    "--truncate",
    is_flag=True,
    help="Empty the list of jobs first, including jobs at other services. A list that cannot be used is moved aside.",
)
@click.option("--convert", is_flag=True, hidden=True)
@click.option("-C", "--computing-element", "elements", multiple=True, help="Target host; only this host is supported.")
@click.option("-c", "--cluster", multiple=True, help="Same as -C; accepted for compatibility with ARC 5.")
@click.option("-Y", "--registry", multiple=True, help="Not supported: arex does not use registries.")
@click.option("-g", "--index", multiple=True, help="Same as -Y; accepted for compatibility with ARC 5.")
@options.joblist
@options.common
def command(
    *,
    force: bool,
    truncate: bool,
    convert: bool,
    elements: tuple[str, ...],
    cluster: tuple[str, ...],
    registry: tuple[str, ...],
    index: tuple[str, ...],
    joblist: Path | None,
    as_json: bool,
    config: Path | None,
    timeout: int | None,
    debug: int,
) -> int:
    """Add all jobs of this user on this host to the list of jobs."""
    del timeout, convert
    site = Site(config, joblist, debug)
    options.require_local(
        site, types=(), info_types=(), elements=(*elements, *cluster), registries=bool(registry or index)
    )
    if truncate and not force:
        click.confirm(f"Empty {site.joblist.path} first?", abort=True, err=True)
    moved = _without_broken_list(site) if truncate else None
    found = sorted(_rows(site), key=lambda pair: int(pair[0]["localsubmissiontime"] or 0))
    rows = [row for row, _ in found]
    if truncate and moved is None:
        site.joblist.clear()
    listed = {row["id"] for row in site.joblist.all()}
    site.joblist.add(row for row in rows if row["id"] not in listed)
    if as_json:
        document(jobs=[job_value(status, url=row["id"], name=row["name"]) for row, status in found])
    else:
        say(f"Total number of jobs found: {len(rows)}")
        say(f"Total number of jobs in the list: {len(site.joblist.all())}")
    return 0


def _without_broken_list(site: Site) -> Path | None:
    """The new name of the list of jobs if it could not be used; None if it can."""
    try:
        site.joblist.brief()
    except JobListError as exc:
        if not exc.is_broken:
            raise
        aside = site.joblist.move_aside()
        site.warn(f"the list of jobs was not usable and is now {aside}; jobs at other services are only in that file")
        return aside
    return None


def _rows(site: Site) -> Iterator[tuple[Row, JobStatus]]:
    """A row for every job on this host; the existing row if the job is already in the list."""
    known = {row["id"]: row for row in site.joblist.all()}
    for status in site.plugin.status(site.plugin.jobs()):
        if isinstance(status, ArexError) or status.sessiondir is None:
            continue
        yield known.get(status.url) or _row(site, status, status.sessiondir), status


def _row(site: Site, status: JobStatus, session: Path) -> Row:
    document, stdio = _description(site, status)
    return local_row(
        id_=status.id,
        session=str(session),
        name=status.name,
        document=document,
        submitted=int(status.submitted.timestamp()) if status.submitted else 0,
        stdio=stdio,
    )


def _description(site: Site, status: JobStatus) -> tuple[str, tuple[str, str, str]]:
    """The description as xRSL, and the names of the standard streams; empty if it cannot be parsed."""
    from arex.jobdesc import DescriptionDialect, parse  # noqa: PLC0415 - ADL needs an XML library
    from arex.jobdesc.xrsl.writer import write_xrsl  # noqa: PLC0415

    try:
        [job, *_] = parse(site.plugin.store.read(status.id, "description") or b"", DescriptionDialect.GRIDMANAGER)
    except (ArexError, OSError) as exc:
        site.warn(f"{status.url}: {exc}")
        return "", ("", "", "")
    return write_xrsl(job), (job.stdin, job.stdout, job.stderr)
