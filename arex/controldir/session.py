"""Operations on a session directory and its siblings, safe against everything that the payload can do there."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from arex.controldir import atomic, confined_fs, trees
from arex.errors import CorruptFile, UnsafePath
from arex.model.ids import JobId, is_job_id
from arex.model.session import LRMS, STAGING, SessionPaths

#: Directory in a session root for what could not be removed.
REMOVING: Final = ".arex-removing"
_ORPHAN_S: Final = 86400.0


class SessionFiles(SessionPaths):
    """A session directory and its siblings ``.diag``, ``.comment``, ``.lrms`` and ``.staging``."""

    __slots__ = ()

    def make(self) -> None:
        """
        Create the session directory; it may already exist.

        Raises:
            CorruptFile: the path is a link or not a directory, or belongs to another account.
            OSError: it cannot be created.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.close(confined_fs.open_own_directory(self.path))
        except UnsafePath as exc:
            raise CorruptFile(self.path, f"must be the session directory, but {exc}; remove it") from exc

    def exists(self) -> bool:
        try:
            mode = os.lstat(self.path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return False
        if stat.S_ISLNK(mode):
            return confined_fs.leads_to_scratch(self.path) and self.path.is_dir()
        return stat.S_ISDIR(mode)

    def objection(self, job: JobId) -> str:
        """
        Why this path cannot be the session directory of the job; empty if there is no reason.

        The session directory will be emptied and removed one day. So its name must end with the job's id, and the
        account of the daemon must own it. A directory that does not exist is acceptable.
        """
        if not self.path.is_absolute() or self.path.name != job or ".." in self.path.parts or "\0" in str(self.path):
            return "not an absolute path that ends in the id of the job"
        try:
            info = os.lstat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return ""
        if stat.S_ISLNK(info.st_mode) and not confined_fs.leads_to_scratch(self.path):
            return "a symbolic link"
        if info.st_uid != os.geteuid():
            return "owned by another user"
        return ""

    def make_output_files(self) -> None:
        """
        Create ``.diag`` and ``.comment``; what an earlier run has left in their places is removed.

        Raises:
            UnsafePath: another account has made one of them.
        """
        for path in (self.diag, self.comment):
            try:
                atomic.create(str(path), b"")
            except FileExistsError:
                _replace_strange(path)

    def printed(self) -> bytes | None:
        """
        Content of ``.comment``; None if there is none.

        Raises:
            CorruptFile: it cannot be read, whatever the payload has made of it.
        """
        return _read(self.comment)

    def accounted(self) -> bytes | None:
        """Content of ``.diag``; like ``printed``."""
        return _read(self.diag)

    @property
    def siblings(self) -> tuple[Path, ...]:
        return self.diag, self.comment, self.lrms, self.staging

    def remove(self) -> list[str]:
        """
        Remove the session directory and its siblings; returns what could not be removed, a sentence for each path.

        Raises:
            OSError: a passing condition, for example a read-only file system: repeat it later.
        """
        return [*discard(self.path), *self.remove_siblings()]

    def remove_siblings(self) -> list[str]:
        """Like ``remove``, without the session directory."""
        return [text for path in self.siblings for text in discard(path)]

    def copy_logs(self, name: str, logs: Mapping[str, bytes]) -> None:
        """
        Copy control files into the log directory that the user requested (``gmlog``).

        Raises:
            UnsafePath: the payload left a link in the path.
        """
        for log, data in logs.items():
            with confined_fs.parent_of(self.path, f"{name}/{log}", create=True) as (fd, last):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(last, dir_fd=fd)
                out = os.open(
                    last, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=fd
                )
                try:
                    atomic.write_all(out, data)
                finally:
                    os.close(out)


def root_objection(root: Path) -> str:
    """Why a directory cannot be a session root; empty if it can, or does not exist yet."""
    if _writable_by_all(root) == (True, False):
        return (
            f"session root {root}: every account of this host can replace the files of jobs there, and so run programs "
            f"as the owner of the jobs; use 'chmod 700 {root}'"
        )
    return ""


def root_warning(root: Path) -> str:
    """What is unsafe about a session root that is usable; empty if nothing is."""
    if _writable_by_all(root) == (True, True):
        return (
            f"session root {root}: every account of this host can create files there, which can keep jobs from "
            f"running; use a directory that only the service can write, for example with 'chmod 700 {root}'"
        )
    return ""


def _writable_by_all(root: Path) -> tuple[bool, bool]:
    """Whether all accounts can write there, and whether the sticky bit protects the files of others (as in /tmp)."""
    try:
        mode = root.stat().st_mode
    except OSError:
        return False, False  # whoever uses it reports the error
    return bool(mode & stat.S_IWOTH), bool(mode & stat.S_ISVTX)


def _replace_strange(path: Path) -> None:
    """Replace what is not a writable regular file of this account by an empty file."""
    info = os.lstat(path)
    if (
        stat.S_ISREG(info.st_mode)
        and info.st_uid == os.geteuid()
        and info.st_mode & 0o600 == 0o600
        and info.st_nlink == 1
    ):
        return
    discard(path)
    try:
        atomic.create(str(path), b"")
    except FileExistsError as exc:
        raise UnsafePath(f"{path} belongs to another account, or cannot be removed") from exc


def _read(path: Path) -> bytes | None:
    try:
        atomic.open_up(str(path))
        return atomic.read(str(path))
    except OSError as exc:
        raise CorruptFile(path, f"cannot be read: {exc.strerror}") from exc


def discard(path: Path) -> list[str]:
    """
    Remove a file or directory in a session root if it exists.

    What cannot be removed, for example a file of another account, is moved out of the way if possible; then
    ``retry_removals`` removes it one day. Returns a sentence about it, or nothing.

    Raises:
        OSError: a passing condition, for example a read-only file system: repeat it later.
    """
    if not (obstacles := trees.remove(path)):
        return []
    try:
        with confined_fs.own_directory(path.with_name(REMOVING)) as aside:
            path.rename(aside / f"{path.name}~{os.urandom(4).hex()}")
    except (OSError, UnsafePath):
        return [f"Cannot remove {path}: {obstacles}"]
    return [f"Cannot remove {path}: {obstacles}. It is in {path.with_name(REMOVING)} now"]


def orphan_siblings(root: Path, now: datetime) -> list[Path]:
    """
    Directories that arex made beside session directories (``.lrms``, ``.staging``) whose session directory is gone.

    A real A-REX leaves them when it cleans a job. One that changed during the last day does not count.

    Raises:
        OSError: the session root cannot be read.
    """
    found = []
    with os.scandir(root) as entries:
        names = {entry.name for entry in entries}
    for name in sorted(names):
        job, _, suffix = name.rpartition(".")
        if f".{suffix}" not in {LRMS, STAGING} or not is_job_id(job) or job in names:
            continue
        with contextlib.suppress(FileNotFoundError):
            info = (root / name).lstat()
            if info.st_uid == os.geteuid() and now.timestamp() - info.st_mtime > _ORPHAN_S:
                found.append(root / name)
    return found


def retry_removals(root: Path) -> int:
    """
    Try again to remove what ``discard`` has moved aside in a session root; returns the number of trees still there.

    Raises:
        OSError: the session root cannot be read, or a passing condition: repeat it later.
        UnsafePath: the directory is not what ``discard`` has made.
    """
    try:
        with confined_fs.own_directory(root / REMOVING, create=False) as aside:
            left = sum(bool(trees.remove(aside / name)) for name in os.listdir(aside))
    except FileNotFoundError:
        return 0
    if not left:
        with contextlib.suppress(OSError):  # a job has just moved something there
            (root / REMOVING).rmdir()
    return left
