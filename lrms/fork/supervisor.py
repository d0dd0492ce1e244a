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
import signal
import time
from collections.abc import Callable
from typing import Final

from lrms.fork import rundir
from lrms.fork.label import label
from lrms.fork.order import Order
from lrms.fork.outcome import JobOutcome, say
from lrms.processes import ProcessIdentity, descendants, hides_processes, stat
from lrms.rlimits import Limits, restore

_PR_SET_DUMPABLE: Final = 4
_PR_SET_NAME: Final = 15
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
#: How long to try to kill processes that do not end: those of another user, or in an uninterruptible system call.
_KILL_S: Final = 10.0
#: The machine or the account has no memory, processes or descriptors left now.
_SHORTAGE: Final = frozenset({errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE})
#: Attempts to start a job script in such a shortage.
_MOST_STARTS: Final = 600
#: Pauses between attempts to start a script, or to write how a job has ended.
_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0
#: How long to try; by then the job is forgotten, or the file system does not come back.
_KEEP_S: Final = 7 * 86400.0


def supervise(order: Order, boot: str, limits: Limits, answer: Callable[[int], None]) -> None:
    """
    Run one job from its claim to its completion record; ``answer`` is called with the pid that has the attempt.

    ``limits`` are the resource limits that the job must have.

    Raises:
        OSError: before the answer, when nothing has been started.
    """
    os.setsid()
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    be_subreaper()
    _show(order.tag)
    os.umask(0o077)
    os.chdir(order.session)
    _redirect(order.comment)
    job = _SupervisedJob(order)
    if changed := restore(limits):
        raise OSError(errno.EPERM, f"another process has lowered its resource limits ({changed})")
    owner = _claim(order, boot)
    answer(owner)
    if owner == os.getpid():
        job.run()


def be_subreaper() -> None:
    """Become the parent of descendants whose parents end; raises OSError."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def be_private() -> None:
    """
    Keep processes of the same account from reading our memory and environment, and from tracing us.

    Raises:
        OSError: the kernel refuses it.
    """
    # the daemon could not find us in a /proc with hidepid
    if not hides_processes():
        _prctl(_PR_SET_DUMPABLE, 0)


def _show(tag: str, trouble: int = 0) -> None:
    """Show in the name of this process which attempt it has, and why its record is not written yet."""
    _prctl(_PR_SET_NAME, ctypes.c_char_p(label(tag, trouble).encode()))


def _prctl(option: int, value: object) -> None:
    if _libc_prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _redirect(comment: str) -> None:
    """Standard input is /dev/null from the forkserver on; so is the output if the last attempt left no regular file."""
    try:
        out = rundir.open_regular(comment, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.set_blocking(out, True)
    except (rundir.Replaced, PermissionError):
        out = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(out)


def _claim(order: Order, boot: str) -> int:
    """Claim the attempt atomically; returns the process that has it if another one was first."""
    own = stat(os.getpid())
    assert own is not None
    path = f"{order.rundir}/pid"
    beside = f"{path}.{os.getpid()}"
    rundir.create(beside, f"pid={os.getpid()}\nstart={own.start}\nboot={boot}\ntag={order.tag}\n".encode())
    try:
        os.link(beside, path)
    except FileExistsError:
        return parse_identity(rundir.read(path, 4096).decode()).pid
    finally:
        _remove(beside)
    return os.getpid()


def _remove(path: str) -> None:
    """Remove a file that no one needs any more; it goes with its directory if that fails now."""
    try:
        os.unlink(path)  # noqa: PTH108 - pathlib is too heavy for every job's supervisor
    except OSError as exc:
        say(f"Cannot remove {path}: {exc}")


def parse_identity(text: str) -> ProcessIdentity:
    """The content of ``RUNDIR/pid``. Raises KeyError or ValueError if it is invalid."""
    values = dict(line.partition("=")[::2] for line in text.splitlines())
    return ProcessIdentity(int(values["pid"]), int(values["start"]), values["boot"])


class _SupervisedJob:
    """One run of one script; the methods follow each other as in ``run``."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.outcome = JobOutcome(order)
        self.usage = self.outcome.usage
        self.main = 0

    def run(self) -> None:
        stopped = self._start()
        if self.main:
            stopped = self._watch()
        if stopped:
            say(f"The job is stopped: {stopped}")
        self._end_all()
        self.outcome.end(stopped)
        self._record()

    def _start(self) -> str:
        """Start the script as soon as this machine has room for a process; the reason if the job is ended first."""
        os.nice(self.order.nice)
        tries = 0
        while True:
            try:
                self.main = self._spawn()
            except OSError as exc:
                tries += 1
                if exc.errno not in _SHORTAGE or tries > _MOST_STARTS:
                    say(f"The job script could not be started: {exc}")
                    return ""
                if tries == 1:
                    say(f"The job script cannot be started yet: {exc}")
            else:
                if tries:
                    self.outcome.begin()
                return ""
            if _wait(_PAUSE_S) == signal.SIGTERM:
                return "cancelled"

    def _spawn(self) -> int:
        # spawn does not copy this process as fork would, which saves a quarter of the cost of a short job. But nothing
        # can be set between fork and exec: the job does not notice the death of this process, so the forkserver ends it
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
            left = None if self.order.wall_s is None else self.order.wall_s - self.outcome.elapsed_s
            if left is not None and left <= 0:
                return "walltime"
            if self.order.cpu_s is not None or self.order.memory_kb is not None:
                left = pause if left is None else min(left, pause)
                pause = min(2 * pause, _LOOK_S)
            if _wait(left) == signal.SIGTERM:
                return "cancelled"
            self._collect()
            if self.outcome.status is not None:
                return ""
            if exceeded := self._exceeded():
                return exceeded

    def _exceeded(self) -> str:
        if self.order.cpu_s is None and self.order.memory_kb is None:
            return ""
        try:
            found = [each for pid in descendants(os.getpid()) if (each := stat(pid)) is not None]
        except OSError:
            return ""  # this machine has no descriptors or memory left; the next look is in a second
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
                self.outcome.status = status

    def _end_all(self) -> None:
        """Send TERM to all processes, KILL after the grace time, until none is left or those left cannot be killed."""
        if not self._collect():
            return
        _signal_all(signal.SIGTERM)
        until = time.monotonic() + self.order.grace_s
        while self._collect():
            left = until - time.monotonic()
            if left <= -_KILL_S:
                self.outcome.leave(descendants(os.getpid()))
                return
            if left <= 0:
                _signal_all(signal.SIGKILL)
            _wait(min(left, _LOOK_S) if left > 0 else 0.1)

    def _record(self) -> None:
        """Write the record. As long as that fails, this process is the record: it stays, unless it is asked to end."""
        pause = _PAUSE_S
        asked = False
        until = time.monotonic() + _KEEP_S
        while True:
            try:
                self.outcome.write()
            except OSError as exc:
                _show(self.order.tag, exc.errno or errno.EIO)
            else:
                return
            if asked or time.monotonic() > until:
                return
            asked = _wait(pause) == signal.SIGTERM
            pause = min(2 * pause, _LONGEST_PAUSE_S)


def _wait(seconds: float | None) -> int:
    """The next signal for us, 0 after so many seconds without one."""
    if seconds is None:
        return signal.sigwaitinfo(_SIGNALS).si_signo
    got = signal.sigtimedwait(_SIGNALS, seconds)
    return 0 if got is None else got.si_signo


def _signal_all(number: int) -> None:
    try:
        found = descendants(os.getpid())
    except OSError:
        return  # this machine has no descriptors or memory left; there is another attempt
    for pid in found:
        try:
            os.kill(pid, number)
            os.kill(pid, signal.SIGCONT)  # a stopped process does not react to TERM
        except (ProcessLookupError, PermissionError):
            continue
