"""What a submission changes in a description, and how strictly it is examined."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from arex.jobdesc.model import JobDescription, OutputFile
from plugins.local.findings import Checks, refuse


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionOptions:
    """What one submission asks for, besides its descriptions."""

    cwd: Path
    queue: str = ""
    dryrun: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    checks: Checks
    strict: bool


def adjusted(job: JobDescription, options: SubmissionOptions) -> JobDescription:
    """The same job with the queue, the labels and the dry run of the submission, and its files delivered here."""
    queue = job.resources.queue or options.queue
    return replace(
        job,
        dryrun=job.dryrun or options.dryrun,
        resources=replace(job.resources, queue=queue) if queue != job.resources.queue else job.resources,
        labels=tuple((dict(job.labels) | dict(options.labels)).items()),
        outputs=tuple(map(_delivered, job.outputs)),
        alternatives=tuple(adjusted(other, options) for other in job.alternatives),
    )


def _delivered(file: OutputFile) -> OutputFile:
    """
    With a target, if the description names an absolute path: client and service are on this host.

    A relative path is left to the client that retrieves the results, as with ARC.
    """
    if file.targets or file.local is None or not file.local.url.startswith("/"):
        return file
    return replace(file, targets=(replace(file.local, url=f"file://{file.local.url}"),))


def examined(job: JobDescription, options: SubmissionOptions) -> JobDescription:
    """The same job, with what this service does not have among its warnings; a strict submission refuses it."""
    found = options.checks.findings(job)
    if options.strict:
        refuse(found)
    return replace(job, warnings=(*job.warnings, *found)) if found else job
