"""``arcrenew``: renew the credentials of jobs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from arex.cli import options
from arex.cli.bulk import each, on_jobs, report
from arex.cli.credential_options import credential_options, use
from arex.cli.output import say
from arex.cli.select import Chosen
from arex.cli.site import Site
from arex.model.ids import JobId


@click.command(context_settings=options.CONTEXT)
@credential_options
@on_jobs
def command(site: Site, jobs: Sequence[Chosen], *, proxy: Path | None, token: Path | None, as_json: bool) -> int:
    """
    Renew the credentials of jobs with your current proxy or token.

    Jobs that share a credential are renewed together. Jobs that waited for the renewal continue.
    """
    use(site, proxy, token)
    sharing: set[JobId] = set()

    def renew(job: Chosen) -> None:
        sharing.update(site.plugin.renew(job.id))

    tally = each(site, jobs, renew)
    others = len(sharing - {job.id for job in tally.done})
    summary = f"Jobs processed: {tally.processed}, renewed: {len(tally.done)}"
    report(tally, summary, as_json=as_json, sharing=sorted(sharing))
    if others and not as_json:
        say(f"Other jobs that share the credential and have the new one, too: {others}")
    return tally.exit_code
