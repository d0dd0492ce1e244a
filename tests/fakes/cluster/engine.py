"""
The cluster behind the fake programs: jobs wait for slots, run as real processes, are stopped at their limits.

It knows no batch system: the front ends put their words on what happens here. Nothing of an outcome is made up:
exit codes, signals, times and memory are those of the processes.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

TICK_S = 0.05
_HERTZ = os.sysconf("SC_CLK_TCK")
_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


class State(Enum):
    PENDING = "pending"
    RUNNING = "running"
    SUSPENDED = "suspended"
    ENDED = "ended"


class End(Enum):
    """Why a job is over."""

    EXIT = "exit"  #: by itself, with an exit code or from a signal that was not ours
    WALLTIME = "walltime"
    CPUTIME = "cputime"
    MEMORY = "memory"
    CANCELLED = "cancelled"
    NODE_FAILURE = "node failure"
    PREEMPTED = "preempted"
    NEVER_STARTED = "never started"


@dataclass(kw_only=True)
class Job:
    """One job, or one child of an array."""

    raw: int = 0  #: its own number
    root: int = 0  #: the array's number; its own without one
    index: int | None = None
    name: str
    script: Path
    shell: str = ""  #: that reads the script; empty: the kernel looks at its first line
    cwd: Path
    output: Path
    errors: Path | None = None  #: None: to the output
    append: bool = False  #: to the output
    queue: str
    account: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    umask: int = 0o022
    slots: int = 1
    wall_s: float | None = None
    cpu_s: float | None = None
    memory_kb: int | None = None
    begin: float = 0.0
    held: bool = False
    words: dict[str, str] = field(default_factory=dict)  #: what a front end shows again

    state: State = State.PENDING
    node: str = ""
    submitted: float = 0.0
    started: float | None = None
    ended: float | None = None
    end: End | None = None  #: set as soon as the reason is known, perhaps a while before the end
    exit_code: int = 0
    signal: int = 0
    used_cpu_s: tuple[float, float] = (0.0, 0.0)  #: user, system
    max_rss_kb: int = 0
    process: subprocess.Popen[bytes] | None = None
    killed_at: float | None = None  #: when TERM was sent

    @property
    def owner(self) -> str:
        return pwd.getpwuid(os.getuid()).pw_name

    @property
    def wall_used_s(self) -> float:
        return 0.0 if self.started is None else (self.ended or time.time()) - self.started


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of the cluster; from the environment of the server, see ``server.settings``."""

    slots: int = 16
    min_age_s: float = 300.0  #: how long an ended job is remembered
    minute_s: float = 1.0  #: a minute of a limit that is given in minutes: no one has time to wait for those
    accounting: bool = True
    accounting_lag_s: float = 0.0  #: how long after the end the records still say that the job runs
    queues: tuple[str, ...] = ()  #: that exist; empty: all, the default one is "main"
    flavour: str = "openpbs"
    slurm: str = "22.05.8"  #: its version; since 23.02 squeue prints exit codes as sacct does
    grace_s: float = 5.0  #: between TERM and KILL


@dataclass(frozen=True)
class ProcessFacts:
    pid: int
    session: int
    cpu_s: float
    rss_kb: int


def processes() -> Iterator[ProcessFacts]:
    """All processes of this machine that can be seen."""
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with contextlib.suppress(OSError):
                text = Path("/proc", name, "stat").read_text(errors="replace")
                fields = text.rpartition(")")[2].split()
                ticks = sum(map(int, fields[11:15]))
                yield ProcessFacts(int(name), int(fields[3]), ticks / _HERTZ, int(fields[21]) * _PAGE_KB)


class Cluster:
    """
    Jobs in the order of their submission.

    Args:
        environment: the variables that the batch system sets for a job.
        filled: the name of an output file without its placeholders.
        farewell: what the batch system writes there when it has stopped a job at a limit.
        kills_one: whether too much memory costs the largest process (as a kernel does it) or the whole job.
    """

    def __init__(
        self,
        root: Path,
        settings: Settings,
        environment: Callable[[Job], Mapping[str, str]],
        filled: Callable[[Path, Job], Path],
        farewell: Callable[[Job], str],
        *,
        kills_one: bool,
    ) -> None:
        self.root, self.settings = root, settings
        self.jobs: dict[int, Job] = {}
        self._environment, self._filled, self._farewell = environment, filled, farewell
        self._kills_one = kills_one
        self.last = 0  #: number that was given out

    # --- what commands ask for ---

    def submit(self, job: Job, indices: Sequence[int] = ()) -> Job:
        """Take a job, or an array of them; returns the first."""
        root = self.last + 1
        self.last += max(1, len(indices))
        for count, index in enumerate(indices or (None,)):
            raw = root if index is None or count == len(indices) - 1 else root + 1 + count
            self.jobs[raw] = replace(
                job, raw=raw, root=root, index=index, submitted=time.time(), words=dict(job.words), state=State.PENDING
            )
        self.schedule()
        return next(each for each in self.jobs.values() if each.root == root)

    def known(self) -> list[Job]:
        """What the batch system remembers, in order."""
        oldest = time.time() - self.settings.min_age_s
        return [each for each in self.jobs.values() if each.ended is None or each.ended >= oldest]

    def cancel(self, job: Job, end: End = End.CANCELLED) -> None:
        """End it: at once if it waits, with TERM and, after the grace, KILL if it runs."""
        if job.state is State.PENDING:
            job.end = end
            self._finish(job)
        elif job.state is not State.ENDED:
            self._stop(job, end)
        self.schedule()

    def hold(self, job: Job) -> None:
        job.held = True

    def release(self, job: Job) -> None:
        job.held = False
        self.schedule()

    def suspend(self, job: Job) -> None:
        if job.state is State.RUNNING:
            job.state = State.SUSPENDED
            self._signal(job, signal.SIGSTOP)

    def resume(self, job: Job) -> None:
        if job.state is State.SUSPENDED:
            job.state = State.RUNNING
            self._signal(job, signal.SIGCONT)

    # --- what happens by itself ---

    def schedule(self) -> None:
        free = self.settings.slots - sum(each.slots for each in self.jobs.values() if each.process is not None)
        for job in self.jobs.values():
            if free <= 0:
                return
            if job.state is State.PENDING and not job.held and job.slots <= free and job.begin <= time.time():
                self._start(job)
                free -= job.slots if job.process is not None else 0

    def _start(self, job: Job) -> None:
        job.started, job.node = time.time(), f"node{1 + job.raw % 4}"
        try:
            output = self._open(job, job.output)
            errors = output if job.errors is None else self._open(job, job.errors)
            try:
                job.process = subprocess.Popen(
                    [job.shell, job.script] if job.shell else [job.script],
                    stdin=subprocess.DEVNULL, stdout=output, stderr=errors, cwd=job.cwd,
                    env={**job.environment, **self._environment(job)}, umask=job.umask, start_new_session=True,
                )  # fmt: skip
            finally:
                for each in {output, errors}:
                    os.close(each)
            job.state = State.RUNNING
        except OSError:
            job.end = End.NEVER_STARTED
            self._finish(job)

    def _open(self, job: Job, path: Path) -> int:
        mode = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if job.append else os.O_TRUNC)
        return os.open(job.cwd / self._filled(path, job), mode, 0o666 & ~job.umask)

    def reap(self) -> None:
        """See which processes have ended."""
        for job in [each for each in self.jobs.values() if each.process is not None]:
            assert job.process is not None
            if os.waitid(os.P_PID, job.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                self._signal(job, signal.SIGKILL)  # what it has left behind, while no other process can get its pid
                _, status, usage = os.wait4(job.process.pid, 0)
                job.process.returncode = code = os.waitstatus_to_exitcode(status)
                job.exit_code, job.signal = max(code, 0), max(-code, 0)
                job.used_cpu_s = (usage.ru_utime, usage.ru_stime)
                if (
                    usage.ru_maxrss > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                ):  # a copy of us was its beginning
                    job.max_rss_kb = max(job.max_rss_kb, usage.ru_maxrss)
                job.process = None
                job.end = job.end or End.EXIT
                self._finish(job)
        self.schedule()

    def _finish(self, job: Job) -> None:
        text = self._farewell(job)
        if text and job.started is not None:
            with contextlib.suppress(OSError), open(job.cwd / self._filled(job.errors or job.output, job), "a") as file:
                file.write(text)
        job.state, job.ended = State.ENDED, time.time()

    def tick(self) -> None:
        """Hold running jobs to their limits, start those whose time has come."""
        running = [each for each in self.jobs.values() if each.process is not None]
        sessions: dict[int, list[ProcessFacts]] = {}
        if any(each.cpu_s is not None or each.memory_kb is not None for each in running):
            for facts in processes():
                sessions.setdefault(facts.session, []).append(facts)
        for job in running:
            assert job.process is not None
            self._limit(job, sessions.get(job.process.pid, []))
        self.schedule()

    def _limit(self, job: Job, family: list[ProcessFacts]) -> None:
        rss_kb = sum(each.rss_kb for each in family)
        job.max_rss_kb = max(job.max_rss_kb, rss_kb)
        if job.killed_at is not None:
            if time.time() > job.killed_at + self.settings.grace_s:
                self._signal(job, signal.SIGKILL)
        elif job.wall_s is not None and job.wall_used_s > job.wall_s:
            self._stop(job, End.WALLTIME)
        elif job.cpu_s is not None and sum(each.cpu_s for each in family) > job.cpu_s:
            self._stop(job, End.CPUTIME)
        elif job.memory_kb is not None and rss_kb > job.memory_kb:
            if self._kills_one:
                job.end = End.MEMORY
                with contextlib.suppress(ProcessLookupError):
                    os.kill(max(family, key=lambda each: each.rss_kb).pid, signal.SIGKILL)
            else:
                self._stop(job, End.MEMORY)

    def _stop(self, job: Job, end: End) -> None:
        if job.killed_at is None:
            job.end, job.killed_at = end, time.time()
            if end is End.NODE_FAILURE:
                self._signal(job, signal.SIGKILL)
                return
            self._signal(job, signal.SIGTERM)
            self._signal(job, signal.SIGCONT)

    def _signal(self, job: Job, number: signal.Signals) -> None:
        """To every process of its session."""
        assert job.process is not None
        for facts in processes():
            if facts.session == job.process.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(facts.pid, number)

    def close(self) -> None:
        """Kill what runs."""
        for job in self.jobs.values():
            if job.process is not None:
                self._signal(job, signal.SIGKILL)
                job.process.wait()
                job.process = None
