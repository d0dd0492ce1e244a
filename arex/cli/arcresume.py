"""``arcresume``: rerun failed jobs."""

from __future__ import annotations

import click

from arex.cli import options
from arex.cli.bulk import on_jobs, request
from arex.cli.select import Chosen
from arex.cli.site import Site


@click.command(context_settings=options.CONTEXT)
@on_jobs
def command(site: Site, jobs: list[Chosen], *, as_json: bool) -> int:
    """Rerun failed jobs from the state in which they failed, if they have reruns left."""
    return request(site, jobs, site.plugin.restart, "resumed", as_json=as_json)
