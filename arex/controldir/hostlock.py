"""
ARC's lock file: ``PID@HOST``, made by a hard link so that one of several wins, taken over from the dead.

Source: locks of the cache in ARC 6.17.
"""

from __future__ import annotations

import errno
import itertools
import os
from typing import Final

from arex.controldir import atomic

_serial: Final = itertools.count()


def take(name: str, stale_s: float) -> bool:
    """
    One attempt to take the lock file ``name``, without waiting.

    A holder that is dead, on this host, or has not touched its lock for ``stale_s`` seconds has lost it; whoever
    holds one for longer says so with ``refresh``.

    Raises:
        OSError: the directory can't be written.
    """
    host = os.uname().nodename
    mine = f"{name}.{os.getpid():x}.{next(_serial):x}"
    atomic.put(mine, f"{os.getpid()}@{host}".encode())
    try:
        for _ in range(2):  # once more after a lock of the dead has gone
            try:
                os.link(mine, name)
            except FileExistsError:
                if not _drop_stale(name, mine, host, stale_s):
                    return False
            else:
                return True
        return False
    finally:
        os.unlink(mine)


def refresh(name: str) -> None:
    """Show that the holder lives."""
    os.utime(name)


def release(name: str) -> None:
    """Release the lock; not an error if another process removed it as stale."""
    atomic.remove(name)


def _drop_stale(name: str, mine: str, host: str, stale_s: float) -> bool:
    try:
        info = os.lstat(name)
        holder = (atomic.read(name, limit=4096) or b"").decode("utf-8", "replace")
    except FileNotFoundError:
        return True
    pid, _, where = holder.partition("@")
    dead = where == host and pid.isdigit() and not _alive(int(pid))
    # our own file is as old as this attempt, by the clock of the same file system
    if dead or os.lstat(mine).st_mtime - info.st_mtime > stale_s:
        atomic.remove(name)
        return True
    return False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as exc:
        return exc.errno == errno.EPERM
    return True
