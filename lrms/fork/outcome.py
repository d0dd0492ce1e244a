"""
How a job ended, and what its supervisor writes about it: the last accounting lines and the completion record.

Standard library only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import Final

from lrms.fork import rundir
from lrms.fork.order import Order
from lrms.fork.usage import ProcessUsage
from lrms.processes import stat, user_of

#: The exit code of a job that the supervisor ended: as if by this signal.
_SIGNAL_OF: Final = {"walltime": 9, "cputime": 9, "memory": 9, "cancelled": 15}


def say(text: str) -> None:
    """Print a line into SESSION.comment, if there is room: how a job ended does not depend on it."""
    try:
        os.write(1, f"{text}\n".encode("utf-8", "surrogateescape"))
    except OSError:
        return


class JobOutcome:
    """What is known about the end of one job."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.usage = ProcessUsage()
        self.status: int | None = None  #: of the script, from wait
        self.begin()
        self._root = rundir.root_identity(order.rundir)
        self._stopped = ""
        self._reason = ""  #: why the payload could not be started
        self._left: list[str] = []
        self._ended = 0.0
        self._wall_s = 0.0
        self._removed = False  #: the run directory was, so the payload has run
        self._verdict: tuple[int | None, int | None, str] | None = None
        self._accounted = False

    def begin(self) -> None:
        """The job begins now."""
        self._began = time.time()  # noqa: TID251 - a separate process: there is no Clock to pass in
        self._began_s = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began_s

    def leave(self, pids: Iterable[int]) -> None:
        """Note which processes could not be ended."""
        for pid in pids:
            found = stat(pid)
            if found is not None and found.state not in "ZX":
                self._left.append(
                    f"process {pid} ({' '.join(found.name.split())}) of {user_of(pid)} could not be ended"
                )
                say(f"The {self._left[-1]}")

    def end(self, stopped: str) -> None:
        """Note when the job ended; ``stopped``: why the supervisor ended it, if it did."""
        self._stopped = stopped
        self._ended = time.time()  # noqa: TID251 - as above
        self._wall_s = self.elapsed_s

    def write(self) -> None:
        """
        Write everything; can be repeated until it succeeds.

        Raises:
            OSError: it cannot be written now.
        """
        self._removed |= rundir.restore(self.order.rundir, self._root)
        if self._verdict is None:
            self._verdict = self._judge()
        code, number, cause = self._verdict
        if cause != "never started" and not self._accounted:
            self._account(code)
            self._accounted = True
        doubt = f"doubt={'; '.join(self._left)}\n" if self._left else ""
        text = (
            f"exitcode={_text(code)}\nsignal={_text(number)}\ncause={cause}\n"
            f"start={_stamp('%Y-%m-%dT%H:%M:%SZ', self._began)}\nend={_stamp('%Y-%m-%dT%H:%M:%SZ', self._ended)}\n"
            f"wall_s={self._wall_s:.3f}\nuser_s={self.usage.total[0]:.3f}\nsystem_s={self.usage.total[1]:.3f}\n"
            f"maxrss_kb={int(self.usage.total[2])}\nnode={self.order.node}\n{self._why(code)}{doubt}complete=yes\n"
        )
        rundir.put(f"{self.order.rundir}/done", text.encode())

    def _judge(self) -> tuple[int | None, int | None, str]:
        """Exit code, signal, cause. Source: ARC's fork backend gives 137 to a job that exceeds its limit."""
        if self.status is None:
            return None, None, self._stopped or "never started"
        came_to, _, path = self._mark().partition(" ")
        code = os.waitstatus_to_exitcode(self.status)
        stopped = self._stopped
        if came_to == "payload" and not stopped and code in {126, 127} and (missing := _missing_interpreter(path)):
            self._reason = f"Cannot run {path}: {missing}"
            say(self._reason)
            came_to = ""
        if came_to != "payload":
            after = came_to == "failed" and path == "after"
            return None, None, stopped or ("exit code" if after else "never started")
        if stopped:
            number = _SIGNAL_OF[stopped]
            return 128 + number, number, stopped
        if code < 0 or 128 < code <= 192:
            number = -code if code < 0 else code - 128
            return 128 + number, number, "signal"
        return code, None, "exit code"

    def _why(self, code: int | None) -> str:
        """The ``message`` line of the record: why the script failed before the payload ended, if it says so."""
        if code is not None:
            return ""
        if self._reason:
            return f"message={' '.join(self._reason.split())}\n"
        try:
            text = rundir.read(f"{self.order.rundir}/why", 1024).decode(errors="replace")
        except OSError:
            return ""
        return f"message={' '.join(text.split())}\n"

    def _mark(self) -> str:
        """How far the script came. Only a payload replaces what the script has written, or removes its directory."""
        try:
            text = os.fsdecode(rundir.read(f"{self.order.rundir}/started", 65536)).removesuffix("\n")
        except rundir.Replaced:
            return "payload"
        except FileNotFoundError:
            return "payload" if self._removed else ""
        return text if text.partition(" ")[0] in {"", "payload", "failed"} else "payload"

    def _account(self, code: int | None) -> None:
        lines = (
            f"{self.usage.lines(self._wall_s)}\nLRMSStartTime={_stamp('%Y%m%d%H%M%SZ', self._began)}\n"
            f"LRMSEndTime={_stamp('%Y%m%d%H%M%SZ', self._ended)}\nwalltime={int(self._ended) - int(self._began)}\n"
        )
        if code is not None:
            lines += f"exitcode={code}\n"
        try:
            rundir.append(self.order.diag, lines.encode())
        except (rundir.Replaced, PermissionError) as exc:
            say(f"Cannot write the accounting lines: {exc}")  # the payload did it; its end is recorded nevertheless


def _missing_interpreter(path: str) -> str:
    """Which interpreter is missing; empty if it is there, or if none is needed. Source: execve(2)."""
    try:
        first = rundir.read(path, 256, rundir.LINKED).partition(b"\n")[0]
    except OSError:
        return ""
    # a carriage return belongs to the name
    name = os.fsdecode(first[2:]).replace("\t", " ").strip(" ").partition(" ")[0] if first.startswith(b"#!") else ""
    if not name or os.path.exists(name):  # noqa: PTH110 - pathlib is too heavy here
        return ""
    if name.endswith("\r"):
        return f"{name[:-1]}^M: not found (^M is a carriage return: the script has Windows line ends)"
    return f"{name if name.isprintable() else repr(name)}: not found"


def _text(number: int | None) -> str:
    return "" if number is None else str(number)


def _stamp(form: str, when: float) -> str:
    return time.strftime(form, time.gmtime(when))
