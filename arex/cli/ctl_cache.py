"""``arexctl cache list | stats | clean``."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import click

from arex.cli.options import CONTEXT, config_option, json_option
from arex.cli.output import document, local_time, plain, printable, remark, say, size_words
from arex.cli.service import read_config
from arex.clock import SystemClock
from arex.controldir.layout import LAYOUTS
from arex.controldir.store import ControlDir
from arex.errors import ServiceError
from arex.staging.disk.cache import cached_files
from arex.staging.disk.cleaning import Cleaned, Cleaner


@click.group("cache", context_settings=CONTEXT)
def group() -> None:
    """Show and clean the cache of input files."""


def _cleaner(config_file: Path | None) -> Cleaner:
    config = read_config(config_file)
    if not config.cache.cachedir:
        raise ServiceError("no cache is configured: set cachedir in [arex/cache], see 'arex config explain cachedir'")
    store = ControlDir(LAYOUTS[config.service.layout](config.arex.controldir))
    return Cleaner(config, SystemClock(), is_live=store.is_live)


@group.command("list")
@config_option
@click.option(
    "--used-before",
    metavar="DAYS",
    type=click.FloatRange(min=0),
    help="List only files that were not used for DAYS days.",
)
@click.argument("pattern", default="")
@json_option
def list_(config_file: Path | None, *, used_before: float | None, pattern: str, as_json: bool) -> None:
    """List cached files, the least recently used first. With PATTERN, only files whose URL contains it."""
    cleaner = _cleaner(config_file)
    now = datetime.now(UTC)  # noqa: TID251 - a command for people, the service is not involved
    files = [
        file
        for root in cleaner.roots
        for file in cached_files(root)
        if pattern in file.url and (used_before is None or (now - file.used).total_seconds() > used_before * 86400)
    ]
    files.sort(key=lambda file: file.used)
    if as_json:
        document(files=files)
        return
    for file in files:
        use = "in use" if file.linked else ""
        say(f"{local_time(file.used)}  {size_words(file.size):>8}  {use:6}  {printable(file.url)}")
    remark(f"{len(files)} files, {size_words(sum(file.size for file in files))}")


@group.command()
@config_option
@json_option
def stats(config_file: Path | None, *, as_json: bool) -> None:
    """Print the fill level of each cache directory."""
    cleaner = _cleaner(config_file)
    fills = [cleaner.fill(root) for root in cleaner.roots if root.is_dir()]
    if as_json:
        document(caches=[{**plain(fill), "percent": round(fill.percent, 2)} for fill in fills])
        return
    for fill in fills:
        say(
            f"{fill.root}: {fill.files} files, {size_words(fill.size)}, {fill.linked} used by jobs; "
            f"full: {size_words(fill.used)} of {size_words(fill.total)} ({fill.percent:.1f} %)"
        )
    for root in cleaner.roots:
        if not root.is_dir():
            say(f"{root}: does not exist yet; it is created with the first cached file")


@group.command()
@config_option
@click.option("--dry-run", "-n", is_flag=True, help="Only print what would be removed.")
@click.option("--all", "everything", is_flag=True, help="Remove all files that no job uses, at any fill level.")
@json_option
def clean(config_file: Path | None, *, dry_run: bool, everything: bool, as_json: bool) -> None:
    """Remove files that exceed cachesize or cachelifetime. Files that unfinished jobs use are kept."""
    cleaned = asyncio.run(_cleaner(config_file).clean(dry_run=dry_run, everything=everything))
    if as_json:
        document(**plain(cleaned), size=cleaned.size, dry_run=dry_run)
        return
    for file in cleaned.files if dry_run else ():
        say(f"{size_words(file.size):>8}  {printable(file.url)}")
    say(_summary(cleaned, "would be removed" if dry_run else "removed"))
    if not cleaned.in_time:
        remark("stopped by cachecleantimeout before everything was cleaned; run the command again")


def _summary(cleaned: Cleaned, what: str) -> str:
    more = [
        f"{len(found)} {name}"
        for found, name in (
            (cleaned.parts, "parts of abandoned transfers"),
            (cleaned.joblinks, "directories of job links"),
        )
        if found
    ]
    return f"{', '.join([f'{len(cleaned.files)} files ({size_words(cleaned.size)})', *more])} {what}"
