"""
The daemon of a control directory: its lock, its pid file, starting and stopping.

The lock is an ``flock``, which the kernel releases when the process ends, also after a crash. The pid file is for
clients.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from arex.config.runtime import cfg_path
from arex.controldir import atomic
from arex.errors import AlreadyRunning, ControlDirError, CorruptFile, ServiceError

LOCK: Final = "arex.lock"
STATUS: Final = "arex.status"


class Lock:
    """The lock of the control directory, held by the daemon while it runs."""

    def __init__(self, controldir: Path) -> None:
        self._path = controldir / LOCK
        self._fd = -1
        self.previous: int | None = None  #: pid of the previous daemon, known once the lock is taken

    def take(self) -> None:
        """
        Take the lock.

        Raises:
            AlreadyRunning: another process holds the lock; the message contains its pid.
            ControlDirError: the path is not a regular file, or is not writable.
        """
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise ControlDirError(f"cannot lock the control directory: {self._path}: {exc.strerror}") from exc
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise ControlDirError(f"cannot lock the control directory: {self._path} is not a regular file")
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            pid = os.read(fd, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise AlreadyRunning(
                f"another arex (pid {pid}) serves {self._path.parent}: "
                "stop it with 'arex stop', or use another controldir"
            ) from exc
        before = os.read(fd, 32).decode("ascii", "replace").strip()
        self.previous = int(before) if before.isdigit() else None
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except OSError as exc:
            os.close(fd)
            raise ControlDirError(f"cannot write {self._path}: {exc.strerror}") from exc
        self._fd = fd

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def holder(controldir: Path) -> int | None:
    """Pid of the running daemon of a control directory; None if there is none."""
    try:
        fd = os.open(controldir / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(fd, 32).decode("ascii", "replace").strip()
        return int(text) if text.isdigit() else None
    else:
        return None
    finally:
        os.close(fd)


def write_pidfile(path: Path, runtime_cfg: str) -> Path:
    """
    Write the pid file and, beside it, the processed configuration for ARC's clients; returns the path of the latter.

    Raises:
        ServiceError: the directory is not writable.
    """
    cfg = cfg_path(path)
    target = path.parent
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = cfg
        atomic.put(str(cfg), runtime_cfg.encode("utf-8", "surrogateescape"))
        target = path
        atomic.put(str(path), f"{os.getpid()}\n".encode(), mode=0o644)
    except OSError as exc:
        raise ServiceError(f"cannot write {target}: {exc.strerror}; set another pidfile") from exc
    return cfg


def remove_pidfile(path: Path) -> None:
    """Remove the pid file if it has our pid, since a new daemon may already have written its pid."""
    with contextlib.suppress(OSError, ValueError):
        if int(path.read_text(encoding="ascii")) == os.getpid():
            path.unlink()


def stop(controldir: Path, *, patience_s: float = 30.0) -> int | None:
    """
    Stop the daemon of a control directory; its jobs continue.

    Returns:
        the pid of the stopped daemon, or None if no daemon was running.

    Raises:
        ServiceError: the daemon belongs to another user, or does not exit within ``patience_s`` seconds.
    """
    pid = holder(controldir)
    if pid is None:
        return None
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return pid
    except PermissionError as exc:
        raise ServiceError(f"cannot stop pid {pid}: it belongs to another user") from exc
    until = time.monotonic() + patience_s
    while holder(controldir) == pid:
        if time.monotonic() > until:
            raise ServiceError(f"pid {pid} did not exit within {patience_s:g} s; see its log")
        time.sleep(0.02)  # noqa: TID251 - a command that waits, no event loop here
    return pid


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Status of a running daemon, written every few seconds if it has changed."""

    pid: int
    started: str
    updated: str
    version: str
    controldir: str
    wakeups: str  #: how arex detects changes, and why it uses this method
    states: Mapping[str, int]
    waiting: int  #: new jobs that wait because of maxjobs
    lrms: Mapping[str, str]  #: batch system to "ok" or "down since ...: why"
    calls: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  #: commands run since the start
    unsure: Mapping[str, int] = field(default_factory=dict)  #: submissions that are being looked up
    staging: Mapping[str, int] = field(default_factory=dict)  #: counters of transfers since the start
    strays: int = 0  #: orphans at start: batch jobs with a tag of arex that belonged to no job in the control directory


def write_snapshot(controldir: Path, snapshot: Snapshot) -> None:
    facts = {name: getattr(snapshot, name) for name in Snapshot.__slots__}
    facts["states"], facts["lrms"] = dict(snapshot.states), dict(snapshot.lrms)
    atomic.put(str(controldir / STATUS), json.dumps(facts).encode())


def read_snapshot(controldir: Path) -> Snapshot | None:
    """The last status that a daemon wrote, which may have exited since; None if no daemon ever ran here."""
    try:
        data = atomic.read(str(controldir / STATUS))
        if data is None:
            return None
        facts: dict[str, Any] = json.loads(data)
        return Snapshot(**{name: facts[name] for name in Snapshot.__slots__ if name in facts})
    except (ValueError, KeyError, TypeError, CorruptFile) as exc:
        raise ServiceError(f"{controldir / STATUS} cannot be parsed: {exc}; a running daemon rewrites it") from exc


def wait_ready(fd: int, patience_s: float, log_file: Path) -> str:
    """
    Wait for the starting daemon. Returns its error message, or an empty text once it is ready.

    Raises:
        ServiceError: the daemon did not report anything in time.
    """
    text = b""
    until = time.monotonic() + patience_s
    while (left := until - time.monotonic()) > 0:
        if not select.select([fd], [], [], left)[0]:
            break
        chunk = os.read(fd, 4096)
        if not chunk:
            if text == b"ready\n":
                return ""
            return text.decode(errors="replace").strip() or "it exited without an error message"
        text += chunk
        if text == b"ready\n":
            return ""
    raise ServiceError(f"the daemon was not ready within {patience_s:g} s; see its log: {log_file}")
