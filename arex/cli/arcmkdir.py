"""``arcmkdir``: create a directory at a server."""

from __future__ import annotations

from pathlib import Path

import click

from arex.cli import options
from arex.cli.data import data_options, run, url_of
from arex.cli.output import document


@click.command(context_settings=options.CONTEXT)
@click.argument("url")
@click.option("-p", "--parents", is_flag=True, help="Also create missing directories above it.")
@data_options
def command(*, url: str, parents: bool, as_json: bool, config: Path | None, timeout: int) -> int:
    """Create a directory. It is no error if it exists already."""
    place = url_of(url)
    run(config, timeout, lambda access: access.make_directory(place, parents=parents))
    if as_json:
        document(created=[place.shown])
    return 0
