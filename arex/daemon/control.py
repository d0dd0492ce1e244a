"""Starting and stopping the daemon: its pid file, which is for clients, and what ``arex start`` and ``stop`` do."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import time
from pathlib import Path
from typing import Final

from arex.config.runtime import cfg_path
from arex.controldir import atomic
from arex.controldir.temporary import process_exists
from arex.daemon.lock import LOCK, UNKNOWN_PID, holder
from arex.errors import ServiceError

_PR_SET_DUMPABLE: Final = 4


def seclude() -> None:
    """
    Make this process private and independent of its parent.

    Jobs can have the same account, and could read secrets in ``/proc/PID/environ`` or in the memory of this process.
    If the parent ignores SIGCHLD, the kernel would not report how the programs ended that we start.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


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
        ServiceError: the daemon belongs to another user, its pid is unknown, or it does not exit within ``patience_s``
            seconds.
    """
    pid = holder(controldir)
    if pid is None:
        return None
    if pid == UNKNOWN_PID:  # never a pid for kill(2): 0 is the process group of the caller
        raise ServiceError(
            f"arex serves {controldir}, but its pid is unknown: another process has changed {controldir / LOCK}. "
            "Find the pid with 'pgrep -af arex', and stop it with 'kill PID'"
        )
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return pid
    except PermissionError as exc:
        raise ServiceError(f"cannot stop pid {pid}: it belongs to another user") from exc
    until = time.monotonic() + patience_s
    while holder(controldir) in {pid, UNKNOWN_PID} and process_exists(pid):
        if time.monotonic() > until:
            raise ServiceError(f"pid {pid} did not exit within {patience_s:g} s; see its log")
        time.sleep(0.02)  # noqa: TID251 - a command that waits, no event loop here
    return pid


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
