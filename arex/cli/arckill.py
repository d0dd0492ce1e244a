"""``arckill``: cancel jobs."""

from __future__ import annotations

from pathlib import Path

import click

from arex.cli import options
from arex.cli.bulk import each, report
from arex.cli.select import Chosen, JobSelection, choose
from arex.cli.site import Site


@click.command(context_settings=options.CONTEXT)
@click.option("-k", "--keep", is_flag=True, help="Keep the files of the jobs.")
@options.selection
@options.common
def command(
    *,
    keep: bool,
    as_json: bool,
    config: Path | None,
    timeout: int | None,
    debug: int,
    joblist: Path | None,
    **wanted: object,
) -> int:
    """Cancel jobs. Without -k, their files are removed after they have ended."""
    del timeout
    site = Site(config, joblist, debug)
    jobs = choose(site, JobSelection(**wanted))  # type: ignore[arg-type]

    def kill(job: Chosen) -> None:
        site.plugin.kill(job.id, clean=not keep)

    tally = each(site, jobs, kill)
    if not keep:
        site.joblist.remove([job.url for job in tally.done])
    if tally.done:
        site.mention_daemon()
    cleaned = "" if keep else f", successfully cleaned: {len(tally.done)}"
    report(
        tally, f"Jobs processed: {tally.processed}, successfully killed: {len(tally.done)}{cleaned}", as_json=as_json
    )
    return tally.exit_code
