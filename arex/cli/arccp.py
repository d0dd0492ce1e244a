"""``arccp``: copy files from, to and between servers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from arex.cli import options
from arex.cli.data import IGNORED, MOST_LEVELS, data_options, run, url_of
from arex.cli.output import ProgressLine, counted, document, failure, printable, remark, say, size_words

if TYPE_CHECKING:
    from arex.model.url import Url
    from arex.staging.remote.access import RemoteAccess
    from arex.staging.remote.copying import CopiedFile, Copier, Place

_OUTPUT: Final = frozenset({"-", "stdio:///stdout"})
_INPUT: Final = frozenset({"-", "stdio:///stdin"})
_NO_CATALOGUE: Final = "arccp of arex does not register files in catalogues: copy to the URL of the storage itself"


@dataclass
class _Result:
    """What has been done."""

    copied: list[CopiedFile] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)  #: source, reason


@click.command(context_settings=options.CONTEXT)
@click.argument("source")
@click.argument("destination")
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing destination.")
@click.option("-i", "--indicate", is_flag=True, help="Show the progress, on a terminal.")
@click.option(
    "-r", "--recursive", is_flag=True, help="Copy directories recursively. SOURCE and DESTINATION end with /."
)
@click.option(
    "-D",
    "--depth",
    type=click.IntRange(min=0),
    help="Copy directories recursively, at most so many levels below SOURCE.",
)
@click.option(
    "-R",
    "--retries",
    type=click.IntRange(min=0),
    default=0,
    help="Number of further tries after a temporary error (default: 0).",
)
@click.option("-p", "--passive", is_flag=True, expose_value=False, help=IGNORED)
@click.option("-n", "--nopassive", is_flag=True, expose_value=False, help=IGNORED)
@click.option("-u", "--secure", is_flag=True, expose_value=False, help=IGNORED)
@click.option("-T", "--notransfer", is_flag=True, help="Not supported: arex does not register files in catalogues.")
@click.option("-L", "--location", "locations", multiple=True, metavar="URL", help="Not supported, as -T.")
@click.option("-y", "--cache", metavar="PATH", help="Not supported: only jobs use the cache.")
@click.option("-3", "--thirdparty", is_flag=True, help="Not supported: the data passes through this host.")
@data_options
def command(
    *,
    source: str,
    destination: str,
    force: bool,
    indicate: bool,
    recursive: bool,
    depth: int | None,
    retries: int,
    notransfer: bool,
    locations: tuple[str, ...],
    cache: str | None,
    thirdparty: bool,
    as_json: bool,
    config: Path | None,
    timeout: int,
) -> int:
    """
    Copy a file. SOURCE and DESTINATION are URLs, paths on this host, or - for the standard streams.

    If DESTINATION ends with /, the file keeps its name. If both end with /, all files in the directory SOURCE are
    copied, without directories in it, unless -r or -D is used. An existing file is not overwritten without -f. The
    destination gets its name when it is complete.
    """
    if notransfer or locations:
        raise click.UsageError(_NO_CATALOGUE)
    if cache:
        raise click.UsageError("arccp of arex has no cache: jobs use the one of the service")
    if thirdparty:
        raise click.UsageError("arccp of arex makes no third-party transfers: leave out -3, and the data passes here")
    if as_json and destination in _OUTPUT:
        raise click.UsageError("--json cannot be used with standard output as the destination")
    levels = MOST_LEVELS if recursive and depth is None else depth or 0
    line = ProgressLine(shown=indicate)
    try:
        result = run(
            config,
            timeout,
            lambda access: _copy(access, source, destination, levels, force=force, line=line),
            retries=retries,
        )
    finally:
        line.clear()
    for _, why in result.failed:
        remark(f"ERROR: {printable(why)}")
    if as_json:
        errors = [failure(why, source=name) for name, why in result.failed]
        document(copied=result.copied, size=sum(each.size for each in result.copied), errors=errors)
    elif indicate and destination not in _OUTPUT:
        say(f"{counted(len(result.copied), 'file')} copied, {size_words(sum(each.size for each in result.copied))}")
    return 1 if result.failed else 0


async def _copy(
    access: RemoteAccess, source: str, destination: str, levels: int, *, force: bool, line: ProgressLine
) -> _Result:
    from arex.errors import StagingError  # noqa: PLC0415 - not needed for the help
    from arex.staging.remote.copying import Copier, Stdio  # noqa: PLC0415

    copier = Copier(access=access, overwrite=force)
    _show(copier, line)
    result = _Result()
    try:
        here: Place = Stdio() if source in _INPUT else url_of(source)
        there: Place = Stdio() if destination in _OUTPUT else url_of(destination)
        if not isinstance(here, Stdio) and here.path.endswith("/"):
            await _copy_tree(copier, here, there, levels, result)
        else:
            result.copied.append(await copier.copy(here, _named(here, there)))
    except StagingError as exc:
        result.failed.append((source, str(exc)))
    return result


def _show(copier: Copier, line: ProgressLine) -> None:
    current = ""

    def began(place: Place) -> None:
        nonlocal current
        current = printable(place.shown.rpartition("/")[2])  # a whole URL seldom fits in the line

    def progress(done: int, total: int | None) -> None:
        of = "" if total is None else f" of {size_words(total)}"
        line.show(f"{size_words(done)}{of}  {current}")

    copier.began, copier.progress = began, progress


def _named(source: Place, target: Place) -> Place:
    """The target, with the name of the source if it ends with a slash."""
    from arex.model.url import Url  # noqa: PLC0415 - not needed for the help
    from arex.staging.remote.access import RemoteError  # noqa: PLC0415
    from arex.staging.remote.base import below, is_directory_url, last_name  # noqa: PLC0415

    if not isinstance(target, Url) or not (is_directory_url(target) or _is_local_directory(target)):
        return target
    name = last_name(source) if isinstance(source, Url) else ""
    if not name:
        raise RemoteError(target.shown, "name the file in this directory too")
    return below(target, name)


def _is_local_directory(url: Url) -> bool:
    from arex.staging.url import local_path  # noqa: PLC0415 - not needed for the help

    return url.scheme == "file" and local_path(url).is_dir()


async def _copy_tree(copier: Copier, source: Place, target: Place, levels: int, result: _Result) -> None:
    from arex.model.url import Url  # noqa: PLC0415 - not needed for the help
    from arex.staging.remote.access import RemoteError  # noqa: PLC0415
    from arex.staging.remote.base import is_directory_url  # noqa: PLC0415

    if not isinstance(source, Url) or not isinstance(target, Url) or not is_directory_url(target):
        raise RemoteError(target.shown, "a directory can only be copied to a directory: end it with /")
    async for each in copier.tree(source, target, levels):
        if isinstance(each, RemoteError):
            result.failed.append((each.where, str(each)))
        else:
            result.copied.append(each)
    for name in copier.skipped:
        remark(f"WARNING: {printable(name)}: neither a file nor a directory; not copied")
