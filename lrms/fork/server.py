"""
The forkserver: a small process that forks a supervisor for each job. Forking the daemon itself would cost
ten times as much and copy all its memory.

It communicates over one socket that keeps message boundaries (SOCK_SEQPACKET). In: orders as JSON, a list of the
fields of ``Order``. Out: ``[number, pid, sender, ""]`` from a supervisor, ``pid`` being the one that has the attempt,
``[number, 0, 0, why]`` when nothing was started, ``[-1, pid, 0, ""]`` when a supervisor has ended.
It ends when the other side closes; the supervisors continue. Standard library only.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
from typing import NoReturn

from lrms.fork.supervisor import Order, supervise
from lrms.processes import boot_id

#: Longest order; a path has at most 4096 bytes, escaped maybe six times that.
_LARGEST = 131072
ENDED = -1


def main() -> None:
    """Serve the socket that is file descriptor ``argv[1]`` until its other side closes."""
    fd = int(sys.argv[1])
    os.set_inheritable(fd, False)
    # the wake-up pipe: a signal makes poll return
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    boot = boot_id()
    gc.collect()
    gc.freeze()  # objects that the collector does not touch are not copied into children
    gc.disable()
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    poll.register(woken, select.POLLIN)
    while True:
        ready = dict(poll.poll())
        if woken in ready:
            os.read(woken, 4096)
            _report_ended(fd)
        if ready.get(fd, 0) & (select.POLLHUP | select.POLLERR):
            return  # and drop the orders of a dead daemon: the next one finds that they were not started
        if fd in ready:
            _fork(fd, Order(*json.loads(os.read(fd, _LARGEST))), boot, (woken, wake))


def _report_ended(fd: int) -> None:
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _send(fd, ENDED, pid)


def _send(fd: int, number: int, pid: int, *, sender: int = 0, why: str = "") -> None:
    try:
        os.write(fd, json.dumps([number, pid, sender, why]).encode())
    except (BrokenPipeError, ConnectionResetError):
        return  # the daemon has gone; the next one reads the run directories


def _fork(fd: int, order: Order, boot: str, pipe: tuple[int, int]) -> None:
    try:
        pid = os.fork()
    except OSError as exc:
        _send(fd, order.number, 0, why=f"fork failed: {exc}")
        return
    if pid == 0:
        _be_supervisor(fd, order, boot, pipe)


def _be_supervisor(fd: int, order: Order, boot: str, pipe: tuple[int, int]) -> NoReturn:
    answered = False

    def answer(pid: int) -> None:
        nonlocal answered
        answered = True
        _send(fd, order.number, pid, sender=os.getpid())
        os.close(fd)  # otherwise the daemon would not notice the end of the forkserver

    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        for each in pipe:
            os.close(each)
        supervise(order, boot, answer)
    except BaseException as exc:  # noqa: BLE001 - a fork of the forkserver must never go on as one
        if not answered:
            _send(fd, order.number, 0, why=str(exc))
        else:
            sys.excepthook(type(exc), exc, exc.__traceback__)  # standard error is SESSION.comment
        os._exit(1)
    os._exit(0)
