"""``arcrename``: rename a file or directory at a server."""

from __future__ import annotations

from pathlib import Path

import click

from arex.cli import options
from arex.cli.data import data_options, run, url_of
from arex.cli.output import document


@click.command(context_settings=options.CONTEXT)
@click.argument("old_url")
@click.argument("new_url")
@data_options
def command(*, old_url: str, new_url: str, as_json: bool, config: Path | None, timeout: int) -> int:
    """
    Rename a file or directory within one server. Other objects cannot be renamed: copy and remove them.

    As with mv, an existing file NEW_URL is replaced. A directory is never replaced.
    """
    old, new = url_of(old_url), url_of(new_url)
    run(config, timeout, lambda access: access.rename(old, new))
    if as_json:
        document(renamed=[{"source": old.shown, "target": new.shown}])
    return 0
