"""Signals to processes that are identified by more than their pid."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Sequence

from lrms import processes
from lrms.processes import ProcessIdentity

log = logging.getLogger(__name__)


def pidfd(pid: int) -> int | None:
    """
    A handle that stays with this process; None: an old kernel, or no descriptors left.

    Raises:
        ProcessLookupError: there is no such process.
    """
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except (AttributeError, OSError):
        return None


def send(owner: ProcessIdentity, number: signal.Signals) -> None:
    """
    Send a signal to exactly this process, not to one that got its pid later; do nothing if it has ended.

    Raises:
        PermissionError: the process belongs to another user.
    """
    try:
        fd = pidfd(owner.pid)
    except ProcessLookupError:
        return
    try:
        if processes.identify(owner.pid, owner.boot) != owner:
            return
        if fd is None:
            os.kill(owner.pid, number)
        else:
            signal.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        return
    finally:
        if fd is not None:
            os.close(fd)


def alive(identities: Sequence[ProcessIdentity]) -> list[ProcessIdentity]:
    return [each for each in identities if processes.identify(each.pid, each.boot) == each]


def kill(identities: Sequence[ProcessIdentity]) -> None:
    for each in alive(identities):
        with contextlib.suppress(PermissionError):  # of another user
            send(each, signal.SIGKILL)


def sweep(marks: Sequence[bytes]) -> None:
    """Kill all processes that have one of these ``NAME=value``, in a few rounds, since they may fork meanwhile."""
    found = processes.having_environment(*marks)
    for _ in range(10):
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        if not (found := processes.having_environment(*marks)):
            return
    log.warning("processes of lost jobs are still alive after SIGKILL: %s", found)
