"""From a description to its files in the control directory: file lists and the fields of ``.local``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import Final

from arex.jobdesc.adl.writer import MB
from arex.jobdesc.locations import join_url
from arex.jobdesc.model import Creation, InputFile, JobDescription, OutputFile, Target
from arex.model.files import FileEntry
from arex.model.local import JobLocal
from arex.model.url import Options, is_remote, split_url

#: From a delegation id (empty: none is named) to the path of its credential file (empty: none).
Credential = Callable[[str], str]

#: ARC keeps no more addresses than this.
_MAX_NOTIFICATIONS: Final = 3
_DEFAULT_PRIORITY: Final = 50
#: What ``.local`` can say; about three hundred years.
_LONGEST_S: Final = 10**10
_CREATION: Final[dict[Creation, Options]] = {
    Creation.OVERWRITE: (("overwrite", "yes"),),
    Creation.DONT_OVERWRITE: (("overwrite", "no"),),
}


#: Options that say when to upload, not how.
_FOR_US: Final = frozenset({"preserve", "mandatory"})
#: The only type of accounting service that gets usage records.
_SGAS: Final = "SGAS"


class Ending(StrEnum):
    """How a job ended, as far as its outputs care."""

    SUCCESS = "success"
    FAILURE = "failure"
    CANCEL = "cancel"


def pfn(name: str) -> str:
    """A name as the control directory has it: below the session directory, with a slash in front."""
    return name if name.startswith("/") else f"/{name}"


def flat(text: str) -> str:
    """Without line feeds: control files have one value on a line, and ARC drops them too."""
    return text.replace("\n", "")


def input_entries(job: JobDescription, credential: Credential) -> list[FileEntry]:
    """The lines of ``.input``; a remote file without a delegation of its own uses that of the job."""
    pushed = [FileEntry("/")] if job.client_data_push else []
    return [*pushed, *(_input_entry(job, file, credential) for file in job.inputs)]


def _input_entry(job: JobDescription, file: InputFile, credential: Credential) -> FileEntry:
    if not is_fetched(file):
        return FileEntry(pfn(file.name), file.announced)
    source = file.sources[0]
    executable = file.executable or file.name == job.executable
    lfn = join_url(source, (("exec", "yes"),) if executable else ())
    return FileEntry(pfn(file.name), lfn, credential(source.delegationid or job.delegationid))


def is_fetched(file: InputFile) -> bool:
    """Whether the service downloads this input; otherwise the client uploads it. Only the first source counts."""
    return bool(file.sources) and (is_remote(file.sources[0].url) or file.sources[0].url.startswith("file:"))


def output_entries(job: JobDescription, ending: Ending, credential: Credential) -> list[FileEntry]:
    """The lines of ``.output`` after one kind of end; files without a target for it stay for the client."""
    entries = []
    for file in job.outputs:
        targets = [target for target in file.targets if ending in _endings(target)]
        for target in targets:
            lfn = join_url(target, _CREATION.get(target.creation, ()), without=_FOR_US)
            entries.append(FileEntry(pfn(file.name), lfn, credential(target.delegationid or job.delegationid)))
        if not targets:
            entries.append(FileEntry(pfn(file.name)))
    return entries


def kept_inputs(job: JobDescription) -> list[FileEntry]:
    """More lines of ``.output`` when a failed job may run again: what the client uploaded must not be deleted."""
    return [FileEntry(pfn(file.name)) for file in job.inputs if not is_fetched(file)]


def output_names(job: JobDescription) -> tuple[str, ...]:
    """Names of all outputs as in ``.grami``: once per target, once more if any end leaves the file to the client."""
    return tuple(pfn(file.name) for file in job.outputs for _ in range(_uses(file)))


def _uses(file: OutputFile) -> int:
    covered = {ending for target in file.targets for ending in _endings(target)}
    return len(file.targets) + (covered != set(Ending))


def _endings(target: Target) -> set[Ending]:
    wanted = {
        Ending.SUCCESS: target.if_success,
        Ending.FAILURE: target.if_failure,
        Ending.CANCEL: target.if_cancel,
    }
    preserved = {Ending.FAILURE, Ending.CANCEL} if target.option("preserve") == "yes" else set()
    return {ending for ending, used in wanted.items() if used} | preserved


def local_from(job: JobDescription, base: JobLocal | None = None, *, max_rerun: int | None = None) -> JobLocal:
    """
    ``base`` with every field that follows from the description.

    Queue, lifetime, delegation and share of ``base`` hold where the description names none. A requested
    lifetime is there as seconds, where ARC 6.17 writes one raw byte.
    """
    base = JobLocal() if base is None else base
    rerun = job.rerun or 0
    return replace(
        base,
        jobreport=tuple(flat(plain_url(one.url)) for one in job.remote_logging if one.type == _SGAS),
        queue=flat(job.resources.queue) or base.queue,
        args=tuple(map(flat, (job.executable, *job.arguments))),
        argscode=job.exit_code or 0,
        lifetime=timedelta(seconds=min(job.lifetime_s, _LONGEST_S)) if job.lifetime_s else base.lifetime,
        notify=_notify(job),
        processtime=job.start_time,
        rerun=rerun if max_rerun is None else min(rerun, max_rerun),
        downloads=sum(is_fetched(file) for file in job.inputs),
        uploads=sum(len(file.targets) for file in job.outputs),
        jobname=flat(job.name) or None,
        gmlog=flat(job.gmlog) or None,
        delegationid=flat(job.delegationid) or base.delegationid,
        diskspace=max(job.resources.disk_mb or 0, 0) * MB,
        credentialserver=flat(job.credential_services[0]) if job.credential_services else None,
        freestagein=job.client_data_push,
        activityid=tuple(map(flat, job.activity_ids)),
        transfershare=base.transfershare or "_default",
        priority=job.priority or _DEFAULT_PRIORITY,
        dryrun=job.dryrun,
    )


def plain_url(text: str) -> str:
    """Without options, as ``.local`` has it."""
    try:
        return split_url(text)[0]
    except ValueError:
        return text


def _notify(job: JobDescription) -> str | None:
    told = ((one.states.replace(" ", ""), one.recipient) for one in job.notifications)
    wanted = [f"{states} {recipient}" for states, recipient in told if states and recipient]
    return flat(" ".join(wanted[:_MAX_NOTIFICATIONS])) or None
