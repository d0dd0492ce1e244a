"""``arckill``: cancel jobs."""

from __future__ import annotations

import click

from arex.cli import options
from arex.cli.bulk import each, on_jobs, report
from arex.cli.leaving import CANCELED, Leaving
from arex.cli.select import Chosen
from arex.cli.site import Site


@click.command(context_settings=options.CONTEXT)
@click.option("-k", "--keep", is_flag=True, help="Keep the files of the jobs.")
@on_jobs
def command(site: Site, jobs: list[Chosen], *, keep: bool, as_json: bool) -> int:
    """Cancel jobs. Without -k, their files are removed after they have ended."""
    leaving = Leaving(site)

    def kill(job: Chosen) -> None:
        site.plugin.kill(job.id, clean=not keep)
        if not keep:
            leaving.note(job, CANCELED)

    try:
        tally = each(site, jobs, kill)
    finally:
        leaving.close()
    if tally.done:
        site.mention_daemon("the jobs are canceled and removed as soon as it is started")
    cleaned = "" if keep else f", successfully cleaned: {len(tally.done)}"
    report(
        tally, f"Jobs processed: {tally.processed}, successfully killed: {len(tally.done)}{cleaned}", as_json=as_json
    )
    return tally.exit_code
