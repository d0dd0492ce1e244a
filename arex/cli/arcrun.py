"""``arcrun``: run a job like a command: wait for it, print its output, return its exit code."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Final

import click

from arex.cli import complete, jobcommand, options, submitting
from arex.cli.jobvalue import job_value
from arex.cli.output import document, remark
from arex.cli.progress import describe
from arex.cli.site import Site
from arex.errors import ArexError, JobDescriptionError, JobRefused
from arex.jobdesc import DescriptionDialect, JobDescription, parse
from plugins.local.follow import PollInterval, Tail
from plugins.local.status import ClientState, JobStatus
from plugins.local.view import Output

_TIMED_OUT = 124
_MOST = 255


_EXAMPLES: Final = """
arcrun -- hostname
arcrun --walltime 1h --memory 4G -- ./analysis.py "a name with blanks"
arcrun job.xrsl
"""


@click.command(cls=jobcommand.CommandWithJob, context_settings=options.CONTEXT, examples=_EXAMPLES)
@click.argument("file", type=click.Path(), required=False, metavar="[FILE] [-- COMMAND [ARGUMENT]...]")
@click.option("-e", "--jobdescrstring", "string", help="Job description as a string.")
@click.option(
    "-q", "--queue", default="", shell_complete=complete.queue,
    help="Queue, if the description does not name one (default: the default queue).",
)  # fmt: skip
@click.option(
    "-D", "--dir", "directory", type=click.Path(readable=False, path_type=Path), default=Path(),
    help="Copy the results to DIR/JOBID (default: ./JOBID), then remove the job.",
)  # fmt: skip
@click.option("--no-fetch", is_flag=True, help="Leave the results in the session directory, and the job in the list.")
@click.option("-k", "--keep", is_flag=True, help="Copy the results, but do not remove the job.")
@options.lenient
@jobcommand.command_options
@options.joblist
@options.common
def command(
    *,
    file: str | None,
    string: str | None,
    queue: str,
    directory: Path,
    no_fetch: bool,
    keep: bool,
    lenient: bool,
    joblist: Path | None,
    as_json: bool,
    config: Path | None,
    timeout: int | None,
    debug: int,
    **rest: Any,  # noqa: ANN401 - the options of commands
) -> int:
    """
    Run one job and wait for it: print its output, fetch its results, and exit with its exit code.

    The job is a description (FILE, - or -e) or a command behind --. A program in the current directory is uploaded.

    Press Ctrl-C to cancel the job.
    """
    site = Site(config, joblist, debug)
    wanted, words = jobcommand.wanted(rest), jobcommand.words()
    jobcommand.check_no_description(words, wanted, described=file is not None or string is not None)
    try:
        description = jobcommand.job_of(words, wanted, Path.cwd()) if words else _description(file, string)
    except JobDescriptionError as exc:
        submitting.tell(site.error, "arcrun", exc)
        return exc.exit_code
    if words and (why := jobcommand.not_found(words, Path.cwd())):
        site.warn(why)
    job = _submit(site, description, queue, lenient=lenient)
    if not as_json:
        remark(f"Job submitted with jobid: {job}")
    bare = job.rpartition("/")[2]
    try:
        status = _attend(site, bare, timeout, quiet=as_json)
    except KeyboardInterrupt:
        _end(site, bare)
        raise
    if not status.state.final:
        site.error(f"the job has not ended within {timeout} s; it continues: {status.url}")
        return _TIMED_OUT
    stored = "" if no_fetch else _fetch(site, bare, directory, keep=keep)
    if as_json:
        document(jobs=[job_value(status, results=stored or None)])
    elif stored:
        remark(f"Results stored at: {stored}")
    return exit_code(status)


def _description(file: str | None, string: str | None) -> JobDescription:
    if (file is None) == (string is None):
        raise click.UsageError("expected exactly one job description (FILE, - or -e), or a command behind --")
    text = string if string is not None else sys.stdin.buffer.read() if file == "-" else _read(file or "")
    jobs = parse(text, DescriptionDialect.USER, source="-e" if file is None else file)
    if len(jobs) != 1:
        raise JobRefused(f"the description contains {len(jobs)} jobs, but arcrun runs only one: use arcsub --wait")
    return with_streams(jobs[0])


def _read(file: str) -> bytes:
    text = Path(file).read_bytes()
    jobcommand.check_program(file, text)
    return text


def with_streams(job: JobDescription) -> JobDescription:
    """Add file names for standard output and error if they are missing, since arcrun prints these files."""
    return replace(
        job,
        stdout=job.stdout or "stdout.txt",
        stderr=job.stderr or "stderr.txt",
        alternatives=tuple(with_streams(other) for other in job.alternatives),
    )


def _submit(site: Site, job: JobDescription, queue: str, *, lenient: bool) -> str:
    source = submitting.DescriptionSource(job.name or "job", job)
    results = submitting.submit(site, [source], submitting.SubmissionRequest(queue=queue, quiet=True, lenient=lenient))
    for _, error in results.refused:
        raise JobRefused("the job was not submitted") from error
    return results.jobs[0].url


def _attend(site: Site, job: str, timeout_s: int | None, *, quiet: bool) -> JobStatus:
    """Print the output and the states of the job until it has ended."""
    tails = [] if quiet else _tails(site, job)
    pace = PollInterval()
    shown = ""
    try:
        while True:
            # get the status before reading the output: after the end, everything has then been printed
            status = site.plugin.one(job)
            if not quiet and (now := describe(status)) != shown and not status.state.final:
                remark(now)
                shown = now
            for tail, stream in tails:
                for data in tail.read():
                    stream.write(data)
                    stream.flush()
                    pace.hurry()
            if status.state.final or (timeout_s is not None and pace.passed_s >= timeout_s):
                break
            pace.wait()
    finally:
        for tail, _ in tails:
            tail.close()
    if status.failure and not quiet:
        remark(describe(status))
    return status


def _tails(site: Site, job: str) -> list[tuple[Tail, IO[bytes]]]:
    out, err = site.plugin.stream_name(job, Output.STDOUT), site.plugin.stream_name(job, Output.STDERR)
    tails = [(site.plugin.tail(job, Output.STDOUT), sys.stdout.buffer)]
    if err != out:  # a job can write both streams into one file
        tails.append((site.plugin.tail(job, Output.STDERR), sys.stderr.buffer))
    return tails


def _end(site: Site, job: str) -> None:
    """After an interrupt: cancel the job; a second interrupt stops the wait for its end."""
    try:
        site.plugin.kill(job)
    except ArexError as exc:
        remark(f"arcrun: {exc}")
        return
    remark("arcrun: interrupted; the job is being canceled")
    for status in site.plugin.watch([job], timeout_s=30 if site.plugin.served else 0):
        remark(f"arcrun: {describe(status)}")


def _fetch(site: Site, job: str, directory: Path, *, keep: bool) -> str:
    done = site.plugin.fetch(job, directory / job)
    if not keep:
        url = site.plugin.one(job).url
        site.plugin.clean(job)
        site.joblist.remove([url])
    return os.fspath(done.path)


def exit_code(status: JobStatus) -> int:
    """Exit code of the job; 128 plus the number of the signal that ended it; 1 if it failed without either."""
    if status.exit_code is None:
        return 0 if status.state is ClientState.FINISHED else 1
    if status.exit_code < 0:
        return min(128 - status.exit_code, _MOST)
    if status.exit_code == 0:
        return 0 if status.state is ClientState.FINISHED else 1
    return min(status.exit_code, _MOST)
