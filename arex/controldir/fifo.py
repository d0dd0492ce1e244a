"""
``gm.fifo``: clients send the ids of jobs that have changed.

A message is an id followed by NUL. A lone NUL requests a scan. Source: ``docs/developers/control-directory.md``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from arex.controldir.temporary import temporary_name
from arex.errors import AlreadyRunning, ControlDirError
from arex.model.ids import JobId, is_job_id

NAME: Final = "gm.fifo"
#: ARC 6.17 ends messages with NUL. Some scripts add a newline, which would otherwise become part of the next id.
_ENDS: Final = re.compile(rb"[\0\n]")
_MOST: Final = 64


def ring(controldir: Path, job: JobId | None = None) -> bool:
    """
    Notify the daemon that a job has changed, or request a scan.

    Returns False if no daemon was notified: none is running, or the pipe cannot be used. That is not an error, since
    the change is on disk already and the next scan finds it.
    """
    try:
        fd = os.open(controldir / NAME, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if not stat.S_ISFIFO(os.fstat(fd).st_mode):
            return False
        # if the pipe is full, thousands of messages are waiting, and the next scan will also find this job
        with contextlib.suppress(BlockingIOError):
            os.write(fd, (job or "").encode() + b"\0")
    except OSError:
        return False  # the daemon has ended since we opened the pipe
    finally:
        os.close(fd)
    return True


class Messages:
    """Parses data from the pipe into job ids; an invalid id becomes a request for a scan."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[JobId | None]:
        *whole, self._rest = _ENDS.split(self._rest + data)
        if len(self._rest) > _MOST:
            self._rest = b""
        return [self._id(part) for part in whole]

    @staticmethod
    def _id(part: bytes) -> JobId | None:
        text = part.decode("ascii", "replace")
        return JobId(text) if is_job_id(text) else None


class Fifo:
    """The reading end of the pipe, used by the daemon."""

    def __init__(self, controldir: Path) -> None:
        self._path = controldir / NAME
        self._fd = -1
        self._keep = -1
        self._messages = Messages()

    def open(self) -> None:
        """
        Create the pipe if necessary, and open it. A pipe that only jobs read is replaced by a new one.

        Raises:
            AlreadyRunning: another daemon reads this pipe.
            ControlDirError: the path exists and is not a pipe.
        """
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self._path, 0o600)
        if not stat.S_ISFIFO(os.lstat(self._path).st_mode):
            raise ControlDirError(f"{self._path} is not a pipe: remove it and start again")
        if self._has_reader():
            self._refuse_other_daemon()
            self._replace()
        else:
            self._open_ends(self._path)

    def _open_ends(self, path: Path | str) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        # the daemon keeps a writing end open; otherwise reads would report end of file after each client's message
        self._keep = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)

    def _replace(self) -> None:
        """Put a new pipe in place of the old one, without a moment in which clients find none."""
        new = temporary_name(str(self._path))
        os.mkfifo(new, 0o600)
        try:
            self._open_ends(new)
            os.rename(new, self._path)
        except OSError:
            os.unlink(new)
            raise

    def _has_reader(self) -> bool:
        try:
            other = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as exc:
            if exc.errno == errno.ENXIO:
                return False
            raise ControlDirError(f"cannot open {self._path}: {exc.strerror}") from exc
        os.close(other)
        return True

    def _refuse_other_daemon(self) -> None:
        from arex.controldir import procfs  # noqa: PLC0415 - not needed by clients

        users = procfs.users_of(self._path)
        if not procfs.all_jobs(users):
            who = "; ".join(procfs.described(pid) for pid in users if not procfs.is_job(pid))
            raise AlreadyRunning(f"another daemon reads {self._path}: stop it first{who and f' ({who})'}")

    def listen(self, look: Callable[[JobId], None], rescan: Callable[[], None]) -> None:
        """From now on, call back on the event loop for each message."""
        import asyncio  # noqa: PLC0415 - not needed by clients, which must start quickly

        asyncio.get_running_loop().add_reader(self._fd, self._read, look, rescan)

    def _read(self, look: Callable[[JobId], None], rescan: Callable[[], None]) -> None:
        with contextlib.suppress(BlockingIOError):
            for job in self._messages.feed(os.read(self._fd, 65536)):
                if job is None:
                    rescan()
                else:
                    look(job)

    def close(self) -> None:
        if self._fd >= 0:
            import asyncio  # noqa: PLC0415 - as above

            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            os.close(self._keep)
            self._fd = self._keep = -1
