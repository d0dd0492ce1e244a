"""
The supervisor of one job: a small process that starts the job script, watches its limits, ends the whole
tree, and writes the last accounting lines and the completion record.

It is forked from the forkserver, lives in a separate session and outlives daemon and forkserver. It is the subreaper of
the job: descendants whose parents end become its children, so none escapes. Standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource  # noqa: F401 - wait4 needs it, and would look for it in each supervisor
import signal
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from lrms.processes import ProcessIdentity, descendants, stat

_PR_SET_CHILD_SUBREAPER: Final = 36
_libc_prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up once, not in every child

#: Blocked signals, received with sigwait; TERM is a request to cancel.
_SIGNALS: Final = frozenset({signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
#: Signals that jobs must not inherit as ignored: those of Python, and those of the shell that started the daemon.
_IGNORED: Final = tuple(each for each in signal.valid_signals() if signal.getsignal(each) is signal.SIG_IGN)
#: Names every process of an attempt, for the sweep after a supervisor's violent end.
TAG_VARIABLE: Final = "AREX_TAG"
#: Seconds between checks of limits on the sum over processes, after a few quicker ones.
_LOOK_S: Final = 1.0
#: Attempts to write how a job has ended, and the seconds between them.
_PATIENCE: Final = 120
_PATIENCE_S: Final = 5.0
#: The exit code of a job that the supervisor ended: as if by this signal.
_SIGNAL_OF: Final = {"walltime": 9, "cputime": 9, "memory": 9, "cancelled": 15}


class Order(NamedTuple):
    """The order to a supervisor: texts and numbers only, because it comes as JSON."""

    number: int  #: of the order; the answer repeats it
    tag: str
    rundir: str
    session: str
    diag: str
    comment: str
    node: str
    nice: int
    grace_s: float  #: between TERM and KILL
    wall_s: float | None
    cpu_s: float | None
    memory_kb: int | None  #: resident, sum over the tree


class ProcessUsage:
    """Sums over all processes that have ended."""

    def __init__(self) -> None:
        self.total = [0.0] * 16

    def add(self, used: Any) -> None:  # noqa: ANN401 - resource.struct_rusage, a tuple of 16 numbers
        rss = max(self.total[2], used[2])
        self.total = [a + b for a, b in zip(self.total, used, strict=True)]
        self.total[2] = rss

    @property
    def cpu_s(self) -> float:
        return self.total[0] + self.total[1]

    def lines(self, wall_s: float) -> str:
        """In the order and spelling of ARC. Source: ``docs/developers/control-directory.md``."""
        user, system, rss, *_, minor, major, swaps, ins, outs, sent, received, signals, waits, forced = self.total
        return (
            f"WallTime={wall_s:.2f}s\nKernelTime={system:.2f}s\nUserTime={user:.2f}s\n"
            f"CPUUsage={int(100 * self.cpu_s / max(wall_s, 0.01))}%\nMaxResidentMemory={int(rss)}kB\n"
            "AverageResidentMemory=0kB\nAverageTotalMemory=0kB\nAverageUnsharedMemory=0kB\nAverageUnsharedStack=0kB\n"
            f"AverageSharedMemory=0kB\nPageSize={os.sysconf('SC_PAGE_SIZE')}B\n"
            f"MajorPageFaults={int(major)}\nMinorPageFaults={int(minor)}\nSwaps={int(swaps)}\n"
            f"ForcedSwitches={int(forced)}\nWaitSwitches={int(waits)}\nInputs={int(ins)}\nOutputs={int(outs)}\n"
            f"SocketReceived={int(received)}\nSocketSent={int(sent)}\nSignals={int(signals)}\n"
        )


def supervise(order: Order, boot: str, answer: Callable[[int], None]) -> None:
    """
    Run one job from its claim to its completion record; ``answer`` is called with the pid that has the attempt.

    Raises:
        OSError: before the answer, when nothing has been started.
    """
    os.setsid()
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    os.umask(0o077)
    os.chdir(order.session)
    _redirect(order.comment)
    owner = _claim(order, boot)
    answer(owner)
    if owner == os.getpid():
        _SupervisedJob(order).run()


def _prctl(option: int, value: int) -> None:
    if _libc_prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _redirect(comment: str) -> None:
    """Standard input is /dev/null from the forkserver on."""
    out = os.open(comment, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(out)


def _claim(order: Order, boot: str) -> int:
    """Claim the attempt atomically; returns the process that has it if another one was first."""
    own = stat(os.getpid())
    assert own is not None
    path = f"{order.rundir}/pid"
    beside = f"{path}.{os.getpid()}"
    _put(beside, f"pid={os.getpid()}\nstart={own.start}\nboot={boot}\ntag={order.tag}\n")
    try:
        os.link(beside, path)
    except FileExistsError:
        return _owner(path)
    finally:
        os.unlink(beside)  # noqa: PTH108 - pathlib is too heavy for every job's supervisor
    return os.getpid()


def _owner(path: str) -> int:
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - as above
        return parse_identity(file.read()).pid


def parse_identity(text: str) -> ProcessIdentity:
    """The content of ``RUNDIR/pid``. Raises KeyError or ValueError if it is invalid."""
    values = dict(line.partition("=")[::2] for line in text.splitlines())
    return ProcessIdentity(int(values["pid"]), int(values["start"]), values["boot"])


def _put(path: str, text: str) -> None:
    _write(path, os.O_TRUNC, text)


def _write(path: str, how: int, text: str) -> None:
    data = text.encode()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600)
    try:
        if os.write(fd, data) != len(data):
            raise OSError(errno.ENOSPC, "incomplete write", path)
    finally:
        os.close(fd)


def _patiently(step: Callable[[], None]) -> None:
    """Retry a write on a full disk: the end of a job must not be lost."""
    for _ in range(_PATIENCE):
        try:
            step()
        except OSError as exc:
            if exc.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            _wait(_PATIENCE_S)
        else:
            return
    step()


class _SupervisedJob:
    """One run of one script; the methods follow each other as in ``run``."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.usage = ProcessUsage()
        self.status: int | None = None  #: of the script, from wait
        self.began = time.time()  # noqa: TID251 - a separate process: there is no Clock to pass in
        self.began_s = time.monotonic()
        self.main = 0

    def run(self) -> None:
        stopped = ""
        try:
            self.main = self._start()
        except OSError as exc:
            print(f"The job script could not be started: {exc}", flush=True)  # noqa: T201 - standard output is SESSION.comment
        else:
            stopped = self._watch()
        if stopped:
            print(f"The job is stopped: {stopped}", flush=True)  # noqa: T201 - as above
        self._end_all()
        self._record(stopped)

    def _start(self) -> int:
        # spawn does not copy this process as fork would, which saves a quarter of the cost of a short job. But nothing
        # can be set between fork and exec: the job does not notice the death of this process, so status sweeps
        os.nice(self.order.nice)
        return os.posix_spawn(
            "/bin/sh",
            ("/bin/sh", f"{self.order.rundir}/script"),
            {**os.environ, TAG_VARIABLE: self.order.tag},
            setsid=True,  # a job that sends a signal to its group means only itself
            setsigmask=(),
            setsigdef=_IGNORED,
        )

    def _watch(self) -> str:
        """Wait until the script has ended; empty, or the reason why it must be ended."""
        pause = 0.1
        while True:
            left = None if self.order.wall_s is None else self.order.wall_s - (time.monotonic() - self.began_s)
            if left is not None and left <= 0:
                return "walltime"
            if self.order.cpu_s is not None or self.order.memory_kb is not None:
                left = pause if left is None else min(left, pause)
                pause = min(2 * pause, _LOOK_S)
            if _wait(left) == signal.SIGTERM:
                return "cancelled"
            self._collect()
            if self.status is not None:
                return ""
            if exceeded := self._exceeded():
                return exceeded

    def _exceeded(self) -> str:
        if self.order.cpu_s is None and self.order.memory_kb is None:
            return ""
        found = [each for pid in descendants(os.getpid()) if (each := stat(pid)) is not None]
        if self.order.cpu_s is not None and self.usage.cpu_s + sum(each.cpu_s for each in found) > self.order.cpu_s:
            return "cputime"
        if self.order.memory_kb is not None and sum(each.rss_kb for each in found) > self.order.memory_kb:
            return "memory"
        return ""

    def _collect(self) -> bool:
        """Wait for all processes that have ended; returns whether any is left."""
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self.usage.add(used)
            if pid == self.main:
                self.status = status

    def _end_all(self) -> None:
        """Send TERM to all processes, KILL after the grace time, until none is left."""
        if not self._collect():
            return
        _signal_all(signal.SIGTERM)
        until = time.monotonic() + self.order.grace_s
        while self._collect():
            left = until - time.monotonic()
            if left <= 0:
                _signal_all(signal.SIGKILL)
            _wait(min(left, _LOOK_S) if left > 0 else 0.1)

    def _record(self, stopped: str) -> None:
        ended_s = time.time()  # noqa: TID251 - as above
        wall_s = time.monotonic() - self.began_s
        code, number, cause = self._verdict(stopped)
        if cause != "never started":
            self._finish_diag(code, ended_s, wall_s)
        text = (
            f"exitcode={_text(code)}\nsignal={_text(number)}\ncause={cause}\n"
            f"start={_stamp('%Y-%m-%dT%H:%M:%SZ', self.began)}\nend={_stamp('%Y-%m-%dT%H:%M:%SZ', ended_s)}\n"
            f"wall_s={wall_s:.3f}\nuser_s={self.usage.total[0]:.3f}\nsystem_s={self.usage.total[1]:.3f}\n"
            f"maxrss_kb={int(self.usage.total[2])}\nnode={self.order.node}\n{self._why(code)}complete=yes\n"
        )
        _patiently(lambda: _put(f"{self.order.rundir}/done.new", text))
        os.rename(f"{self.order.rundir}/done.new", f"{self.order.rundir}/done")  # noqa: PTH104 - as above

    def _verdict(self, stopped: str) -> tuple[int | None, int | None, str]:
        """Exit code, signal, cause. Source: ARC's fork backend gives 137 to a job that exceeds its limit."""
        if self.status is None:
            return None, None, "never started"
        came_to, _, path = self._mark().partition(" ")
        code = os.waitstatus_to_exitcode(self.status)
        if came_to == "payload" and not stopped and code in {126, 127} and (missing := _missing_interpreter(path)):
            print(f"Cannot run {path}: {missing}: not found", flush=True)  # noqa: T201 - as above
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
        try:
            with open(f"{self.order.rundir}/why", "rb") as file:  # noqa: PTH123 - as above
                text = file.read(1024).decode(errors="replace")
        except OSError:
            return ""
        return f"message={' '.join(text.split())}\n"

    def _mark(self) -> str:
        try:
            fd = os.open(f"{self.order.rundir}/started", os.O_RDONLY)
        except FileNotFoundError:
            return ""
        try:
            return os.fsdecode(os.read(fd, 65536)).removesuffix("\n")
        finally:
            os.close(fd)

    def _finish_diag(self, code: int | None, ended_s: float, wall_s: float) -> None:
        lines = (
            f"{self.usage.lines(wall_s)}\nLRMSStartTime={_stamp('%Y%m%d%H%M%SZ', self.began)}\n"
            f"LRMSEndTime={_stamp('%Y%m%d%H%M%SZ', ended_s)}\nwalltime={int(ended_s) - int(self.began)}\n"
        )
        if code is not None:
            lines += f"exitcode={code}\n"
        try:
            _patiently(lambda: _write(self.order.diag, os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK, lines))
        except OSError as exc:  # the payload has put something else there; its end is recorded nevertheless
            print(f"Cannot write the accounting lines: {exc}", flush=True)  # noqa: T201 - as above


def _wait(seconds: float | None) -> int:
    """The next signal for us, 0 after so many seconds without one."""
    if seconds is None:
        return signal.sigwaitinfo(_SIGNALS).si_signo
    got = signal.sigtimedwait(_SIGNALS, seconds)
    return 0 if got is None else got.si_signo


def _signal_all(number: int) -> None:
    for pid in descendants(os.getpid()):
        try:
            os.kill(pid, number)
            os.kill(pid, signal.SIGCONT)  # a stopped process does not react to TERM
        except (ProcessLookupError, PermissionError):
            continue


def _missing_interpreter(path: str) -> str:
    """The interpreter that is missing; empty if it is there, or if none is needed."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            first = file.readline(256)
    except OSError:
        return ""
    words = os.fsdecode(first[2:]).split() if first.startswith(b"#!") else []
    return words[0] if words and not os.path.exists(words[0]) else ""  # noqa: PTH110 - as above


def _text(number: int | None) -> str:
    return "" if number is None else str(number)


def _stamp(form: str, when: float) -> str:
    return time.strftime(form, time.gmtime(when))
