"""
File-system calls for each null job, as strace counts them: by the daemon, by its commands, and by the job itself.

    python benchmarks/fscalls.py [--backend fork|slurm] [--jobs 200] [--against DIR] [--paths]

The service runs before strace is attached, so its start does not count; what it does while it is idle is subtracted.
The job's side is everything from the forkserver on, or from the script that SLURM starts, with all their children.
``--against`` counts the same in another checkout and prints the ratio; ``--paths`` says which files the calls are for.

Counts do not depend on how busy the machine is, but for the few calls that a wake-up more or less costs. For SLURM,
run tools/clusters/slurm.sh up and eval the lines of "env" first; attaching to its nodes takes root.
"""

from __future__ import annotations

import argparse
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import CHECKOUT, Daemon, Site, real_daemon, temporary, wait_for

TRUE: Final = '&(executable="/bin/true")(stdout="out")(stderr="err")(jobname="null")'
IDLE_S: Final = 10.0
LIMIT_S: Final = 600.0
#: Kind of call to the system calls of that kind. Left out: close, seeks, and all that is not about files.
KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "open": ("open", "openat", "openat2", "creat"),
    "stat": ("stat", "lstat", "newfstatat", "fstat", "statx", "access", "faccessat", "faccessat2"),
    "readlink": ("readlink", "readlinkat"),
    "list": ("getdents64",),
    "read": ("read", "pread64"),
    "write": ("write", "pwrite64", "writev"),
    "truncate": ("truncate", "ftruncate"),
    "rename": ("rename", "renameat", "renameat2"),
    "link": ("link", "linkat", "symlink", "symlinkat"),
    "unlink": ("unlink", "unlinkat"),
    "mkdir": ("mkdir", "mkdirat"),
    "rmdir": ("rmdir",),
    "mode": ("chmod", "fchmod", "fchmodat", "chown", "fchown", "fchownat", "utimensat"),
    "lock": ("flock", "fcntl"),
    "sync": ("fsync", "fdatasync", "syncfs"),
}
KIND_OF: Final = {name: kind for kind, names in KINDS.items() for name in names}
#: Calls that make processes and programs, from which strace's lines are sorted to the sides.
FAMILY: Final = ("clone", "clone3", "fork", "vfork", "execve")
SIDES: Final = ("daemon", "commands", "job")
_CALL: Final = re.compile(r"^(\d+) +(\w+)\((.*)$")
_RESUMED: Final = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")
_RESULT: Final = re.compile(r"\) += (\d+)")
_ON_A_FILE: Final = re.compile(r"\d+</")  # pipes and sockets read <pipe:[1]>
_PATH: Final = re.compile(r'"([^"]*)"|\d<(/[^>]*)>')
_PLAIN: Final = tuple(
    (re.compile(pattern), by)
    for pattern, by in (
        (r"\S*/arex-bench-fscalls-[^/\s]*", ""),
        (r"\b[0-9A-Za-z]{54}-[0-9a-f]{8}\b", "TAG"),
        (r"\b[0-9A-Za-z]{54}\b", "ID"),
        (r"\barex-[0-9a-f]{16}\b", "ARRAY"),
        (r"/proc/\d+", "/proc/PID"),
        (r"(?<=/job)\d+|(?<=[.~])\d+(\.\d+)?|(?<=ARRAY/)\d+", "N"),
    )
)
_SUBMIT: Final = """
import sys
from pathlib import Path
from arex.config.load import load
from plugins.local import LocalPlugin
LocalPlugin(load(Path(sys.argv[1]), {})[0], subject="/CN=bench").submit([sys.argv[2]] * int(sys.argv[3]))
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """A backend that is measured: its configuration, and what marks the first program of a job's side."""

    lrms: str
    mark: str
    others: tuple[str, ...] = ()  #: names of further programs to watch


BATCHES: Final = {
    "fork": Batch("lrms=fork\n[queue:fork]", "server import main"),
    "slurm": Batch("lrms=slurm\n[queue:main]", "/slurm_script", ("slurmd",)),
}


@dataclass
class Counts:
    """Calls by side and kind, and by side, kind and path."""

    kinds: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    paths: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))

    def add(self, side: str, name: str, rest: str) -> None:
        kind = "rmdir" if name == "unlinkat" and "AT_REMOVEDIR" in rest else KIND_OF[name]
        self.kinds[side, kind] += 1
        self.paths[side, f"{kind:8} {_plain(rest, both=kind in {'rename', 'link'})}"] += 1

    def without(self, idle: Counts, times: float, jobs: int) -> Counts:
        """These, less the idle ones as often, divided among the jobs."""
        left = Counts()
        left.kinds.update({key: (count - idle.kinds[key] * times) / jobs for key, count in self.kinds.items()})
        left.paths.update({key: (count - idle.paths[key] * times) / jobs for key, count in self.paths.items()})
        return left


def _plain(rest: str, *, both: bool) -> str:
    """The path of a call, or both, without what differs between jobs."""
    text = " ".join([quoted or held for quoted, held in _PATH.findall(rest)][: 2 if both else 1])
    return functools.reduce(lambda done, rule: rule[0].sub(rule[1], done), _PLAIN, text)


class Trace:
    """strace, attached to processes and all that they start; a context."""

    def __init__(self, pids: Iterable[int], output: Path) -> None:
        self._argv = ["strace", "-f", "-y", "-qq", "-s", "512", "-o", str(output)]
        self._argv += ["-e", f"trace={','.join((*KIND_OF, *FAMILY))}", "-e", "signal=none"]
        self._argv += [word for pid in pids for word in ("-p", str(pid))]
        self._pids = list(pids)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._argv, stderr=subprocess.PIPE, text=True)
        wait_for(lambda: self._process.poll() is not None or all(map(_traced, self._pids)), 30)
        if self._process.poll() is not None:
            sys.exit(f"strace can't attach: {self._process.communicate()[1]}")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.communicate(timeout=60)


def _traced(pid: int) -> bool:
    """Whether every thread has its tracer."""
    return all("TracerPid:\t0\n" not in path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status"))


@dataclass(frozen=True, slots=True)
class Line:
    """What strace says of one call; ``child`` is the process or thread that it has made, or 0."""

    pid: int
    name: str
    rest: str
    child: int = 0


def counted(lines: Sequence[Line], known: Mapping[int, str], mark: str) -> Counts:
    """Sort calls to the sides; ``known`` are threads whose side is clear from the beginning."""
    sides = dict(known)
    parents = {line.child: line.pid for line in lines if line.child}
    counts = Counts()
    for line in lines:
        side = _side(line.pid, sides, parents)
        if line.name == "execve":
            if mark in line.rest:
                sides[line.pid] = "job"
            elif side == "daemon":
                sides[line.pid] = "commands"
        elif side and _is_counted(line):
            counts.add(side, line.name, line.rest)
    return counts


def _is_counted(line: Line) -> bool:
    if line.name == "fcntl":
        return "LK" in line.rest
    return line.name in KIND_OF and (KIND_OF[line.name] not in {"read", "write"} or bool(_ON_A_FILE.match(line.rest)))


def _side(pid: int, sides: dict[int, str], parents: Mapping[int, int]) -> str:
    if pid not in sides:
        sides[pid] = _side(parents[pid], sides, parents) if pid in parents else ""
    return sides[pid]


def parsed(output: Path) -> Iterator[Line]:
    """A call counts where it begins; one that makes a process where its result stands."""
    with output.open(errors="replace") as lines:
        for line in lines:
            found = _CALL.match(line) or _RESUMED.match(line)
            if found is None:
                continue
            pid, name, rest = int(found[1]), found[2], found[3]
            if name in FAMILY and name != "execve":
                if made := _RESULT.search(rest):
                    yield Line(pid, name, rest, int(made[1]))
            elif "resumed>" not in line[:80]:
                yield Line(pid, name, rest)


@dataclass
class Running:
    """A service whose calls are counted."""

    site: Site
    checkout: Path
    batch: Batch
    daemon: int

    def count(self, work: Callable[[], None]) -> tuple[Counts, float]:
        """The calls while some work is done, and the seconds that it took."""
        forkservers = [child for child in children(self.daemon) if self.batch.mark in command_line(child)]
        pids = [self.daemon, *forkservers, *(each for other in self.batch.others for each in running(other))]
        sides = dict.fromkeys(threads(self.daemon), "daemon")
        sides |= {thread: "job" for each in forkservers for thread in threads(each)}
        output = self.site.root / "strace"
        with Trace(pids, output):
            start = time.monotonic()
            work()
            took = time.monotonic() - start
        return counted(list(parsed(output)), sides, self.batch.mark), took

    def run_jobs(self, jobs: int) -> None:
        before = self.site.finished()
        argv = [sys.executable, "-c", _SUBMIT, str(self.site.config), TRUE, str(jobs)]
        environment = {**self.site.environment, "PYTHONPATH": str(self.checkout)}
        subprocess.run(argv, check=True, env=environment, cwd=self.site.root)
        wait_for(lambda: self.site.finished() >= before + jobs, LIMIT_S, 0.05)
        time.sleep(2)  # what follows an end


def measure(name: str, checkout: Path, jobs: int) -> Counts:
    """Calls for each job of one backend in one checkout; fractions are kept."""
    batch = BATCHES[name]
    site = Site(temporary("fscalls"), lrms=batch.lrms)
    try:
        with Daemon(real_daemon(site, checkout), site) as daemon:
            service = Running(site, checkout, batch, daemon.process.pid)
            service.run_jobs(2)  # libraries are loaded, directories made
            idle, idle_s = service.count(lambda: time.sleep(IDLE_S))
            busy, busy_s = service.count(lambda: service.run_jobs(jobs))
        failed = [path for path in site.ctl.glob("job.*.failed") if path.stat().st_size]
        assert not failed, failed[0].read_text()
    finally:
        site.remove()
    return busy.without(idle, busy_s / idle_s, jobs)


def threads(pid: int) -> list[int]:
    return [int(path.name) for path in Path(f"/proc/{pid}/task").iterdir()]


def children(pid: int) -> list[int]:
    return [int(each) for path in Path(f"/proc/{pid}/task").glob("*/children") for each in path.read_text().split()]


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")


def running(name: str) -> list[int]:
    found = subprocess.run(["pgrep", "-x", name], capture_output=True, text=True, check=False).stdout.split()
    return [int(pid) for pid in found]


def table(name: str, columns: Sequence[tuple[str, Counts]]) -> None:
    kinds = [kind for kind in KINDS if any(counts.kinds[side, kind] > 0.005 for _, counts in columns for side in SIDES)]
    sides = [side for side in SIDES if any(counts.kinds[side, kind] > 0.05 for _, counts in columns for kind in kinds)]
    heads = [f"{side} {label}".strip() for side in sides for label, _ in columns]
    print(f"{name + ', calls per job':<26}" + "".join(f"{head:>18}" for head in heads), flush=True)
    for kind in kinds:
        print(f"{kind:<26}" + "".join(f"{counts.kinds[side, kind]:18.2f}" for side in sides for _, counts in columns))
    totals = [sum(counts.kinds[side, kind] for kind in kinds) for side in sides for _, counts in columns]
    print(f"{'all':<26}" + "".join(f"{total:18.1f}" for total in totals))
    if len(columns) > 1:
        for side, before, after in zip(sides, totals[1::2], totals[::2], strict=True):
            print(f"{side}: x {after / before:.2f} of {columns[1][0]}")
        print(f"all sides: x {sum(totals[::2]) / sum(totals[1::2]):.2f} of {columns[1][0]}", flush=True)


def paths(counts: Counts) -> None:
    for (side, what), count in sorted(counts.paths.items(), key=lambda item: (item[0][0], -item[1])):
        if count >= 0.02:
            print(f"{side:9} {count:7.2f}  {what}")


def ready(name: str) -> None:
    if shutil.which("strace") is None:
        sys.exit("strace is not installed: apt-get install strace (or the package of your system)")
    if name == "slurm" and not slurm_answers():
        sys.exit(
            "no SLURM answers: run 'sh tools/clusters/slurm.sh up' as root, then"
            " 'eval \"$(sh tools/clusters/slurm.sh env)\"', and start this again"
        )


def slurm_answers() -> bool:
    asked = ["squeue", "-h"]
    return shutil.which("sbatch") is not None and not subprocess.run(asked, capture_output=True, check=False).returncode


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--backend", choices=[*BATCHES, "all"], default="fork")
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--against", type=Path, metavar="DIR", help="another checkout to compare with")
    parser.add_argument("--paths", action="store_true", help="also list what the calls of this checkout are for")
    asked = parser.parse_args(argv)
    for name in BATCHES if asked.backend == "all" else [asked.backend]:
        ready(name)
        columns = [("", measure(name, CHECKOUT, asked.jobs))]
        if asked.against is not None:
            columns.append((asked.against.name, measure(name, asked.against.resolve(), asked.jobs)))
        table(name, columns)
        if asked.paths:
            paths(columns[0][1])


if __name__ == "__main__":
    os.environ.pop("ARC_CONFIG", None)
    main()
