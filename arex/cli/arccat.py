"""``arccat``: print standard output, standard error, the log or any other file of jobs."""

from __future__ import annotations

import sys

import click

from arex.cli import options
from arex.cli.bulk import chosen_value, each, on_jobs
from arex.cli.output import document, failure
from arex.cli.select import Chosen
from arex.cli.site import Site
from plugins.local.view import Output


@click.command(context_settings=options.CONTEXT)
@click.option(
    "-o", "--stdout", "what", flag_value="stdout", default="stdout", help="Print the standard output (default)."
)
@click.option("-e", "--stderr", "what", flag_value="stderr", help="Print the standard error.")
@click.option("-l", "--joblog", "what", flag_value="log", help="Print the log of the service about the job.")
@click.option("-f", "--file", "file", help="Print this file of the session directory.")
@click.option("-F", "--follow", "followed", is_flag=True, help="Continue to print new output until the job has ended.")
@on_jobs
def command(site: Site, jobs: list[Chosen], *, what: str, file: str | None, followed: bool, as_json: bool) -> int:
    """Print the output or another file of jobs."""
    asked: Output | str = file or Output(what)
    texts: dict[str, str] = {}

    def cat(job: Chosen) -> None:
        pieces = site.plugin.cat(job.id, asked, followed=followed and not as_json)
        if as_json:
            texts[job.id] = b"".join(pieces).decode("utf-8", "replace")
            return
        for piece in pieces:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()

    sys.stdout.flush()
    tally = each(site, jobs, cat)
    if as_json:
        document(
            jobs=[chosen_value(job, content=texts[job.id]) for job in tally.done],
            errors=[failure(why, job=job.id, name=job.name) for job, why in tally.failed],
        )
    return tally.exit_code
