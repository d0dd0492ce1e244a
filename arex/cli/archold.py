"""``archold`` and ``arcrelease``: keep jobs from starting, and let them start again."""

from __future__ import annotations

import click

from arex.cli import options
from arex.cli.bulk import on_jobs, request
from arex.cli.select import Chosen
from arex.cli.site import Site


@click.command(context_settings=options.CONTEXT)
@on_jobs
def command(site: Site, jobs: list[Chosen], *, as_json: bool) -> int:
    """Hold jobs that have not started, in arex and in the batch system. Use arcrelease to end the hold."""
    return request(site, jobs, site.plugin.hold, "asked to be held", as_json=as_json)


@click.command(context_settings=options.CONTEXT)
@on_jobs
def release(site: Site, jobs: list[Chosen], *, as_json: bool) -> int:
    """Release jobs that archold holds, so that they can start."""
    return request(site, jobs, site.plugin.release, "asked to be released", as_json=as_json)
