"""
ARC's lock file, with the content ``PID@HOST``. It is created with a hard link, which succeeds for one process only.

A stale lock is removed and taken. Source: locks of the cache in ARC 6.17.
"""

from __future__ import annotations

import itertools
import os
from enum import Enum
from typing import Final

from arex.controldir import atomic
from arex.controldir.temporary import process_exists

_serial: Final = itertools.count()


class LockResult(Enum):
    """The result of an attempt to take a lock."""

    NO = 0  #: another process holds it
    FREE = 1  #: taken, and no process held it
    LEFT = 2  #: taken from a holder that died, or did not refresh it: what the holder was working on may be incomplete


def take(name: str, stale_s: float) -> LockResult:
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
        taken = LockResult.FREE
        for _ in range(2):  # try again after removing a stale lock
            try:
                os.link(mine, name)
            except FileExistsError:
                if not _drop_stale(name, mine, host, stale_s):
                    return LockResult.NO
                taken = LockResult.LEFT
            else:
                return taken
        return LockResult.NO
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
    dead = where == host and pid.isdigit() and not process_exists(int(pid))
    # our own file was just created on the same file system, so the clocks of other hosts do not matter
    if dead or os.lstat(mine).st_mtime - info.st_mtime > stale_s:
        atomic.remove(name)
        return True
    return False
