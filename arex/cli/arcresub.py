"""``arcresub``: submit ended jobs again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from arex.cli import complete, options, submitting
from arex.cli.bulk import Tally, report
from arex.cli.leaving import Leaving
from arex.cli.output import remark
from arex.cli.select import Chosen, JobSelection, choose
from arex.cli.site import Site
from arex.errors import ArexError, JobRefused
from plugins.local.status import JobStatus

if TYPE_CHECKING:
    from arex.jobdesc import JobDescription
    from arex.jobdesc.model import InputFile

_EXAMPLES: Final = """
arcresub --failed
arcresub --keep -q long analysis
"""


@click.command(cls=options.GroupedCommand, context_settings=options.CONTEXT, examples=_EXAMPLES)
@click.option("--failed", is_flag=True, help="Select all failed jobs in the list of jobs.")
@click.option("-k", "--keep", is_flag=True, help="Keep the old jobs (default: remove them).")
@click.option("--force", is_flag=True, help="Also submit jobs again that have not ended; without --keep, cancel them.")
@click.option(
    "-q", "--to-queue", default="", shell_complete=complete.queue,
    help="Queue of the new jobs (default: that of the old job).",
)  # fmt: skip
@click.option("-m", "--same", is_flag=True, expose_value=False, help="Ignored; there is only one service.")
@click.option(
    "-o", "--jobids-to-file", "id_file", type=click.Path(path_type=Path), help="Append the job ids to this file."
)
@click.option("-w", "--wait", is_flag=True, help="Wait until the new jobs have ended.")
@options.lenient
@options.selection
@options.common
def command(
    *,
    failed: bool,
    keep: bool,
    force: bool,
    to_queue: str,
    id_file: Path | None,
    wait: bool,
    lenient: bool,
    joblist: Path | None,
    as_json: bool,
    config: Path | None,
    timeout: int | None,
    debug: int,
    **selection: Any,  # noqa: ANN401 - the fields of JobSelection
) -> int:
    """
    Submit jobs again that have ended, with the same description and input files, and remove the old jobs.

    Input files are uploaded from where they were first, or else from the session directory of the old job.
    """
    site = Site(config, joblist, debug)
    if failed:
        selection |= {"states": (*selection["states"], "failed"), "everything": not selection["jobs"]}
    request = submitting.SubmissionRequest(queue=to_queue, id_file=id_file, quiet=as_json, lenient=lenient)
    tally, new = _again(site, choose(site, JobSelection(**selection)), request, force=force)
    if not keep:
        _remove(site, tally.done, {old.id: id_ for id_, old in new.items()})
    summary = f"Jobs processed: {tally.processed}, successfully resubmitted: {len(tally.done)}"
    if not as_json:
        report(tally, summary, as_json=False)
    ended_well = True
    if wait and new:
        from arex.cli.progress import wait_for  # noqa: PLC0415 - needed only with this option

        ended_well = wait_for(site, [*new], timeout)
    if as_json:
        pairs = [{"old": old.id, "new": id_} for id_, old in new.items()]
        report(tally, summary, as_json=True, resubmitted=pairs)
    return tally.exit_code if ended_well else 1


def _again(
    site: Site, jobs: Sequence[Chosen], request: submitting.SubmissionRequest, *, force: bool
) -> tuple[Tally, dict[str, Chosen]]:
    """Submit the jobs that can be submitted again; also the old jobs by the ids of the new ones."""
    tally = Tally()
    olds: list[Chosen] = []
    sources: list[submitting.DescriptionSource] = []
    documents = {row["id"]: row["descriptiondocument"] for row in site.joblist.find([job.url for job in jobs])}
    for job in jobs:
        try:
            described = description(site, job, documents.get(job.url, ""), request.queue, force=force)
        except (ArexError, OSError) as exc:
            tally.failed.append((job, str(exc)))
            site.error(f"{job.url}: {exc}")
        else:
            olds.append(job)
            sources.append(submitting.DescriptionSource(job.url, described))
    results = submitting.submit(site, sources, request) if sources else submitting.Results()
    by_url = {job.url: job for job in olds}
    tally.failed += [(by_url[label], str(error)) for label, error in results.refused]
    tally.done += [olds[job.source] for job in results.jobs]
    return tally, {job.id: olds[job.source] for job in results.jobs}


def description(site: Site, job: Chosen, document: str, queue: str, *, force: bool) -> JobDescription:
    """
    The description of a job, to be submitted again.

    ``document`` is the description in the list of jobs, which knows where the input files were.

    Raises:
        JobRefused: the job has not ended, or an input file is missing.
        ControlDirError: the service has no description of the job.
    """
    from arex.jobdesc import DescriptionDialect, parse  # noqa: PLC0415 - after the selection

    if not isinstance(job.status, JobStatus):
        raise job.status
    if not job.status.state.final and not force:
        raise JobRefused(f"Job has not finished yet ({job.status.state}): wait, or use --force")
    stored = site.plugin.store.read(job.status.id, "description")
    if stored is None:
        raise JobRefused("the service has no description of this job any more")
    [old] = parse(stored, DescriptionDialect.GRIDMANAGER, max_size=0)
    place = _places(document, job.status.sessiondir)
    files, missing = [], []
    for file in old.inputs:
        found = file if file.sources else _from(place(file.name), file)
        files.append(found or file)
        if found is None:
            missing.append(file.name)
    if missing:
        raise JobRefused(f"these input files are gone, here and in the session directory: {', '.join(missing)}")
    return replace(
        old,
        activity_ids=(*old.activity_ids, job.url),
        inputs=tuple(files),
        resources=replace(old.resources, queue=queue or old.resources.queue),
    )


def _from(path: Path | None, file: InputFile) -> InputFile | None:
    from arex.jobdesc.model import Location  # noqa: PLC0415 - after the selection

    return None if path is None else replace(file, announced="", sources=(Location(url=str(path)),))


def _places(document: str, session: Path | None) -> Callable[[str], Path | None]:
    """Finds an input file by its name: where the client had it, otherwise in the session directory."""
    local = dict(_local_paths(document))

    def place(name: str) -> Path | None:
        candidates = [local.get(name), session / name if session is not None else None]
        return next((path for path in candidates if path is not None and path.is_file()), None)

    return place


def _local_paths(document: str) -> Iterator[tuple[str, Path]]:
    from arex.errors import JobDescriptionError  # noqa: PLC0415 - after the selection
    from arex.jobdesc import DescriptionDialect, parse  # noqa: PLC0415
    from arex.model.url import is_remote, local_path  # noqa: PLC0415

    try:
        jobs = parse(document, DescriptionDialect.USER, max_size=0) if document else []
    except JobDescriptionError:  # of another client: the session directory may have the files
        return
    for file in (file for job in jobs for file in job.inputs):
        if file.sources and not is_remote(file.sources[0].url):
            yield file.name, Path(local_path(file.sources[0].url))


def _remove(site: Site, jobs: Sequence[Chosen], successors: Mapping[str, str]) -> None:
    """Remove old jobs; ``successors`` are the ids of the new ones. The old ones stay in the history."""
    leaving = Leaving(site)
    try:
        for job in jobs:
            try:
                if isinstance(job.status, JobStatus) and job.status.state.final:
                    site.plugin.clean(job.id)
                else:
                    site.plugin.kill(job.id, clean=True)
            except ArexError as exc:
                remark(f"WARNING: {job.url} was submitted again, but not removed: {exc}")
            else:
                leaving.note(job, f"submitted again as {successors[job.id]}")
    finally:
        leaving.close()
