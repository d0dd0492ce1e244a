"""``arcsub``: submit jobs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from arex.cli import complete, jobarray, jobcommand, options, submitting
from arex.cli.credential_options import credential_options, use
from arex.cli.output import printable, remark, say
from arex.cli.site import Site
from arex.cli.submitting import DescriptionSource, SubmissionRequest, mention_warnings, submit, tell
from arex.errors import JobDescriptionError, JobRefused
from plugins.local.status import JobStatus

if TYPE_CHECKING:
    from arex.jobdesc import JobDescription
    from arex.jobdesc.client.convert import Language


_EXAMPLES: Final = """
arcsub -e '&(executable=/bin/echo)(arguments=hello)(stdout=out.txt)'
arcsub job.xrsl other.xrsl
arcsub --walltime 1h30m --memory 4G --input data.txt -- ./run.sh data.txt
arcsub --array 1-100 -- ./simulate.py --seed {index}
"""


def _language(ctx: click.Context, param: click.Parameter, value: str | None) -> Language | None:
    if value is None:
        return None
    from arex.jobdesc.client.convert import Language  # noqa: PLC0415 - needed only with this option

    try:
        return Language.named(value)
    except ValueError as exc:
        raise click.BadParameter(str(exc), ctx, param) from exc


def _labels(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    from arex.model.labels import checked  # noqa: PLC0415 - needed only with this option

    if wrong := next((value for value in values if "=" not in value), ""):
        raise click.BadParameter(f"{wrong[:80]!r}: expected NAME=VALUE", ctx, param)
    try:
        return dict(checked({name: text for name, _, text in (value.partition("=") for value in values)}))
    except ValueError as exc:
        raise click.BadParameter(str(exc), ctx, param) from exc


@click.command(cls=jobcommand.CommandWithJob, context_settings=options.CONTEXT, examples=_EXAMPLES)
@click.argument("files", nargs=-1, type=click.Path(), metavar="[FILE]... [-- COMMAND [ARGUMENT]...]")
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
@click.option(
    "--label", "labels", multiple=True, metavar="NAME=VALUE", callback=_labels,
    help="Attach a label to the jobs, by which other commands find them.",
)  # fmt: skip
@options.lenient
@jobcommand.command_options
@jobarray.array_options
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
    labels: dict[str, str],
    lenient: bool,
    array: list[jobarray.Task],
    array_file: list[jobarray.Task],
    proxy: Path | None,
    token: Path | None,
    joblist: Path | None,
    as_json: bool,
    config: Path | None,
    timeout: int | None,
    debug: int,
    **where: Any,  # noqa: ANN401 - the options of endpoints and commands
) -> int:
    """
    Submit jobs to this host: job descriptions, or a command behind --.

    Descriptions are in xRSL, ADL or JDL, in files, on standard input (-) or after -e. A command is run as it is; a
    program in the current directory is uploaded, and its output is kept in stdout.txt and stderr.txt.

    The exit code is 0 if all jobs were submitted; with --wait, if all of them also finished successfully.
    """
    site = Site(config, joblist, debug)
    wanted, words = jobcommand.wanted(where), jobcommand.words()
    check_endpoint(site, where)
    use(site, proxy, token)
    jobcommand.check_no_description(words, wanted, described=bool(files or more_files or strings))
    if array and array_file:
        raise click.UsageError("expected either --array or --array-file, not both")
    sources = [
        *_from_files((*files, *more_files)),
        *(DescriptionSource("-e", text.encode("utf-8", "surrogateescape")) for text in strings),
    ]
    if not sources and not words:
        raise click.UsageError("No job description input specified")
    request = SubmissionRequest(
        queue=queue, dryrun=dryrun, id_file=id_file, quiet=as_json, token=submission_id, labels=labels, lenient=lenient
    )
    if words and (why := jobcommand.not_found(words, Path.cwd())):
        site.warn(why)
    if tasks := array or array_file:
        request = replace(request, array=_parent(submission_id))
        sources = _array(site, sources, words, wanted, tasks, request.array)
    elif words:
        sources = [DescriptionSource("command", jobcommand.job_of(words, wanted, Path.cwd()))]
    if dumpdescription or language is not None:
        return dump(site, sources, queue, language, lenient=lenient)
    results = submit(site, sources, request)
    if not as_json:
        submitting.print_summary(results)
    good = not (wait and results.jobs) or ended_well(site, [job.id for job in results.jobs], timeout)
    if as_json:
        submitting.print_document(site, results, request)
    return 0 if good and not results.refused else 1


def _parent(token: str) -> str:
    """The id of a new array; with a token always the same, and that of none of its jobs."""
    from arex.model.ids import job_id_of, new_job_id  # noqa: PLC0415 - needed only for arrays

    return job_id_of(token, -1) if token else new_job_id()


def _array(
    site: Site,
    sources: Sequence[DescriptionSource],
    words: list[str],
    wanted: jobcommand.Wanted,
    tasks: Sequence[jobarray.Task],
    parent: str,
) -> list[DescriptionSource]:
    """One description for each task, from the command or from the only description."""
    if words:
        return [
            DescriptionSource(
                "command", task.member(jobcommand.job_of(*task.of_command(words, wanted), Path.cwd()), parent)
            )
            for task in tasks
        ]
    if len(sources) != 1:
        raise click.UsageError("an array is made of one job description")
    try:
        jobs = _parsed(site, sources[0])
    except JobDescriptionError as exc:
        tell(site.error, sources[0].label, exc)
        raise JobRefused("the array was not submitted") from exc
    if len(jobs) != 1:
        raise JobRefused(f"an array is made of one job, but the description contains {len(jobs)}")
    return [DescriptionSource(sources[0].label, task.member(jobs[0], parent)) for task in tasks]


def ended_well(site: Site, jobs: list[str], timeout_s: int | None) -> bool:
    """Wait for jobs; print the lines of a failure for which there is no room beside the state."""
    from arex.cli.progress import wait_for  # noqa: PLC0415 - needed only with this option

    ended_well = wait_for(site, jobs, timeout_s)
    for status in () if ended_well else site.plugin.status(jobs):
        if isinstance(status, JobStatus):
            for line in status.failure.splitlines()[1:]:
                remark(f"{status.id}: {printable(line)}")
    return ended_well


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
            text = Path(name).read_bytes()
        except OSError as exc:
            raise click.ClickException(f"Can not open job description file: {name}: {exc.strerror}") from exc
        jobcommand.check_program(name, text)
        yield DescriptionSource(name, text)


def dump(
    site: Site,
    sources: list[DescriptionSource],
    queue: str = "",
    language: Language | None = None,
    *,
    lenient: bool = False,
) -> int:
    """Print the descriptions as they would be submitted, or convert them and warn about lost information."""
    for source in sources:
        try:
            jobs = _parsed(site, source)
        except JobDescriptionError as exc:
            tell(site.error, source.label, exc)
            return exc.exit_code
        mention_warnings(site, source.label, jobs, mistakes=lenient or language is not None)
        for job in jobs:
            if language is not None:
                _converted(site, source, job, language)
            elif not _described(site, source, job, queue, lenient=lenient):
                return 1
    return 0


def _described(site: Site, source: DescriptionSource, job: JobDescription, queue: str, *, lenient: bool) -> bool:
    """Print the documents of one job; False: it is refused."""
    try:
        documents = site.plugin.describe(job, queue=queue, strict=not lenient)
    except JobDescriptionError as exc:
        tell(site.error, source.label, exc)
        return False
    for text in documents:
        say("Job description to be sent to this host:")
        say(text)
    return True


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
