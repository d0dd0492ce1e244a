"""Operations on a session directory and its siblings, safe against everything that the payload can do there."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping

from arex.controldir import atomic, confined_fs
from arex.errors import CorruptFile
from arex.model.ids import JobId
from arex.model.session import SessionPaths


class SessionFiles(SessionPaths):
    """A session directory and its siblings ``.diag``, ``.comment``, ``.lrms`` and ``.staging``."""

    __slots__ = ()

    def make(self) -> None:
        """
        Create the session directory; it may already exist.

        Raises:
            CorruptFile: the path is a link or not a directory.
            OSError: it cannot be created.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            self.path.mkdir(mode=0o700)
        if self.path.is_symlink() or not self.path.is_dir():
            raise CorruptFile(self.path, "must be the session directory, but is a link or a file; remove it")

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

    def remove(self) -> None:
        confined_fs.remove_tree(self.path)
        self.remove_siblings()

    def remove_siblings(self) -> None:
        for path in (
            self.diag,
            self.comment,
            self.lrms,
            self.staging,
        ):  # the payload may have replaced any of these paths
            confined_fs.remove_tree(path)

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
