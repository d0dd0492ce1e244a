"""File lists of a job, their counts in ``.local``, and the log directory for the owner (``gmlog``)."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from arex.controldir import codec, confined_fs
from arex.controldir.delegations import credential_path
from arex.errors import CorruptFile, CredentialError, UnsafePath
from arex.gm.context import JobContext
from arex.jobdesc.control.filelists import Ending, input_entries, kept_inputs, local_from, output_entries
from arex.model.files import FileEntry
from arex.model.local import JobLocal

__all__ = [
    "Ending",
    "copy_logs",
    "expand",
    "for_restart",
    "from_description",
    "missing_downloads",
    "rewrite",
]

log = logging.getLogger(__name__)

#: Control files that are copied to the directory ``gmlog``; files with credentials and ``.grami`` are not copied.
_LOGS: Final = (
    "description",
    "local",
    "errors",
    "failed",
    "diag",
    "statistics",
    "input",
    "output",
    "input_status",
    "output_status",
)
#: Largest list of outputs that a payload may write; a larger one would delay other jobs.
_MOST_LIST: Final = 2 * 1024 * 1024


def _credential(context: JobContext, delegationid: str) -> str:
    """Path of the credential for a transfer: the delegated one, otherwise the job's proxy."""
    try:
        id_ = delegationid or context.job.local.delegationid or ""
        return str(credential_path(context.settings.delegations, id_))
    except CredentialError:
        return context.store.layout.job_file(context.job.id, "proxy")


def from_description(context: JobContext) -> tuple[JobLocal, list[FileEntry], list[FileEntry]]:
    """
    Complete ``.local`` from the description; also returns the lists of inputs and outputs.

    Values from the submitting client are kept; the others come from the description and the configuration.
    """
    description, settings = context.description, context.settings
    known = context.job.local
    derived = local_from(description, known, max_rerun=settings.maxrerun)
    lifetime = min(derived.lifetime or settings.ttl, settings.ttl)

    def credential(delegationid: str) -> str:
        return _credential(context, delegationid)

    inputs = input_entries(description, credential)
    made = output_entries(description, Ending.SUCCESS, credential)
    local = replace(
        derived,
        queue=known.queue or derived.queue or settings.queue or None,
        lrms=known.lrms or settings.lrms,
        lifetime=lifetime,
        odd=tuple(pair for pair in known.odd if pair[0] != "lifetime"),
        rerun=derived.rerun if known.rerun is None else min(known.rerun, settings.maxrerun),
        downloads=_remote(inputs),
        uploads=_remote(made),
    )
    return local, inputs, made


def _remote(entries: Sequence[FileEntry]) -> int:
    return sum(entry.remote for entry in entries)


def rewrite(context: JobContext, local: JobLocal, ending: Ending) -> JobLocal:
    """
    Write the list of outputs into ``.output``, according to how the job ends.

    Raises:
        JobDescriptionError, JobRefused, CorruptFile: the description is invalid.
    """
    entries = output_entries(context.description, ending, lambda delegationid: _credential(context, delegationid))
    if ending is Ending.FAILURE and local.rerun:
        entries += kept_inputs(context.description)  # a rerun needs the files that the client uploaded
    context.store.put_entries(context.job.id, "output", entries)
    return replace(local, uploads=_remote(entries))


def for_restart(context: JobContext) -> None:
    """Write the file lists for a rerun, without inputs that exist and outputs that were uploaded."""
    _, inputs, made = from_description(context)
    here = [
        entry for entry in inputs if entry.pfn == "/" or confined_fs.size_of(context.session.path, entry.pfn) is None
    ]
    sent = {(entry.pfn, entry.lfn) for entry in context.store.read_entries(context.job.id, "output_status") or []}
    left = [entry for entry in made if (entry.pfn, entry.lfn) not in sent]
    context.store.put_entries(context.job.id, "input", here)
    context.store.put_entries(context.job.id, "output", left)


def missing_downloads(context: JobContext) -> bool:
    """Whether a rerun has to download inputs again."""
    return any(entry.remote for entry in context.store.read_entries(context.job.id, "input") or [])


def expand(session: Path, entries: Sequence[FileEntry]) -> list[FileEntry]:
    """
    The outputs, including those in lists that the job wrote (``/@name``), and the files in directories.

    Raises:
        UnsafePath: a name that leads out of the session directory.
    """
    found: list[FileEntry] = []
    for entry in entries:
        if entry.pfn.startswith("/@"):
            found.append(FileEntry(f"/{entry.pfn[2:]}"))
            found += _dynamic(session, entry)
        elif is_tree(entry) and entry.lfn:
            found += _walk(session, entry)
        else:
            found.append(entry)
    for entry in found:
        if entry.pfn != "/":
            confined_fs.parts_of(entry.pfn)
    return found


def delivered(context: JobContext, listed: Sequence[FileEntry], sent: Sequence[FileEntry]) -> None:
    """Move uploaded files from ``.output`` to ``.output_status``; may be called twice."""
    before = context.store.read_entries(context.job.id, "output_status") or []
    fresh = [entry for entry in sent if entry not in before]
    context.store.put_entries(context.job.id, "output_status", [*before, *fresh])
    context.store.put_entries(context.job.id, "output", [entry for entry in listed if entry not in sent])


def is_tree(entry: FileEntry) -> bool:
    """Whether the entry is a directory with everything in it; ``/`` is the whole session directory."""
    return entry.pfn.endswith("/")


def keep(session: Path, entries: Sequence[FileEntry]) -> None:
    """
    Remove everything except these entries from a session directory.

    Raises:
        UnsafePath: a name that leads out of it.
        OSError: something could not be removed.
    """
    if all(entry.pfn != "/" for entry in entries):
        confined_fs.keep_only(session, [entry.pfn for entry in entries])


def _dynamic(session: Path, entry: FileEntry) -> list[FileEntry]:
    with contextlib.suppress(FileNotFoundError):
        with os.fdopen(confined_fs.open_file(session, entry.pfn[2:]), "rb") as stream:
            data = stream.read(_MOST_LIST + 1)
        if len(data) > _MOST_LIST:
            raise UnsafePath(f"{entry.pfn[1:]}: the list of outputs is larger than {_MOST_LIST} bytes")
        listed = codec.parse_entries(data)
        return [
            FileEntry(one.pfn if one.pfn.startswith("/") else f"/{one.pfn}", one.lfn, entry.credential)
            for one in listed
            if one.pfn
        ]
    return []


def _walk(session: Path, entry: FileEntry) -> list[FileEntry]:
    """All regular files below a directory, with the same names below the target."""
    top = session if entry.pfn == "/" else session.joinpath(*confined_fs.parts_of(entry.pfn))
    target = entry.lfn.rstrip("/")
    found = []
    for directory, _, names in os.walk(top):
        for name in sorted(names):
            path = Path(directory) / name
            if path.is_file() and not path.is_symlink():
                below = path.relative_to(top).as_posix()
                found.append(FileEntry(f"{entry.pfn}{below}", f"{target}/{below}", entry.credential))
    return found


def copy_logs(context: JobContext) -> None:
    """
    Copy the job's control files to the directory that the description names with ``gmlog``.

    An error does not fail the job; it becomes a line in the job's log.
    """
    name = context.job.local.gmlog
    if not name:
        return
    try:
        if context.session.exists():
            logs = {
                suffix: data for suffix in _LOGS if (data := context.store.read(context.job.id, suffix)) is not None
            }
            context.session.copy_logs(name, logs)
    except (UnsafePath, CorruptFile, OSError) as exc:
        context.store.note(context.job.id, f"Cannot write the log directory: {exc}")
