"""
The forkserver: a small process that forks a supervisor for each job. Forking the daemon itself would cost
ten times as much and copy all its memory.

It communicates over one socket that keeps message boundaries (SOCK_SEQPACKET). In: orders as JSON, a list of the
fields of ``Order``. Out: ``[number, pid, sender, ""]`` from a supervisor, ``pid`` being the one that has the attempt,
``[number, 0, 0, why]`` when nothing was started, ``[-1, pid, status, ""]`` when a supervisor has ended and nothing of
its job is left; ``status`` is what ``waitpid`` says. ``[-2, 0, 0, why]``: it must be replaced,
and reads no more orders.

It is a subreaper: what a killed supervisor leaves becomes its child, and is killed. So it stays, after the other side
has closed, until its last supervisor has ended. Standard library only.

A job has the same account, so it can change the resource limits of this process, which all later jobs would inherit.
They are compared with those of the daemon before each order. A hard limit that was lowered cannot be raised again; then
another forkserver is needed.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
from typing import Final, NoReturn

from lrms.fork.order import Order
from lrms.fork.supervisor import be_private, be_subreaper, supervise
from lrms.processes import boot_id, children, descendants, identify
from lrms.rlimits import Limits, restore

#: Longest order; a path has at most 4096 bytes, escaped maybe six times that.
_LARGEST: Final = 131072
ENDED: Final = -1
REPLACE: Final = -2
#: How the answer begins when this machine, or this process, has no room for another process.
FORK_FAILED: Final = "fork failed: "
#: Milliseconds between attempts to kill what a supervisor has left.
_AGAIN_MS: Final = 100


def main() -> None:
    """
    Serve the socket that is file descriptor ``argv[1]`` until its other side closes.

    ``argv[2]``: the resource limits of the daemon. Those of this process may have been changed before it could look.
    """
    own_limits = [(soft, hard) for soft, hard in json.loads(sys.argv[2])]
    fd = int(sys.argv[1])
    os.set_inheritable(fd, False)
    # the wake-up pipe: a signal makes poll return
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    be_subreaper()
    be_private()
    boot = boot_id()
    gc.collect()
    gc.freeze()  # objects that the collector does not touch are not copied into children
    gc.disable()
    _Forkserver(fd, (woken, wake), boot, own_limits).run()


class _Forkserver:
    """The loop; ``pipe`` is the wake-up pipe."""

    def __init__(self, fd: int, pipe: tuple[int, int], boot: str, own_limits: Limits) -> None:
        self._fd, self._pipe, self._boot, self._limits = fd, pipe, boot, own_limits
        self._serves = True  #: it reads orders
        self._supervisors: set[int] = set()
        self._killed: set[int] = set()  #: what was left in the last round
        self._ended: list[tuple[int, int]] = []  #: supervisors that have ended, and how, while we end what they left
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._poll.register(pipe[0], select.POLLIN)

    def run(self) -> None:
        """Serve until the other side has closed and no supervisor is left."""
        connected = True
        while connected or self._supervisors or self._ended:
            ready = dict(self._poll.poll(_AGAIN_MS if self._ended else None))
            if self._pipe[0] in ready:
                os.read(self._pipe[0], 4096)
            self._collect()
            if ready.get(self._fd, 0) & (select.POLLHUP | select.POLLERR):
                # drop the orders of a dead daemon: the next one finds that they were not started
                self._poll.unregister(self._fd)
                connected = self._serves = False
            elif self._fd in ready and self._keeps_limits():
                self._fork(Order(*json.loads(os.read(self._fd, _LARGEST))))

    def _keeps_limits(self) -> bool:
        """Whether the limits are those of the start, again if need be. If not, ask the daemon for a replacement."""
        changed = restore(self._limits)
        if changed and self._serves:
            self._serves = False
            self._poll.modify(self._fd, 0)  # the daemon closes the connection, which poll still reports
            self._send(REPLACE, 0, why=f"another process has lowered its resource limits ({changed})")
        return not changed

    def _collect(self) -> None:
        """Wait for ended children; report supervisors as soon as nothing of their jobs is left."""
        alone = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                alone = True  # nothing has been left, for it would be our child
                break
            if pid == 0:
                break
            if pid in self._supervisors:
                self._supervisors.discard(pid)
                self._ended.append((pid, status))
        if self._ended and (alone or not self._kill_orphans()):
            for pid, status in self._ended:
                self._send(ENDED, pid, status)
            self._ended.clear()

    def _kill_orphans(self) -> bool:
        """Kill what killed supervisors have left; returns whether there may be more that can be killed."""
        found = False
        try:
            roots = [pid for pid in children(os.getpid()) if pid not in self._supervisors]
            # at once, because they may fork and end meanwhile; what is below them becomes our child
            killed = {pid for pid in roots if _kill(pid)}
            # one that had ended already may have left a child after we looked; a zombie can stay if it is traced
            if killed and (killed != self._killed or any(identify(pid, self._boot) is not None for pid in killed)):
                self._killed = killed
                return True
            for pid in [below for root in roots for below in descendants(root)]:
                if identify(pid, self._boot) is not None:
                    found |= _kill(pid)
        except OSError:
            self._keeps_limits()
            return True  # this machine, or this process, has no descriptors or memory left
        return found

    def _send(self, number: int, pid: int, sender: int = 0, why: str = "") -> None:
        try:
            os.write(self._fd, json.dumps([number, pid, sender, why]).encode())
        except OSError:
            return  # the daemon has gone; the next one reads the run directories

    def _fork(self, order: Order) -> None:
        try:
            pid = os.fork()
        except OSError as exc:
            self._send(order.number, 0, why=f"{FORK_FAILED}{exc}")
            return
        if pid == 0:
            self._be_supervisor(order)
        self._supervisors.add(pid)

    def _be_supervisor(self, order: Order) -> NoReturn:
        answered = False

        def answer(pid: int) -> None:
            nonlocal answered
            answered = True
            self._send(order.number, pid, os.getpid())
            os.close(self._fd)  # otherwise the daemon would not notice the end of the forkserver

        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            for each in self._pipe:
                os.close(each)
            supervise(order, self._boot, self._limits, answer)
        except BaseException as exc:  # noqa: BLE001 - a fork of the forkserver must never go on as one
            if not answered:
                self._send(order.number, 0, why=str(exc))
            else:
                sys.excepthook(type(exc), exc, exc.__traceback__)  # standard error is SESSION.comment
            os._exit(1)
        os._exit(0)


def _kill(pid: int) -> bool:
    """Whether it was there, and ours."""
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True
