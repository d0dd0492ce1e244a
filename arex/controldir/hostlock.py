"""
ARC's lock file, with the content ``PID@HOST``. It is created with a hard link, which succeeds for one process only.

A stale lock is removed and taken. Source: locks of the cache in ARC 6.17.
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
    Try once to take the lock file ``name``, without waiting.

    A lock is stale if its holder is a dead process of this host, or if it was not refreshed for ``stale_s`` seconds. A
    process that needs the lock for longer must call ``refresh``.

    Raises:
        OSError: the directory is not writable.
    """
    host = os.uname().nodename
    mine = f"{name}.{os.getpid():x}.{next(_serial):x}"
    atomic.put(mine, f"{os.getpid()}@{host}".encode())
    try:
        for _ in range(2):  # try again after removing a stale lock
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
    """Renew the lock, so that other processes do not consider it stale."""
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
    # our own file was just created on the same file system, so the clocks of other hosts do not matter
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
