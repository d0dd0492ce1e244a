"""
The control directory as values. All access of the service to control files goes through this module.

All methods block on the file system: call them in a worker thread. Writes happen in the order of the calls, and each is
atomic. A status file is never absent: its new content is written in place, then the file is moved.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from arex.controldir import atomic, codec, confined_fs
from arex.controldir.layout import LOOKUP, PLACE_OF, Layout, Mark, NestedLayout, Place
from arex.errors import ControlDirError, CorruptFile
from arex.model.files import FileEntry
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.state import ACTIVE, Status

#: Upper limit for file times, in the year 8970.
_LAST_MOMENT_S: Final = 220_900_000_000.0
#: Files to remove when a job becomes FINISHED, when it becomes DELETED, and when it is cleaned. Source: ARC 6.17.
AT_FINISHED: Final = ("proxy.tmp", "lrms_done", "lrms_job")
AT_DELETED: Final = (
    *AT_FINISHED, "proxy", "errors", "input", "output", "input_status", "output_status", "statistics", "grami_log",
)  # fmt: skip
#: arex also removes ``acl``, unlike ARC 6.17, since no program reads it afterwards.
AT_CLEAN: Final = (*AT_DELETED, "local", "grami", "failed", "diag", "description", "xml", "acl")


@dataclass(frozen=True, slots=True)
class Found:
    """A status file: its directory, its content, and its modification time."""

    place: Place
    status: Status | None  #: None: the content is not a valid status
    changed: datetime
    shown: bool = False  #: others may read it: ARC's clients set this mode until the submission is complete


class ControlDir:
    """The control directory of one daemon."""

    def __init__(self, layout: Layout, *, durable: bool = False) -> None:
        self.layout = layout
        self.root = layout.root
        self.durable = durable
        self._uid = os.geteuid()
        self._nested = isinstance(layout, NestedLayout)

    # --- the directory ---

    def prepare(self, user: str, *, create: bool = True, correct: bool = True) -> None:
        """
        Create the directories that clients and other daemons expect, with the mode 0700 that ARC uses for ordinary
        users.

        Args:
            user: the user for whose credentials a store is created.
            create: create missing directories.
            correct: set the modes of existing directories.

        Raises:
            ControlDirError: a directory cannot be created or used, or belongs to another user.
        """
        names = (*Place, "logs", "accounting", f"delegations.{user}" if self._uid else "delegations")
        try:
            if create:
                self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in (self.root, *(self.root / name for name in names)):
                if create:
                    path.mkdir(mode=0o700, exist_ok=True)
                if correct and path.exists() and path.stat().st_uid == self._uid:
                    path.chmod(0o700)
            if self._nested:  # without this file, the start script of ARC 7 treats the directory as one of ARC 6
                atomic.touch(str(self.root / "version2"))
            owner = self.root.stat().st_uid
        except OSError as exc:
            where = exc.filename or self.root
            raise ControlDirError(f"cannot prepare the control directory {where}: {exc.strerror}") from exc
        if owner != self._uid:
            raise ControlDirError(f"the control directory {self.root} belongs to another user")

    def scan(self, place: Place) -> Iterator[tuple[JobId, os.stat_result]]:
        """The trusted status files in one directory; files of other users are skipped."""
        with os.scandir(f"{self.root}/{place}") as entries:
            for entry in entries:
                if (job := self.layout.job_of_status(entry.name)) is None:
                    continue
                with contextlib.suppress(FileNotFoundError):
                    info = entry.stat(follow_symlinks=False)
                    if self.trusts(info):
                        yield job, info

    def scan_names(self, place: Place) -> Iterator[JobId]:
        """Like ``scan``, but returns names only and skips no files: one system call reads hundreds of entries."""
        with os.scandir(f"{self.root}/{place}") as entries:
            for entry in entries:
                if (job := self.layout.job_of_status(entry.name)) is not None:
                    yield job

    def scan_marks(self) -> Iterator[tuple[JobId, Mark]]:
        with os.scandir(f"{self.root}/{Place.ACCEPTING}") as entries:
            for entry in entries:
                if (found := self.layout.job_of_mark(entry.name)) is not None:
                    yield found

    def trusts(self, info: os.stat_result) -> bool:
        """Whether a status or mark file counts: it must be a regular file that belongs to the user of the daemon."""
        return stat.S_ISREG(info.st_mode) and info.st_uid == self._uid

    # --- status ---

    def read_status(self, job: JobId) -> Found | None:
        """
        The state of one job; None if there is no trusted status file.

        The directories are searched twice if necessary. A file that moves during the search can be missed in all of
        them, and A-REX removes the old status file before it writes the new one.
        """
        return self._look_for_status(job) or self._look_for_status(job)

    def is_live(self, job: JobId) -> bool:
        """Whether a job may still transfer files or run; a status that cannot be parsed counts as active."""
        found = self.read_status(job)
        return found is not None and (found.status is None or found.status.state in ACTIVE)

    def _look_for_status(self, job: JobId) -> Found | None:
        for place in LOOKUP:
            path = self.layout.status_file(place, job)
            try:
                info = os.lstat(path)
            except FileNotFoundError:
                continue
            if not self.trusts(info):
                continue
            try:
                data = atomic.read(path, limit=4096)
            except CorruptFile:
                data = b""  # treat it as an invalid status
            if data is not None:
                shown = stat.S_IMODE(info.st_mode) == 0o644
                return Found(place, codec.parse_status(data), file_time(info.st_mtime), shown)
        return None

    def put_status(self, job: JobId, status: Status, at: Place | None) -> Place:
        """
        Write a new status; this is the last write of every change of state.

        ``at`` is the directory where the status file is now. The new content is written there and the file is then
        moved, so that readers always find exactly one status file.
        """
        to = PLACE_OF[status.state]
        path = self.layout.status_file(at or to, job)
        atomic.put_line(path, codec.dump_status(status), final=to is Place.FINISHED)
        if at is not None and at is not to:
            os.rename(self.layout.status_file(at, job), self.layout.status_file(to, job))
        return to

    def drop_old_status(self, job: JobId, place: Place) -> None:
        """
        Remove other status files of the job, which remain if a daemon was killed between writing the new and removing
        the old one.
        """
        for other in LOOKUP:
            if other is not place:
                atomic.remove(self.layout.status_file(other, job))

    # --- files of a job ---

    def read(self, job: JobId, suffix: str, *, limit: int = atomic.MAX_SIZE) -> bytes | None:
        """
        Content of a control file; None if it does not exist.

        Raises:
            CorruptFile: a link, not a regular file, or larger than ``limit`` bytes.
        """
        return atomic.read(self.layout.job_file(job, suffix), limit=limit)

    def put(self, job: JobId, suffix: str, data: bytes, *, mode: int = 0o600, durable: bool = False) -> None:
        """Replace a file atomically; with ``durable``, flush it to disk if the option ``fsync`` is set."""
        path = self.layout.job_file(job, suffix)
        if self._nested:
            self._make_directories(Path(path).parent)
        atomic.put(path, data, mode=mode, durable=durable and self.durable)

    def reserve(self, job: JobId, description: bytes) -> None:
        """
        Reserve a job id by creating its description.

        Raises:
            FileExistsError: the id is already in use.
        """
        os.close(self.begin(job, description))

    def begin(self, job: JobId, description: bytes) -> int:
        """
        Like ``reserve``; returns a descriptor. Until the caller has closed it, or died, ``unfinished.drop`` knows that
        the submission is at work.
        """
        path = self.layout.job_file(job, "description")
        if self._nested:
            self._make_directories(Path(path).parent)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with contextlib.suppress(OSError):  # a file system without locks: then only the age counts
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            atomic.write_all(fd, description)
            if self.durable:
                os.fsync(fd)
        except BaseException:
            atomic.remove(path)
            os.close(fd)
            raise
        return fd

    def append(self, job: JobId, suffix: str, text: str) -> None:
        atomic.append(self.layout.job_file(job, suffix), codec.encode(text))

    def take(self, job: JobId, suffix: str, path: Path, data: bytes | None = None) -> bool:
        """
        Move a file into the control directory as a control file of the job, replacing an existing one.

        Returns False if ``path`` is not a regular file of the daemon's user. ``data`` is the content, if the caller
        knows it; it is only a hint for caches.

        Raises:
            CorruptFile: it is on another file system, and cannot be read.
        """
        del data
        try:
            info = os.lstat(path)
        except FileNotFoundError:
            return False
        if not self.trusts(info):
            return False
        atomic.open_up(str(path))
        try:
            os.rename(path, self.layout.job_file(job, suffix))
        except OSError as exc:
            if exc.errno != errno.EXDEV:
                raise
            data = atomic.read(str(path))
            self.put(job, suffix, data or b"")
            atomic.remove(str(path))
        return True

    def touch(self, job: JobId, suffix: str) -> None:
        """Create an empty file if it does not exist."""
        atomic.touch(self.layout.job_file(job, suffix))

    def exists(self, job: JobId, suffix: str) -> bool:
        return os.path.lexists(self.layout.job_file(job, suffix))

    def remove(self, job: JobId, suffixes: Iterable[str]) -> None:
        for suffix in suffixes:
            atomic.remove(self.layout.job_file(job, suffix))

    def read_local(self, job: JobId, only: Collection[str] | None = None) -> JobLocal | None:
        """
        Parse ``.local``, or only some keys of it; None if the file does not exist.

        Raises:
            CorruptFile: the file cannot be parsed.
            BlockingIOError: another process writes the file and holds its lock.
        """
        data = atomic.read_locked(self.layout.job_file(job, "local"), limit=1024 * 1024)
        return None if data is None else codec.parse_local(data, only)

    def put_local(self, job: JobId, local: JobLocal) -> None:
        """Raises BlockingIOError while another process holds the lock of the file."""
        atomic.rewrite(self.layout.job_file(job, "local"), codec.dump_local(local))

    def read_entries(self, job: JobId, suffix: str) -> list[FileEntry] | None:
        data = self.read(job, suffix)
        return None if data is None else codec.parse_entries(data)

    def put_entries(self, job: JobId, suffix: str, entries: Iterable[FileEntry]) -> None:
        """
        Write a file list. An existing file with the same content is kept, since creating a file can cost more than
        reading.

        A new list becomes valid with the next status file. After a crash before that, the list is written again.
        """
        data = codec.dump_entries(entries)
        if self.create(job, suffix, data):
            return
        try:
            says_it = self.read(job, suffix) == data
        except CorruptFile:
            says_it = False  # not a regular file; writing it reports the error
        if not says_it:
            self.put(job, suffix, data)

    def create(self, job: JobId, suffix: str, data: bytes, *, durable: bool = False) -> bool:
        """
        Create a file that becomes valid with the next status file. Returns False if the file exists or its directory
        does not.

        This is cheaper than ``put``, but a crash may leave the file empty. The caller must then write it again, as
        ``put_entries`` does.
        """
        try:
            atomic.create(self.layout.job_file(job, suffix), data)
        except (FileExistsError, FileNotFoundError):
            return False
        if durable and self.durable:
            atomic.force(self.layout.job_file(job, suffix))
        return True

    def note(self, job: JobId, text: str) -> None:
        """Add a line to ``.errors``, the job's log for its owner."""
        self.append(job, "errors", text if text.endswith("\n") else text + "\n")

    def failure(self, job: JobId) -> str:
        """The reasons of failure so far, one per line; empty if there are none."""
        data = self.read(job, "failed")
        return "" if data is None else codec.decode(data)

    def drop_jobid(self, job: JobId) -> None:
        """
        Remove ``joboption_jobid`` from ``.grami``, so that a rerun is submitted again. ARC 6.17 keeps the line and
        polls the old job.
        """
        data = self.read(job, "grami")
        if data is not None and b"joboption_jobid=" in data:
            lines = [line for line in data.splitlines(keepends=True) if not line.startswith(b"joboption_jobid=")]
            self.put(job, "grami", b"".join(lines))

    # --- marks ---

    def knows(self, job: JobId) -> bool:
        """Whether any file of this job exists."""
        return self.exists(job, "local") or self.read_status(job) is not None

    def has_mark(self, job: JobId, mark: Mark) -> bool:
        for path in self.layout.mark_files(job, mark):
            with contextlib.suppress(FileNotFoundError):
                if self.trusts(os.lstat(path)):
                    return True
        return False

    def mark_time(self, job: JobId, mark: Mark) -> datetime | None:
        """When a mark was made; None without one."""
        for path in self.layout.mark_files(job, mark):
            with contextlib.suppress(FileNotFoundError):
                info = os.lstat(path)
                if self.trusts(info):
                    return file_time(info.st_mtime)
        return None

    def set_mark(self, job: JobId, mark: Mark) -> None:
        atomic.touch(self.layout.mark_file(job, mark))

    def drop_mark(self, job: JobId, mark: Mark) -> None:
        for path in self.layout.mark_files(job, mark):
            atomic.remove(path)

    def repair(self, job: JobId) -> list[str]:
        """
        Remove what is in the place of a control file and is none: a directory, a pipe, a link, a file of another user;
        give the owner's permissions back to closed files. Returns the suffixes of the files that were removed.

        Raises:
            OSError: something cannot be removed.
        """
        removed = []
        for suffix in AT_CLEAN:
            path = self.layout.job_file(job, suffix)
            try:
                info = os.lstat(path)
            except FileNotFoundError:
                continue
            if self.trusts(info):
                atomic.open_up(path)
            else:
                confined_fs.remove_tree(Path(path))
                removed.append(suffix)
        return removed

    # --- the end of a job ---

    def forget(self, job: JobId) -> None:
        """
        Remove all files of a job except its session directory. The status file goes after all others, and the request
        to clean the job last, so that the removal is repeated after a crash or an error.
        """
        self.remove(job, AT_CLEAN)
        atomic.remove(self.layout.job_file(job, "input_status.lock"))
        for mark in Mark:
            if mark is not Mark.CLEAN:
                self.drop_mark(job, mark)
        for place in LOOKUP:
            atomic.remove(self.layout.status_file(place, job))
        self.drop_mark(job, Mark.CLEAN)
        if self._nested:
            self._prune_nested(job)

    def _make_directories(self, directory: Path) -> None:
        if not directory.is_dir():
            below = directory.relative_to(self.root).parts
            for depth in range(len(below)):  # each with its mode: mkdir(parents=True) would follow the umask
                self.root.joinpath(*below[: depth + 1]).mkdir(mode=0o700, exist_ok=True)

    def _prune_nested(self, job: JobId) -> None:
        directory = Path(self.layout.job_file(job, "local")).parent
        while directory != self.root / "jobs":
            try:
                directory.rmdir()
            except OSError as exc:
                if exc.errno in {errno.ENOTEMPTY, errno.ENOENT, errno.EEXIST}:
                    return
                raise
            directory = directory.parent


def file_time(stamp: float) -> datetime:
    """A file time as datetime, limited to the range that datetime can represent."""
    return datetime.fromtimestamp(min(max(stamp, 0.0), _LAST_MOMENT_S), UTC)
