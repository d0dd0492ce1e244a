"""``arcrm``: remove files at servers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from arex.cli import options
from arex.cli.data import IGNORED, data_options, run, url_of
from arex.cli.output import document, failure, printable, remark, say

if TYPE_CHECKING:
    from arex.staging.remote.access import RemoteAccess


@click.command(context_settings=options.CONTEXT)
@click.argument("urls", nargs=-1, required=True, metavar="URL...")
@click.option("-f", "--force", is_flag=True, expose_value=False, help=IGNORED)
@data_options
def command(*, urls: tuple[str, ...], as_json: bool, config: Path | None, timeout: int) -> int:
    """Remove files and empty directories. A URL is of a server, or a path on this host."""
    removed, failed = run(config, timeout, lambda access: _remove(access, urls))
    for _, why in failed:
        remark(f"ERROR: {printable(why)}")
    if as_json:
        document(removed=removed, errors=[failure(why, source=name) for name, why in failed])
    elif len(urls) > 1 and failed:
        say(f"{len(failed)} deletions failed")
    return 1 if failed else 0


async def _remove(access: RemoteAccess, urls: tuple[str, ...]) -> tuple[list[str], list[tuple[str, str]]]:
    from arex.errors import StagingError  # noqa: PLC0415 - not needed for the help

    removed, failed = [], []
    for text in urls:
        try:
            url = url_of(text)
            await access.remove(url)
            removed.append(url.shown)
        except StagingError as exc:
            failed.append((text, str(exc)))
    return removed, failed
