"""``arcclean``: remove jobs that have ended."""

from __future__ import annotations

import click

from arex.cli import options
from arex.cli.bulk import each, on_jobs, report
from arex.cli.leaving import Leaving
from arex.cli.select import Chosen
from arex.cli.site import Site
from arex.errors import NoSuchJob
from plugins.local.status import JobStatus


@click.command(context_settings=options.CONTEXT)
@click.option("-f", "--force", is_flag=True, help="Also remove jobs that no longer exist from the list of jobs.")
@on_jobs
def command(site: Site, jobs: list[Chosen], *, force: bool, as_json: bool) -> int:
    """Remove jobs that have ended, with all their files on this host."""
    leaving = Leaving(site)

    def clean(job: Chosen) -> None:
        if force and isinstance(job.status, NoSuchJob):
            site.joblist.remove([job.url])
            return
        site.plugin.clean(job.id)
        leaving.note(job, "removed")

    try:
        tally = each(site, jobs, clean, gone_is_fine=force)
    finally:
        leaving.close()
    if any(isinstance(job.status, JobStatus) for job in tally.done):
        site.mention_daemon()
    report(tally, f"Jobs processed: {tally.processed}, deleted: {len(tally.done)}", as_json=as_json)
    return tally.exit_code
