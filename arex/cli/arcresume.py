"""``arcresume``: rerun failed jobs."""

from __future__ import annotations

from pathlib import Path

import click

from arex.cli import options
from arex.cli.bulk import each, report
from arex.cli.select import Chosen, JobSelection, choose
from arex.cli.site import Site


@click.command(context_settings=options.CONTEXT)
@options.selection
@options.common
def command(
    *,
    as_json: bool,
    config: Path | None,
    timeout: int | None,
    debug: int,
    joblist: Path | None,
    **wanted: object,
) -> int:
    """Rerun failed jobs from the state in which they failed, if they have reruns left."""
    del timeout
    site = Site(config, joblist, debug)
    jobs = choose(site, JobSelection(**wanted))  # type: ignore[arg-type]

    def resume(job: Chosen) -> None:
        site.plugin.restart(job.id)

    tally = each(site, jobs, resume)
    if tally.done:
        site.mention_daemon()
    report(tally, f"Jobs processed: {tally.processed}, resumed: {len(tally.done)}", as_json=as_json)
    return tally.exit_code
