"""File lists of a job, their counts in ``.local``, and the log directory for the owner (``gmlog``)."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from arex.controldir import codec, confined_fs, trees
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
#: Most characters in the names of the files of an output directory, which are all in memory together.
_MOST_NAMES: Final = 64 * 1024 * 1024
#: Largest list of outputs that a payload may write; a larger one would delay other jobs.
_MOST_LIST: Final = 2 * 1024 * 1024


class OutputListMissing(UnsafePath):
    """The job has not written its list of outputs. The message has ARC's wording."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Error reading user generated output file list in {name}")


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


def expand(session: Path, entries: Sequence[FileEntry], *, failed: bool = False) -> list[FileEntry]:
    """
    The outputs, including those in lists that the job wrote (``/@name``), and the files in directories.

    A job that has ``failed`` need not have written its lists.

    Raises:
        OutputListMissing: the job has not written a list.
        UnsafePath: a name that leads out of the session directory, or a directory that cannot be read.
    """
    found: list[FileEntry] = []
    for entry in entries:
        if entry.pfn.startswith("/@"):
            found.append(FileEntry(f"/{entry.pfn[2:]}"))
            with contextlib.suppress(*([OutputListMissing] if failed else [])):
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


def keep(session: Path, entries: Sequence[FileEntry]) -> tuple[str, ...]:
    """
    Remove everything except these entries from a session directory; returns a line for the owner if something could not
    be removed. It stays there until the job is removed.

    Raises:
        UnsafePath: a name that leads out of it.
        OSError: a passing condition, for example a read-only file system: repeat it later.
    """
    if any(entry.pfn == "/" for entry in entries):
        return ()
    obstacles = confined_fs.keep_only(session, [entry.pfn for entry in entries])
    return (f"Cannot remove everything but the outputs from the session directory: {obstacles}",) if obstacles else ()


def _dynamic(session: Path, entry: FileEntry) -> list[FileEntry]:
    try:
        with os.fdopen(confined_fs.open_file(session, entry.pfn[2:]), "rb") as stream:
            data = stream.read(_MOST_LIST + 1)
    except FileNotFoundError as exc:
        raise OutputListMissing(entry.pfn[2:]) from exc
    if len(data) > _MOST_LIST:
        raise UnsafePath(f"{entry.pfn[1:]}: the list of outputs is larger than {_MOST_LIST} bytes")
    listed = codec.parse_entries(data)
    return [
        FileEntry(one.pfn if one.pfn.startswith("/") else f"/{one.pfn}", one.lfn, entry.credential)
        for one in listed
        if one.pfn
    ]


def _walk(session: Path, entry: FileEntry) -> list[FileEntry]:
    """All regular files below a directory, with the same names below the target."""
    target = entry.lfn.rstrip("/")
    found: list[FileEntry] = []
    size = 0

    def unreadable(path: str, exc: OSError) -> None:
        raise UnsafePath(f"the files in {entry.pfn[1:]}{path} cannot be read: {exc.strerror}") from exc

    try:
        with _directory(session, entry.pfn) as top:
            for each in trees.walk(top, unreadable):
                if stat.S_ISREG(each.info.st_mode):
                    below = each.path
                    size += len(below)
                    if size > _MOST_NAMES:
                        what = f"{entry.pfn[1:]}: the names of its files have more than {_MOST_NAMES} characters"
                        raise UnsafePath(what)
                    found.append(FileEntry(f"{entry.pfn}{below}", f"{target}/{below}", entry.credential))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as exc:
        if trees.is_passing(exc):
            raise
        unreadable("", exc)
    return found


@contextlib.contextmanager
def _directory(session: Path, pfn: str) -> Iterator[trees.Cursor]:
    """The top of a tree of outputs."""
    if pfn == "/":
        with confined_fs.cursor(session) as top:
            yield top
    else:
        with confined_fs.parent_of(session, pfn) as (fd, last), trees.Cursor(last, fd) as top:
            yield top


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
