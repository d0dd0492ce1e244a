"""The lock of a control directory, and which daemon holds it. The kernel releases it when the process ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arex.controldir import atomic, procfs
from arex.errors import AlreadyRunning, ControlDirError, ServiceLost

if TYPE_CHECKING:
    import logging

LOCK: Final = "arex.lock"
#: What ``holder`` returns for a daemon whose pid is unknown.
UNKNOWN_PID: Final = 0


#: ``struct flock``: type, whence, start, length, pid. Source: fcntl(2).
_FLOCK: Final = "hhqqi4x"
_WHOLE_FILE: Final = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


class Lock:
    """
    The lock of the control directory, held by the daemon while it runs.

    There are two locks: on ``arex.lock``, and on the directory itself, which still holds after the file was
    removed. File systems that cannot lock directories (NFS) do without the second one.

    Jobs can have the same account, and take these locks while no daemon runs. They do not keep the daemon from its
    start: it does without the lock of the directory until they release it, and makes a new ``arex.lock``.
    """

    def __init__(self, controldir: Path) -> None:
        self._path = controldir / LOCK
        self._fd = self._directory_fd = -1
        self._blocked_by_jobs = False

    def take(self) -> None:
        """
        Take the lock.

        Raises:
            AlreadyRunning: another process holds the lock; the message contains its pid.
            ControlDirError: the path is not a regular file, or is not writable.
        """
        try:
            self._take_directory()
            self._fd = self._take_file()
        except BaseException:
            self.release()
            raise

    def _take_directory(self) -> None:
        directory = self._path.parent
        try:
            self._directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as exc:
            raise ControlDirError(f"cannot lock the control directory: {directory}: {exc.strerror}") from exc
        try:
            fcntl.flock(self._directory_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            owners = procfs.flock_owners(directory, shared=True)
            if not procfs.all_jobs(owners):
                raise self._taken(owners) from exc
            self._blocked_by_jobs = True
            what = "jobs have locked the control directory (%s); arex does without this lock until they release it"
            who = "; ".join(map(procfs.described, owners))
            _logger().warning(what, who, extra={"event": "service.lock"})
        except OSError as exc:
            _logger().debug("cannot lock the directory %s itself: %s", directory, exc.strerror)

    def _retry_directory(self) -> None:
        if self._blocked_by_jobs:
            with contextlib.suppress(OSError):
                fcntl.flock(self._directory_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._blocked_by_jobs = False

    def _take_file(self, *, last: bool = False) -> int:
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise ControlDirError(f"cannot lock the control directory: {self._path}: {exc.strerror}") from exc
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise ControlDirError(f"cannot lock the control directory: {self._path} is not a regular file")
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _WHOLE_FILE)
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError as exc:
            pid = _pid_in(fd)
            os.close(fd)
            users = procfs.users_of(self._path)
            if last or not procfs.only_jobs_use(self._path):
                raise self._taken([pid] if pid is not None and procfs.is_daemon(pid) else users) from exc
            who = "; ".join(map(procfs.described, users))
            _logger().warning("jobs have locked %s (%s): it is made again", self._path, who,
                              extra={"event": "service.lock"})  # fmt: skip
            atomic.remove(str(self._path))
            return self._take_file(last=True)
        except OSError as exc:
            os.close(fd)
            raise ControlDirError(f"cannot lock {self._path}: {exc.strerror}") from exc
        return fd

    def _taken(self, owners: list[int]) -> AlreadyRunning:
        """Who holds a lock; ``owners`` may include jobs, and this process if another part of it has the lock."""
        owners = [pid for pid in owners if not procfs.is_job(pid)]
        daemons = [pid for pid in owners if pid == os.getpid() or procfs.is_daemon(pid)]
        if owners and not daemons:
            who = "; ".join(map(procfs.described, owners))
            return AlreadyRunning(
                f"another process ({who}) holds the lock of {self._path.parent}: end it, or use another controldir"
            )
        return AlreadyRunning(
            f"another arex (pid {daemons[0] if daemons else 'unknown'}) serves {self._path.parent}: "
            "stop it with 'arex stop', or use another controldir"
        )

    def is_in_place(self) -> bool:
        """
        Whether the control directory is where it was; a lock file that was removed is made again.

        Raises:
            ServiceLost: another daemon has taken the lock.
        """
        try:
            if not os.path.samestat(self._path.parent.stat(), os.fstat(self._directory_fd)):
                return False
            self._retry_directory()
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(self._path.lstat(), os.fstat(self._fd)):
                    return True
        except OSError:
            return False
        try:
            fd = self._take_file()
        except AlreadyRunning as exc:
            raise ServiceLost(f"{exc}. It replaced {self._path}, so this one stops") from exc
        except ControlDirError as exc:
            _logger().warning("the lock file was replaced: %s", exc, extra={"event": "service.lock"})
            return True
        what = "the lock file was removed by another process; it is made again"
        _logger().warning(what, extra={"event": "service.lock"})
        self._fd, old = fd, self._fd
        os.close(old)
        return True

    def release(self) -> None:
        for fd in (self._fd, self._directory_fd):
            if fd >= 0:
                os.close(fd)
        self._fd = self._directory_fd = -1
        self._blocked_by_jobs = False


def _logger() -> logging.Logger:
    import logging  # noqa: PLC0415 - clients need only ``holder``, and must start quickly

    return logging.getLogger(__name__)


def _pid_in(fd: int) -> int | None:
    text = os.pread(fd, 32, 0).strip()
    return int(text) if re.fullmatch(rb"[0-9]{1,18}", text) else None


def holder(controldir: Path) -> int | None:
    """
    Pid of the running daemon of a control directory; None if there is none, ``UNKNOWN_PID`` if its pid is unknown.
    Takes no lock.

    The kernel reports who has locked the directory. Only where it does not, the pid in the lock file counts. A job can
    have written that, so it must be the pid of a daemon of arex.
    """
    owners = [pid for pid in procfs.flock_owners(controldir) if not procfs.is_job(pid)]
    if owners:
        return owners[0]
    path = controldir / LOCK
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _WHOLE_FILE))[0] == fcntl.F_UNLCK:
            return None
        pid = _pid_in(fd)
    finally:
        os.close(fd)
    if pid is not None and pid > 1 and procfs.is_daemon(pid):
        return pid
    return None if procfs.only_jobs_use(path) else UNKNOWN_PID
