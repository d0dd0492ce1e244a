"""Reads and writes what an attempt has on disk: its record, its start marker, our requests about it."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from arex.model.ids import LocalId
from arex.ports import LocalJob
from lrms.attempt.record import Done, StartMarker, UnfinishedRecord, UnreadableRecord, read_done, read_file

log = logging.getLogger(__name__)

_CANCEL: Final = "cancel"
_DIRECTORY: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TAIL: Final = 4096
#: What the job script prints if it ends because it cannot create the start marker.
NO_MARK: Final = "The mark of this attempt can not be written"
#: The payload may have replaced the marker; what is in it becomes an argument of commands about many jobs.
_MARK: Final = re.compile(r"id (\w[\w.@\[\]-]{0,199})\n", re.ASCII)
_EXITCODE: Final = re.compile(r"^exitcode=(\d{1,6})$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """Everything on disk except the record."""

    mark: StartMarker | None = None
    cancel_asked: bool = False
    diag_code: int | None = None
    submitted: datetime | None = None  #: not before: when the job script was written
    recorded: str = ""  #: the local id in the completion record
    output: str = ""  #: the end of what the script printed, where batch systems write why they end a job

    @property
    def removed(self) -> bool:
        """Whether the payload has removed or closed its run directory: then a missing start marker means nothing."""
        return self.mark is None and self.submitted is None and NO_MARK not in self.output

    @property
    def localid(self) -> str:
        """The local id of the copy that took the start marker, or has written the record; empty if there is none."""
        return self.recorded if self.mark is None else self.mark.localid


def records(jobs: Collection[LocalJob]) -> dict[LocalId, Done]:
    """Completion records, of the jobs that have one. An invalid one is logged and left out."""
    found: dict[LocalId, Done] = {}
    for job in jobs:
        if job.rundir is None:
            continue
        try:
            done = read_done(job.rundir / "done")
        except UnfinishedRecord:
            continue  # it is being written
        except (UnreadableRecord, OSError) as exc:
            log.warning("%s", exc, extra={"event": "record.unreadable", "job": job.job})
            continue
        if done is not None:
            found[job.localid] = done
    return found


def traces_of(job: LocalJob) -> Traces:
    """What a job has left; of a job that another program submitted, only the exit code in its accounting lines."""
    if job.rundir is not None:
        return replace(traces(job.rundir), output=_tail(job.session.with_name(f"{job.session.name}.comment")))
    try:
        return Traces(diag_code=exit_code(job.session))
    except OSError as exc:
        log.warning("%s", exc, extra={"event": "record.unreadable", "job": job.job})
        return Traces()


def exit_code(session: Path) -> int | None:
    """
    The last ``exitcode=`` of ``SESSION.diag``; None: there is none.

    Raises:
        OSError: the file exists and cannot be read now.
    """
    try:
        data = read_file(session.with_name(f"{session.name}.diag")) or b""
    except UnreadableRecord:
        return None
    codes = _EXITCODE.findall(data.decode(errors="replace"))
    return int(codes[-1]) if codes else None


def traces(rundir: Path) -> Traces:
    """The files of one run directory."""
    mark = _mark(_text(rundir / "started"))
    return Traces(
        mark=mark,
        cancel_asked=os.path.lexists(rundir / _CANCEL),  # the payload may have closed the directory
        submitted=_written(rundir / "script"),
        recorded="" if mark is not None else _recorded(rundir),
    )


def _recorded(rundir: Path) -> str:
    try:
        done = read_done(rundir / "done")
    except (UnreadableRecord, UnfinishedRecord, OSError):
        return ""
    found = None if done is None else _MARK.match(f"id {done.localid}\n")
    return "" if found is None else found[1]


def _written(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    except (OSError, OverflowError, ValueError):  # removed by the payload, or with a time that it has set
        return None


def _mark(text: str | None) -> StartMarker | None:
    if text is None:
        return None
    found = _MARK.match(text)
    return StartMarker(found[1] if found else "")


def _tail(path: Path) -> str:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123 - a descriptor
            file.seek(-min(_TAIL, os.fstat(file.fileno()).st_size), os.SEEK_END)
            return file.read(_TAIL).decode(errors="replace")
    except OSError:  # removed, or replaced by something else: then there is less evidence
        return ""


def _text(path: Path) -> str | None:
    try:
        data = read_file(path)
    except (UnreadableRecord, OSError) as exc:
        log.warning("%s", exc, extra={"event": "record.unreadable"})
        return None
    return None if data is None else data.decode(errors="replace")


def ask_cancel(jobs: Collection[LocalJob]) -> None:
    """Record that we want these jobs to end; one without a run directory has no such record."""
    for job in jobs:
        try:
            if job.rundir is not None:
                _touch(job.rundir, _CANCEL, os.O_CREAT)
        except OSError as exc:
            facts = {"event": "record.disk", "job": job.job}
            log.warning("cannot record the request to cancel: %s", exc, extra=facts)


def keep_from_starting(rundirs: Collection[Path]) -> None:
    """Create the start markers, so that a late copy ends at once. Without the run directory, no copy can start."""
    for rundir in rundirs:
        try:
            _touch(rundir, "started", os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            continue
        except OSError as exc:
            log.warning("a late copy of the job could still start: %s", exc, extra={"event": "record.disk"})


def _touch(rundir: Path, name: str, how: int) -> None:
    """Create an empty file in a run directory, and nowhere else if the payload has put links there. Raises OSError."""
    above = os.open(rundir.parent, _DIRECTORY)
    try:
        directory = os.open(rundir.name, _DIRECTORY, dir_fd=above)
        try:
            how |= os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            os.close(os.open(name, how, 0o600, dir_fd=directory))
        finally:
            os.close(directory)
    finally:
        os.close(above)
