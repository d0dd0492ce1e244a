"""Submit jobs for a command: print the results, keep the list of jobs in step, survive interrupts."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arex.cli.output import ProgressLine, document, failure, printable, remark, say
from arex.cli.site import Site
from arex.errors import ArexError, ControlDirError, JobDescriptionError
from plugins.local.findings import Mistakes
from plugins.local.submission import Submitted

if TYPE_CHECKING:
    from arex.jobdesc import JobDescription, Remark

#: Jobs that are added to the list of jobs at once.
PIECE: Final = 50
LENIENT: Final = "--lenient submits it nevertheless"


@dataclass(frozen=True, slots=True)
class DescriptionSource:
    """A job description and where it comes from, for messages."""

    label: str
    text: bytes | JobDescription


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionRequest:
    """How a command submits its descriptions."""

    queue: str = ""
    dryrun: bool = False
    id_file: Path | None = None
    quiet: bool = False  #: print no ids
    token: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    lenient: bool = False
    array: str = ""  #: id of the array that the jobs belong to


@dataclass(slots=True)
class Results:
    """Jobs and refused descriptions, with the labels of these."""

    jobs: list[Submitted] = field(default_factory=list)
    refused: list[tuple[str, ArexError]] = field(default_factory=list)


def tell(how: Callable[..., None], label: str, what: JobDescriptionError | Remark) -> None:
    """Print an error or a warning about a description, with the position in its text."""
    first, *more = what.explained().split("\n")
    how(f"{label}: {first}", *more, *([LENIENT] if isinstance(what, Mistakes) else []))


def mention_warnings(site: Site, label: str, jobs: Iterable[JobDescription], *, mistakes: bool) -> None:
    """
    Print each warning once, although one description can describe many jobs.

    Mistakes are among them unless they are refused anyway.
    """
    for one in dict.fromkeys(one for job in jobs for one in job.warnings):
        if mistakes or not one.error:
            tell(site.warn, label, one)


def submit(site: Site, sources: Sequence[DescriptionSource], request: SubmissionRequest) -> Results:
    """
    Submit all jobs and print each result; add submitted jobs to the list of jobs, even after an interrupt.

    Raises:
        JobListError: the list of jobs cannot be used; nothing was submitted.
        OSError: the file for ids cannot be written; nothing was submitted.
        KeyboardInterrupt: after the job that was being written; it and those before it are in the list.
    """
    site.joblist.check()
    _check_writable(request.id_file)
    results, book = Results(), _Book(site, request.id_file)
    reporter = _Reporter(site, sources, request)
    line = ProgressLine(shown=bool(request.array) and not request.quiet)
    try:
        with deferred_interrupt() as check:
            for outcome in site.plugin.submitting(
                [source.text for source in sources],
                queue=request.queue, dryrun=request.dryrun, token=request.token, labels=request.labels,
                strict=not request.lenient,
            ):  # fmt: skip
                if isinstance(outcome, Submitted):
                    results.jobs.append(outcome)
                    book.add(outcome)
                    reporter.submitted(outcome)
                else:
                    results.refused.append((sources[outcome.source].label, outcome.error))
                    line.clear()
                    reporter.refused(sources[outcome.source].label, outcome.error)
                line.show_part("submitting", len(results.jobs) + len(results.refused), len(sources))
                check()
    except KeyboardInterrupt:
        book.write()
        again = "; repeat the command for the rest" if request.token else "; 'arcstat -a' shows them"
        remark(f"interrupted: {len(results.jobs)} of {max(len(sources), len(results.jobs))} jobs submitted{again}")
        raise
    finally:
        line.clear()
        book.write()
    reporter.finish(results)
    return results


def _check_writable(file: Path | None) -> None:
    if file is not None and not os.access(file if file.exists() else file.parent, os.W_OK):
        raise ControlDirError(f"{file} cannot be written, so nothing was submitted; name another file with -o")


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], None]]:
    """
    Delay an interrupt until the next call of the yielded function, or the end; a second interrupt acts at once.

    A process that ignores interrupts, such as one in the background of a script, goes on ignoring them.
    """
    asked: list[int] = []

    def note(number: int, _: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    def check() -> None:
        if asked:
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        yield check
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
    check()


class _Book:
    """Adds jobs to the list of jobs and to the file of ids, in pieces."""

    def __init__(self, site: Site, id_file: Path | None) -> None:
        self._site, self._id_file = site, id_file
        self._open: list[Submitted] = []

    def add(self, job: Submitted) -> None:
        self._open.append(job)
        if len(self._open) >= PIECE:
            self.write()

    def write(self) -> None:
        jobs, self._open = self._open, []
        if not jobs:
            return
        if self._id_file is not None:
            with self._id_file.open("a", encoding="utf-8", errors="surrogateescape") as stream:
                stream.writelines(f"{job.url}\n" for job in jobs)
        from plugins.local.listrow import list_row  # noqa: PLC0415 - after the submission

        self._site.joblist.add(map(list_row, jobs))


class _Reporter:
    """Prints results; the same warning on one description, or the same error of an array, once."""

    def __init__(self, site: Site, sources: Sequence[DescriptionSource], request: SubmissionRequest) -> None:
        self._site, self._sources, self._request = site, sources, request
        self._told: set[tuple[object, str]] = set()

    def submitted(self, job: Submitted) -> None:
        label = self._sources[job.source].label
        for one in job.warnings:
            if self._is_new(label, one.explained()):
                tell(self._site.warn, label, one)
        if not self._request.quiet and not self._request.array:
            say(f"Job submitted with jobid: {job.url}")

    def refused(self, label: str, error: ArexError) -> None:
        if self._request.array and not self._is_new(label, str(error)):
            return
        if isinstance(error, JobDescriptionError):
            tell(self._site.error, label, error)
        else:
            self._site.error(f"{label}: {error}")

    def _is_new(self, label: str, text: str) -> bool:
        if (label, text) in self._told:
            return False
        self._told.add((label, text))
        return True

    def finish(self, results: Results) -> None:
        if self._request.array and results.jobs and not self._request.quiet:
            all_jobs = len(self._sources)
            number = f"{all_jobs} jobs" if not results.refused else f"{len(results.jobs)} of {all_jobs} jobs"
            say(f"Array submitted with jobid: {self._request.array} ({number})")
            if self._site.talkative:
                for job in results.jobs:
                    say(f"Job submitted with jobid: {job.url}")
        if sys.stderr.isatty() and any(map(_is_silent, results.jobs)):
            self._site.warn("the output of the program is discarded: the description has no stdout=FILE")
        if self._site.plugin.credential_fault:
            self._site.warn(f"{self._site.plugin.credential_fault}; jobs belong to {self._site.plugin.subject}")
        if results.jobs and not all(job.announced for job in results.jobs):
            self._site.mention_daemon()


def _is_silent(job: Submitted) -> bool:
    """Whether everything that the program prints is discarded."""
    keeps_all = any(not file.name.strip("/") for file in job.record.outputs)
    return bool(job.record.executable) and not (job.record.stdout or job.record.stderr or keeps_all)


def print_document(site: Site, results: Results, request: SubmissionRequest) -> None:
    """Print the JSON document about submitted jobs, with their states now."""
    from arex.cli.jobvalue import job_value, unknown_value  # noqa: PLC0415 - only with --json

    answers = site.plugin.status([job.id for job in results.jobs])
    document(
        jobs=[
            unknown_value(job.id, job.url, job.name)
            if isinstance(status, ArexError)
            else job_value(status, url=job.url, name=job.name)
            for job, status in zip(results.jobs, answers, strict=True)
        ],
        errors=[failure(error, source=label) for label, error in results.refused],
        **({"array": request.array} if request.array else {}),
    )


def print_summary(results: Results) -> None:
    """Print a summary if some of several descriptions were refused."""
    jobs, refused = results.jobs, results.refused
    if not refused or len(jobs) + len(refused) == 1:
        return
    say()
    say("Job submission summary:")
    say("-----------------------")
    say(f"{len(jobs)} of {len(jobs) + len(refused)} jobs were submitted")
    say("The following jobs were not submitted:")
    for label, error in dict.fromkeys((label, str(error)) for label, error in refused):
        say(f" * {printable(label)}: {printable(error)}")
