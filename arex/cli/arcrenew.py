"""``arcrenew``: fresh credentials for jobs."""

from __future__ import annotations

from pathlib import Path

import click

from arex.cli import options
from arex.cli.bulk import each, report
from arex.cli.select import Chosen, Wanted, choose
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
    """Give jobs the present proxy in place of the one that they were submitted with."""
    del timeout
    site = Site(config, joblist, debug)
    jobs = choose(site, Wanted(**wanted))  # type: ignore[arg-type]

    def renew(job: Chosen) -> None:
        site.plugin.renew(job.id)

    tally = each(site, jobs, renew)
    report(tally, f"Jobs processed: {tally.processed}, renewed: {len(tally.done)}", as_json=as_json)
    return tally.exit_code
