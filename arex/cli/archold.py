"""``archold`` and ``arcrelease``: keep jobs from starting, and let them start again."""

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
    """Hold jobs that have not started, in arex and in the batch system. Use arcrelease to end the hold."""
    del timeout
    return _ask(Site(config, joblist, debug), JobSelection(**wanted), as_json=as_json, release=False)  # type: ignore[arg-type]


@click.command(context_settings=options.CONTEXT)
@options.selection
@options.common
def release(
    *,
    as_json: bool,
    config: Path | None,
    timeout: int | None,
    debug: int,
    joblist: Path | None,
    **wanted: object,
) -> int:
    """Release jobs that archold holds, so that they can start."""
    del timeout
    return _ask(Site(config, joblist, debug), JobSelection(**wanted), as_json=as_json, release=True)  # type: ignore[arg-type]


def _ask(site: Site, wanted: JobSelection, *, as_json: bool, release: bool) -> int:
    def ask(job: Chosen) -> None:
        (site.plugin.release if release else site.plugin.hold)(job.id)

    tally = each(site, choose(site, wanted), ask)
    if tally.done:
        site.mention_daemon()
    asked = "released" if release else "held"
    report(tally, f"Jobs processed: {tally.processed}, asked to be {asked}: {len(tally.done)}", as_json=as_json)
    return tally.exit_code
