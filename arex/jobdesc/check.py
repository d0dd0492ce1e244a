"""What a service refuses, in ARC's words; and names that would lead out of the session directory."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from arex.errors import JobRefused
from arex.jobdesc.adl.acl import acl_document
from arex.jobdesc.model import Creation, JobDescription, Resources

_UNSUPPORTED: Final = {
    "PreExecutable": "Pre-executables are not supported by this service",
    "PostExecutable": "Post-executables are not supported by this service",
    "Coprocessor": "Coprocessor is not supported yet.",
}
#: Names of Linux file systems end here, in bytes.
_MAX_NAME: Final = 4096
_MAX_PART: Final = 255


def check(job: JobDescription, *, queues: Collection[str] | None = None) -> None:
    """
    Refuse a job that this service cannot or must not run.

    Args:
        job: as the service read it.
        queues: names that a job may ask for; None to leave that to others.

    Raises:
        JobRefused: with ARC's wording where ARC has one.
    """
    for feature in job.unsupported:
        raise JobRefused(_UNSUPPORTED.get(feature, f"{feature} is not supported by this service"))
    if any(target.creation is Creation.APPEND for file in job.outputs for target in file.targets):
        raise JobRefused("CreationFlag APPEND is not supported")
    if job.action not in {"", "request"}:
        raise JobRefused(f"The action {job.action[:80]!r} is not allowed for a new job")
    _check_slots(job.resources)
    for runtime in job.resources.runtimes:
        if runtime.relation != "=":
            raise JobRefused(
                f"Runtime environment {runtime.full_name} is not resolved: "
                f"this service accepts only =, not {runtime.relation}; name one version"
            )
    if queues is not None and job.resources.queue and job.resources.queue not in queues:
        raise JobRefused(f"Requested queue {job.resources.queue} is not allowed for this user")
    if job.acl:
        acl_document(job.acl)
    _check_texts(job)
    for attribute, name in _names(job):
        _check_name(attribute, name)


def _check_slots(resources: Resources) -> None:
    slots, per_host = resources.slots, resources.slots_per_host
    if slots is not None and slots < 1:
        raise JobRefused(f"NumberOfSlots must be at least 1, not {slots}")
    if per_host is None:
        return
    if per_host < 1:
        raise JobRefused(f"SlotsPerHost must be at least 1, not {per_host}")
    if slots is None:
        raise JobRefused("SlotsPerHost needs NumberOfSlots")
    if slots % per_host:
        raise JobRefused("SlotsPerHost exceeding NumberOfSlots is not supported")


def _check_texts(job: JobDescription) -> None:
    """NUL ends a string for every program that this text passes through."""
    texts = {
        "executable": (job.executable,),
        "arguments": job.arguments,
        "environment": [part for pair in job.environment for part in pair],
        "jobname": (job.name,),
        "queue": (job.resources.queue,),
        "runtimeenvironment": [part for one in job.resources.runtimes for part in (one.full_name, *one.options)],
    }
    for attribute, values in texts.items():
        if any("\0" in value for value in values):
            raise JobRefused(f"{attribute}: a NUL character is not allowed")
    for name, _ in job.environment:
        if not name or "=" in name:
            raise JobRefused(f"environment: {name[:80]!r} is not a valid variable name")


def _names(job: JobDescription) -> Iterator[tuple[str, str]]:
    yield "stdout", job.stdout
    yield "stderr", job.stderr
    yield "gmlog", job.gmlog
    if not job.stdin.startswith("/"):
        yield "stdin", job.stdin
    if job.executable and not job.executable.startswith(("/", "$")):
        yield "executable", job.executable
    for file in job.inputs:
        yield "inputfiles", file.name or "/"
    for output in job.outputs:
        # here a leading slash is the session directory itself, as in the lists of files: "/" keeps all of it
        name = output.name.removeprefix("@").lstrip("/") if output.name.strip("/") else ""
        yield "outputfiles", name


def _check_name(attribute: str, name: str) -> None:
    if any(character in name for character in "\0\n\r"):
        raise JobRefused(f"Bad name for {attribute}: {name[:80]!r} has a line break or NUL in it")
    if name.startswith("/"):
        raise JobRefused(f"Bad name for {attribute}: {name[:80]} must be relative to the session directory")
    if ".." in name.split("/"):
        raise JobRefused(f"Bad name for {attribute}: {name[:80]} leads out of the session directory")
    raw = name.encode("utf-8", "surrogateescape")
    if len(raw) >= _MAX_NAME:
        raise JobRefused(f"Bad name for {attribute}: longer than {_MAX_NAME} bytes")
    if any(len(part) > _MAX_PART for part in raw.split(b"/")):
        raise JobRefused(f"Bad name for {attribute}: a part of it is longer than {_MAX_PART} bytes")
