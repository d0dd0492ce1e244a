"""
One daemon per control directory: its lock, its pid file, and how it is started and stopped.

The lock is an ``flock``: the kernel drops it when the holder ends, however it ends. The pid file is for clients.
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
    """Held from start to end of a daemon."""

    def __init__(self, controldir: Path) -> None:
        self._path = controldir / LOCK
        self._fd = -1
        self.previous: int | None = None  #: pid of the daemon before us, once the lock is taken

    def take(self) -> None:
        """
        Raises:
            AlreadyRunning: a live process holds it; the message names it.
            ControlDirError: there is something else in its place, or it can't be written.
        """
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise ControlDirError(f"can't lock the control directory: {self._path}: {exc.strerror}") from exc
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise ControlDirError(f"can't lock the control directory: {self._path} is not a regular file")
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
            raise ControlDirError(f"can't write {self._path}: {exc.strerror}") from exc
        self._fd = fd

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def holder(controldir: Path) -> int | None:
    """Pid of the daemon that serves a control directory, None if there is none."""
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
    The pid file and, beside it, the processed configuration that clients of ARC read; returns the latter's path.

    Raises:
        ServiceError: the directory can't be written.
    """
    cfg = cfg_path(path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic.put(str(cfg), runtime_cfg.encode("utf-8", "surrogateescape"))
        atomic.put(str(path), f"{os.getpid()}\n".encode(), mode=0o644)
    except OSError as exc:
        raise ServiceError(f"can't write the pid file {path}: {exc.strerror}") from exc
    return cfg


def remove_pidfile(path: Path) -> None:
    """Only our own: a successor may have written its pid already."""
    with contextlib.suppress(OSError, ValueError):
        if int(path.read_text(encoding="ascii")) == os.getpid():
            path.unlink()


def stop(controldir: Path, *, patience_s: float = 30.0) -> int | None:
    """
    End the daemon of a control directory; its jobs go on.

    Returns:
        the pid that was ended, None if there was no daemon.

    Raises:
        ServiceError: it may not be signalled, or does not end within ``patience_s`` seconds.
    """
    pid = holder(controldir)
    if pid is None:
        return None
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return pid
    except PermissionError as exc:
        raise ServiceError(f"pid {pid} belongs to another user and can't be stopped from here") from exc
    until = time.monotonic() + patience_s
    while holder(controldir) == pid:
        if time.monotonic() > until:
            raise ServiceError(f"pid {pid} did not end within {patience_s:g} s; its log says what it waits for")
        time.sleep(0.02)  # noqa: TID251 - a command that waits, no event loop here
    return pid


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a running daemon says of itself, every few seconds."""

    pid: int
    started: str
    updated: str
    version: str
    controldir: str
    wakeups: str  #: how changes are noticed, and why that way
    states: Mapping[str, int]
    waiting: int  #: new jobs that maxjobs holds back
    lrms: Mapping[str, str]  #: batch system to "ok" or "down since ...: why"
    calls: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  #: commands run since the start
    unsure: Mapping[str, int] = field(default_factory=dict)  #: submissions that are being looked up
    staging: Mapping[str, int] = field(default_factory=dict)  #: counters of transfers since the start
    strays: int = 0  #: jobs with tags of ours that this control directory did not know at start


def write_snapshot(controldir: Path, snapshot: Snapshot) -> None:
    facts = {name: getattr(snapshot, name) for name in Snapshot.__slots__}
    facts["states"], facts["lrms"] = dict(snapshot.states), dict(snapshot.lrms)
    atomic.put(str(controldir / STATUS), json.dumps(facts).encode())


def read_snapshot(controldir: Path) -> Snapshot | None:
    """What the last daemon said; it may be gone by now. None if none ever ran here."""
    try:
        data = atomic.read(str(controldir / STATUS))
        if data is None:
            return None
        facts: dict[str, Any] = json.loads(data)
        return Snapshot(**{name: facts[name] for name in Snapshot.__slots__ if name in facts})
    except (ValueError, KeyError, TypeError, CorruptFile) as exc:
        raise ServiceError(f"{controldir / STATUS} does not read: {exc}; it is rewritten by a running daemon") from exc


def wait_ready(fd: int, patience_s: float) -> str:
    """
    What the starting daemon writes: empty when it is ready, else why it is not.

    Raises:
        ServiceError: neither came in time.
    """
    text = b""
    until = time.monotonic() + patience_s
    while (left := until - time.monotonic()) > 0:
        if not select.select([fd], [], [], left)[0]:
            break
        chunk = os.read(fd, 4096)
        if not chunk:
            return "" if text == b"ready\n" else text.decode(errors="replace").strip() or "it ended without a word"
        text += chunk
        if text == b"ready\n":
            return ""
    raise ServiceError(f"the daemon was not ready within {patience_s:g} s; see its log")
