"""``arcsub``: submit jobs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from arex.cli import complete, options
from arex.cli.credential_options import credential_options, use
from arex.cli.output import document, printable, say
from arex.cli.site import Site
from arex.errors import ArexError, JobDescriptionError
from plugins.local.submission import Submitted

if TYPE_CHECKING:
    from arex.jobdesc import JobDescription, Remark
    from arex.jobdesc.client.convert import Language


@dataclass(frozen=True, slots=True)
class DescriptionSource:
    """A job description and where it comes from, for messages."""

    label: str
    text: bytes | JobDescription


def _language(ctx: click.Context, param: click.Parameter, value: str | None) -> Language | None:
    if value is None:
        return None
    from arex.jobdesc.client.convert import Language  # noqa: PLC0415 - needed only with this option

    try:
        return Language.named(value)
    except ValueError as exc:
        raise click.BadParameter(str(exc), ctx, param) from exc


@click.command(context_settings=options.CONTEXT)
@click.argument("files", nargs=-1, type=click.Path(), metavar="[FILE]...")
@click.option("-e", "--jobdescrstring", "strings", multiple=True, help="Job description as a string.")
@click.option(
    "-f", "--jobdescrfile", "more_files", multiple=True, type=click.Path(), help="File with a job description."
)
@click.option(
    "-o", "--jobids-to-file", "id_file", type=click.Path(path_type=Path), help="Append the job ids to this file."
)
@options.instead_of_submission
@click.option(
    "--dump-format", "language", metavar="LANGUAGE", callback=_language, shell_complete=complete.language,
    help="Print the description in xrsl, adl or jdl, without submitting it.",
)  # fmt: skip
@click.option(
    "-q",
    "--queue",
    default="",
    shell_complete=complete.queue,
    help="Queue of jobs whose description does not name one (default: the default queue).",
)
@click.option(
    "--submission-id", default="", metavar="TEXT",
    help="Any text that identifies this submission, such as a UUID. If the command is repeated with the same text, it "
    "does not create jobs that exist already, and prints their ids.",
)  # fmt: skip
@click.option("-w", "--wait", is_flag=True, help="Wait until the jobs have ended.")
@credential_options
@options.joblist
@options.endpoint
@options.common
def command(
    *,
    files: tuple[str, ...],
    strings: tuple[str, ...],
    more_files: tuple[str, ...],
    id_file: Path | None,
    dryrun: bool,
    dumpdescription: bool,
    language: Language | None,
    queue: str,
    submission_id: str,
    wait: bool,
    proxy: Path | None,
    token: Path | None,
    joblist: Path | None,
    as_json: bool,
    config: Path | None,
    timeout: int | None,
    debug: int,
    **where: object,
) -> int:
    """
    Submit jobs to this host. Descriptions are in xRSL, ADL or JDL, in files, on standard input (-) or after -e.

    The exit code is 0 if all jobs were submitted; with --wait, if all of them also finished successfully.
    """
    site = Site(config, joblist, debug)
    check_endpoint(site, where)
    use(site, proxy, token)
    sources = [
        *_from_files((*files, *more_files)),
        *(DescriptionSource("-e", text.encode("utf-8", "surrogateescape")) for text in strings),
    ]
    if not sources:
        raise click.UsageError("No job description input specified")
    if dumpdescription or language is not None:
        return dump(site, sources, queue, language)
    jobs, refused = submit(
        site, sources, queue=queue, dryrun=dryrun, id_file=id_file, quiet=as_json, token=submission_id
    )
    if as_json:
        document({
            "jobs": [{"id": job.url, "name": job.name} for job in jobs],
            "failed": [{"source": label, "error": str(error)} for label, error in refused],
        })  # fmt: skip
    elif refused and len(jobs) + len(refused) > 1:
        _summary(jobs, refused)
    if wait and jobs:
        from arex.cli.progress import wait_for  # noqa: PLC0415 - needed only with this option

        ended_well = wait_for(site, [job.id for job in jobs], timeout)
        return 0 if ended_well and not refused else 1
    return 1 if refused else 0


def check_endpoint(site: Site, where: dict[str, object]) -> None:
    """
    Check that the options select this host.

    Raises:
        EndpointElsewhere: they select another service.
    """

    def values(*names: str) -> tuple[str, ...]:
        return tuple(str(one) for name in names for one in where.get(name) or ())  # type: ignore[attr-defined]

    options.require_local(
        site,
        types=values("types"),
        info_types=values("info_types", "info_interfaces"),
        elements=values("elements", "cluster"),
        registries=bool(values("registry", "index")),
    )


def _from_files(names: tuple[str, ...]) -> Iterator[DescriptionSource]:
    for name in names:
        if name == "-":
            yield DescriptionSource("standard input", sys.stdin.buffer.read())
            continue
        try:
            yield DescriptionSource(name, Path(name).read_bytes())
        except OSError as exc:
            raise click.ClickException(f"Can not open job description file: {name}: {exc.strerror}") from exc


def dump(site: Site, sources: list[DescriptionSource], queue: str = "", language: Language | None = None) -> int:
    """Print the descriptions as they would be submitted, or convert them and warn about lost information."""
    for source in sources:
        try:
            jobs = _parsed(site, source)
        except JobDescriptionError as exc:
            tell(site.error, source.label, exc)
            return exc.exit_code
        mention_warnings(site, source.label, jobs)
        for job in jobs:
            if language is not None:
                _converted(site, source, job, language)
                continue
            for text in site.plugin.describe(job, queue=queue):
                say("Job description to be sent to this host:")
                say(text)
    return 0


def _parsed(site: Site, source: DescriptionSource) -> list[JobDescription]:
    from arex.jobdesc import DescriptionDialect, JobDescription, parse  # noqa: PLC0415 - needed only by dump

    if isinstance(source.text, JobDescription):
        return [source.text]
    return parse(source.text, DescriptionDialect.USER, max_size=site.config.ws_jobs.maxjobdesc)


def _converted(site: Site, source: DescriptionSource, job: JobDescription, language: Language) -> None:
    from arex.jobdesc.client.convert import convert  # noqa: PLC0415 - needed only with this option

    found = convert(job, language)
    say(found.text.rstrip("\n"))
    for what in found.lost:
        site.warn(f"{source.label}: {what}")


def tell(how: Callable[..., None], label: str, what: JobDescriptionError | Remark) -> None:
    """Print an error or a warning about a description, with the position in its text."""
    first, *more = what.explained().split("\n")
    how(f"{label}: {first}", *more)


def mention_warnings(site: Site, label: str, jobs: Iterable[JobDescription]) -> None:
    """Print each warning once, although one description can describe many jobs."""
    for remark in dict.fromkeys(one for job in jobs for one in job.warnings):
        tell(site.warn, label, remark)


def submit(
    site: Site,
    sources: list[DescriptionSource],
    *,
    queue: str,
    dryrun: bool,
    id_file: Path | None,
    quiet: bool,
    token: str = "",
) -> tuple[list[Submitted], list[tuple[str, ArexError]]]:
    """Submit all jobs and print each result; add submitted jobs to the list of jobs, even after an interrupt."""
    jobs: list[Submitted] = []
    refused: list[tuple[str, ArexError]] = []
    told: set[tuple[int, Remark]] = set()
    try:
        texts = [source.text for source in sources]
        for outcome in site.plugin.submitting(texts, queue=queue, dryrun=dryrun, token=token):
            if isinstance(outcome, Submitted):
                jobs.append(outcome)
                for remark in outcome.record.warnings:
                    if (outcome.source, remark) not in told:
                        told.add((outcome.source, remark))
                        tell(site.warn, sources[outcome.source].label, remark)
                if not quiet:
                    say(f"Job submitted with jobid: {outcome.url}")
            else:
                label = sources[outcome.source].label
                refused.append((label, outcome.error))
                if isinstance(outcome.error, JobDescriptionError):
                    tell(site.error, label, outcome.error)
                else:
                    site.error(f"{label}: {outcome.error}")
    finally:
        _remember(site, jobs, id_file)
    if site.plugin.credential_fault:
        site.warn(f"{site.plugin.credential_fault}; jobs belong to {site.plugin.subject}")
    if jobs and not all(job.announced for job in jobs):
        site.mention_daemon()
    return jobs, refused


def _remember(site: Site, jobs: list[Submitted], id_file: Path | None) -> None:
    if not jobs:
        return
    if id_file is not None:
        with id_file.open("a", encoding="utf-8", errors="surrogateescape") as stream:
            stream.writelines(f"{job.url}\n" for job in jobs)
    from arex.jobdesc.xrsl.writer import write_xrsl  # noqa: PLC0415 - after the submission
    from arex.joblist import local_row  # noqa: PLC0415

    site.joblist.add(
        local_row(
            id_=job.id,
            session=str(job.session),
            name=job.name,
            document=write_xrsl(job.record),
            submitted=job.submitted_s,
            stdio=(job.record.stdin, job.record.stdout, job.record.stderr),
        )
        for job in jobs
    )


def _summary(jobs: list[Submitted], refused: list[tuple[str, ArexError]]) -> None:
    say()
    say("Job submission summary:")
    say("-----------------------")
    say(f"{len(jobs)} of {len(jobs) + len(refused)} jobs were submitted")
    if refused:
        say("The following jobs were not submitted:")
    for label, error in refused:
        say(f" * {printable(label)}: {printable(str(error))}")
