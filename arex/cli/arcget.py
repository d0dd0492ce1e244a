"""``arcget``: copy the results of jobs that have ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from arex.cli import options
from arex.cli.bulk import each, on_jobs, report
from arex.cli.output import printable, say
from arex.cli.select import Chosen
from arex.cli.site import Site
from arex.errors import ArexError
from plugins.local.status import JobStatus

#: How many files that cannot be read are shown for a job.
_MOST_SHOWN: Final = 20


class Incomplete(ArexError):
    """Some files of a job could not be read; the others have been copied, and the job is kept."""

    def __init__(self, unreadable: Sequence[tuple[str, str]]) -> None:
        shown = [f"{printable(name)}: {why}" for name, why in unreadable[:_MOST_SHOWN]]
        more = len(unreadable) - len(shown)
        super().__init__(
            "cannot be read, and is not copied: " + "; ".join([*shown, *([f"{more} more"] if more else [])])
        )


@click.command(context_settings=options.CONTEXT)
@click.option("-k", "--keep", is_flag=True, help="Do not remove the jobs.")
@click.option(
    "-D",
    "--dir",
    "directory",
    type=click.Path(path_type=Path),
    help="Store the results in DIR/JOBID (default: ./JOBID).",
)
@click.option("-J", "--usejobname", is_flag=True, help="Store the results in DIR/JOBNAME instead of DIR/JOBID.")
@click.option("-f", "--force", is_flag=True, help="Overwrite existing results.")
@on_jobs
def command(
    site: Site,
    jobs: list[Chosen],
    *,
    keep: bool,
    directory: Path | None,
    usejobname: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Copy the results of jobs that have ended, then remove the jobs from this host."""
    base = directory or Path.cwd()
    results: list[str] = []

    def get(job: Chosen) -> None:
        name = job.name if usejobname and is_file_name(job.name) else job.id
        done = site.plugin.fetch(job.id, base / name, force=force)
        results.append(str(done.path))
        for skipped in done.skipped:
            site.warn(
                f"{job.url}: {printable(skipped)} is not copied: not a regular file, or a link to outside the "
                f"session directory"
            )
        if not as_json:
            say(f"Results stored at: {done.path}")
        if done.unreadable:
            raise Incomplete(done.unreadable)

    tally = each(site, jobs, get)
    cleaned = 0 if keep else clean(site, [job for job in tally.done if isinstance(job.status, JobStatus)])
    summary = f"Jobs processed: {tally.processed}, successfully retrieved: {len(tally.done)}"
    if not keep:
        summary += f", successfully cleaned: {cleaned}"
    report(tally, summary, as_json=as_json, results=results, cleaned=cleaned)
    return tally.exit_code


def clean(site: Site, jobs: Sequence[Chosen]) -> int:
    """Remove the copied jobs from the service; returns their number."""
    tally = each(site, jobs, lambda job: site.plugin.clean(job.id))
    site.joblist.remove([job.url for job in tally.done])
    return len(tally.done)


def is_file_name(name: str) -> bool:
    """Whether a job's name is usable as the name of a directory."""
    return name not in {"", ".", ".."} and not set(name) & {"/", "\0"}
