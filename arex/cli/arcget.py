"""``arcget``: copy the results of jobs that have ended."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click

from arex.cli import options
from arex.cli.bulk import Tally, chosen_value, each, on_jobs, report
from arex.cli.leaving import Leaving
from arex.cli.output import ProgressLine, counted, plain, printable, remark, say
from arex.cli.progress import ended_counts
from arex.cli.select import Chosen
from arex.cli.site import Site
from arex.errors import ArexError, ControlDirError, JobRefused
from plugins.local.session import Fetched, TargetExists
from plugins.local.status import ClientState, JobStatus
from plugins.local.view import Output

#: How many files that cannot be read are shown for a job.
_MOST_SHOWN: Final = 20
#: Files that arcget adds to the results, unless the job has files with these names.
FACTS: Final = "job.json"
LOG: Final = "job.log"
#: So many characters of an id are added to a name that is taken.
_PART: Final = 8


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
    type=click.Path(readable=False, path_type=Path),
    help="Store the results in DIR/JOBID (default: ./JOBID).",
)
@click.option(
    "-J",
    "--usejobname",
    is_flag=True,
    help="Store the results in DIR/JOBNAME instead of DIR/JOBID. Jobs "
    "with the same name get directories of different names.",
)
@click.option("-f", "--force", is_flag=True, help="Overwrite existing results of earlier commands.")
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
    """
    Copy the results of jobs that have ended, then remove the jobs from this host.

    Beside the results, job.json has what arcstat --json prints, and job.log the log of the job. Removed jobs stay in
    your history, which 'arcstat JOB' and 'arcstat --history' show.
    """
    retrieval = Retrieval(site, directory or Path(), by_name=usejobname, force=force, keep=keep, quiet=as_json)
    line = ProgressLine(shown=not as_json and len(jobs) > 1)
    done = 0

    def get(job: Chosen) -> None:
        nonlocal done
        line.show_part("fetching", done, len(jobs))
        done += 1
        retrieval.get(job, line)

    try:
        tally = each(site, jobs, get)
    except KeyboardInterrupt:
        line.clear()
        left = len(jobs) - len(retrieval.stored)
        remark(
            f"\ninterrupted: {len(retrieval.stored)} of {counted(len(jobs), 'job')} retrieved; "
            f"run the command again for the other {left}"
        )
        raise
    finally:
        retrieval.close()
    line.clear()
    _report(retrieval, tally, keep=keep, as_json=as_json)
    return tally.exit_code


def _report(retrieval: Retrieval, tally: Tally, *, keep: bool, as_json: bool) -> None:
    summary = f"Jobs processed: {tally.processed}, successfully retrieved: {len(tally.done)}"
    if not keep:
        summary += f", successfully cleaned: {retrieval.cleaned}"
    stored = {job: {"results": str(path.absolute())} for job, path in retrieval.stored.items()}
    report(tally, summary, as_json=as_json, each=stored, cleaned=retrieval.cleaned)
    ended = [job.status for job in tally.done if isinstance(job.status, JobStatus)]
    if not as_json and any(status.state is not ClientState.FINISHED for status in ended):
        say(f"Of the retrieved jobs: {ended_counts(ended)}")


@dataclass(slots=True)
class Retrieval:
    """Fetches jobs one by one; each is removed from the service and the list before the next is fetched."""

    site: Site
    base: Path
    by_name: bool
    force: bool
    keep: bool
    quiet: bool
    stored: dict[str, Path] = field(default_factory=dict)  #: job id to directory
    cleaned: int = 0
    _leaving: Leaving = field(init=False)

    def __post_init__(self) -> None:
        self._leaving = Leaving(self.site)

    def get(self, job: Chosen, line: ProgressLine) -> None:
        """
        Raises:
            ArexError, OSError: the job could not be fetched, or not all of its files; it stays at the service.
        """
        fetched = self._fetch(job)
        self.stored[job.id] = fetched.path
        line.clear()
        for skipped in fetched.skipped:
            self.site.warn(
                f"{job.url}: {printable(skipped)} is not copied: not a regular file, or a link to outside the "
                f"session directory"
            )
        add_facts(self.site, job, fetched.path, force=self.force)
        if not self.quiet:
            say(f"Results stored at: {fetched.path}{_outcome(job)}")
        if fetched.unreadable:
            raise Incomplete(fetched.unreadable)
        if not self.keep:
            self.site.plugin.clean(job.id)
            self._leaving.note(job, "fetched", str(fetched.path.absolute()))
            self.cleaned += 1

    def close(self) -> None:
        """Take the removed jobs off the list; also after an interrupt."""
        self._leaving.close()

    def _fetch(self, job: Chosen) -> Fetched:
        """
        Copy the results to a directory that has none of another job of this command, with ``--force`` or without.

        Two jobs can have the same name. Then the second directory has a part of the id in its name.
        """
        name = job.name if self.by_name and is_file_name(job.name) else job.id
        names = [name] if name == job.id else [name, f"{name}-{job.id[:_PART]}", f"{name}-{job.id}"]
        *others, last = [self.base / each for each in names if self.base / each not in self.stored.values()]
        for target in others:
            with contextlib.suppress(TargetExists):
                return self.site.plugin.fetch(job.id, target, force=self.force)
        try:
            return self.site.plugin.fetch(job.id, last, force=self.force)
        except TargetExists as exc:
            raise JobRefused(f"{exc}: choose another directory, or use --force to overwrite it") from exc


def _outcome(job: Chosen) -> str:
    if not isinstance(job.status, JobStatus) or job.status.state is ClientState.FINISHED:
        return ""
    reason = "" if job.status.reason is None else f": {job.status.reason}"
    return f" ({job.status.state.lower()}{printable(reason)})"


def add_facts(site: Site, job: Chosen, target: Path, *, force: bool) -> None:
    """Write ``job.json`` and ``job.log`` beside the results; files of the job with these names are kept."""
    own = {entry.name for entry in site.plugin.listing(job.id)}
    value = chosen_value(job, results=str(target.absolute()))
    texts = {FACTS: json.dumps(plain(value), indent=2).encode() + b"\n"}
    try:
        texts[LOG] = b"".join(site.plugin.cat(job.id, Output.LOG))
    except ControlDirError as exc:
        site.warn(f"{job.url}: its log is not copied: {exc}")
    for name, data in texts.items():
        if name not in own:
            with (target / name).open("wb" if force else "xb") as stream:
                stream.write(data)


def is_file_name(name: str) -> bool:
    """Whether a job's name is usable as the name of a directory."""
    return name not in {"", ".", ".."} and not set(name) & {"/", "\0"}
