"""A service under the shim: its processes, its payloads, and what must hold when all trouble is over."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final

from arex.config.load import load
from arex.controldir import temporary
from arex.model.ids import JobId
from lrms.processes import children
from plugins.local import LocalPlugin
from tests.faults.campaign.shim import Shim
from tests.faults.service import Service, wait_for
from tests.faults.strange import sh

#: What a traceback in the log may end with while calls fail: the injected errors, and what arex makes of them.
_EXPECTED: Final = re.compile(
    r"No space left on device|Input/output error|Too many open files|Cannot allocate memory|Read-only file system"
    r"|can't start new thread|Resource temporarily unavailable|MemoryError"
    # from __del__ of an event loop that Python could not make for want of descriptors; the daemon reports that itself
    r"|'_UnixSelectorEventLoop' object has no attribute '_ssock'"
)
_FINAL: Final = frozenset({"FINISHED", "DELETED"})


class Site(Service):
    """A service whose payloads leave their number in ``runs`` when they begin."""

    def __init__(
        self, root: Path, shim: Shim, slots: int, more: str = "", lrms: str = "lrms=fork\n[queue:fork]\n"
    ) -> None:
        super().__init__(root, f"fork_slots={slots}\n{more}", lrms)
        self.shim, self.slots = shim, slots
        self.plugin = LocalPlugin(load(self.conf, {})[0])  # the owner is the one that our commands find
        self.runs = root / "runs"
        self.log = root.parent / "daemon.out"  # calls about it do not fail: it has to tell all
        self.runs.touch()
        self.good_conf = self.conf.read_bytes()

    def begin(self) -> None:
        """Start the daemon; one that calls keep from starting is started again."""
        for _ in range(20):
            before = self.log.stat().st_size if self.log.exists() else 0
            self.launch(self.shim.prefix)
            wait_for(partial(self._is_up_or_gone, before), 120, self.said)
            if self.alive:
                return
        raise AssertionError(f"the daemon does not start: {self.said()}")

    def _is_up_or_gone(self, before: int) -> bool:
        return not self.alive or b"event=service.up" in self.log.read_bytes()[before:]

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def forkservers(self) -> list[int]:
        return [pid for pid in children(self.pid) if b"lrms.fork.server" in words_of(pid)]

    def supervisors(self) -> list[int]:
        return [pid for server in self.forkservers() for pid in children(server)]

    def signal(self, number: int, pids: Iterable[int]) -> int:
        """How many got it."""
        count = 0
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
            count += 1
        return count

    # --- the end ---

    def counted(self) -> Counter[int]:
        """How often each payload has begun."""
        return Counter(int(line) for line in self.runs.read_text().split())

    def is_final(self, job: JobId) -> bool:
        """Or removed, as its owner wanted."""
        return self.state(job) in _FINAL | {""}

    def all_final(self, jobs: Iterable[JobId], limit_s: float) -> list[JobId]:
        """Those that are not, after the limit at most."""
        left = list(jobs)
        until = time.monotonic() + limit_s
        while (left := [job for job in left if not self.is_final(job)]) and time.monotonic() < until:
            time.sleep(0.2)
        return left

    def processes(self) -> list[str]:
        """What runs in our directories or with our paths, without the service."""
        ours = {os.getpid(), os.getppid(), self.pid, *self.forkservers()}
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            if int(entry.name) in ours:
                continue
            words = _read(entry / "cmdline")
            try:
                where = os.readlink(entry / "cwd").encode()
            except OSError:
                continue
            if str(self.root).encode() in words + where + _read(entry / "environ") and b"pytest" not in words:
                found.append(f"{entry.name}: {words!r}")
        return found

    def no_processes(self, limit_s: float = 90) -> list[str]:
        until = time.monotonic() + limit_s
        while (left := self.processes()) and time.monotonic() < until:
            time.sleep(0.2)
        return left

    def stuck_slots(self, limit_s: float = 120) -> int:
        """So many of the slots do not run a job at once; the jobs of this look are removed."""
        gate = self.root / "gate"
        os.mkfifo(gate)
        here = self.root / "here"
        here.touch()
        jobs = [self.submit(sh(f"echo >>{here}; read x <{gate}")) for _ in range(self.slots)]

        def busy() -> int:
            return len(here.read_text().splitlines())

        until = time.monotonic() + limit_s
        while busy() < self.slots and time.monotonic() < until:
            time.sleep(0.1)
        missing = self.slots - busy()
        keep = os.open(gate, os.O_RDWR)  # whoever opens it reads a line
        os.write(keep, b"go\n" * self.slots * 20)
        left = self.all_final(jobs, 120)
        os.close(keep)
        gate.unlink()
        here.unlink()
        return max(missing, len(left))

    def half_files(self, limit_s: float = 60) -> list[str]:
        """What a new daemon does not remove either: the removal of such a file may be a call that failed."""
        self.stop()
        self.begin()
        until = time.monotonic() + limit_s
        while (left := self._temporary()) and time.monotonic() < until:  # one may be at work just now
            time.sleep(0.2)
        return left

    def _temporary(self) -> list[str]:
        return [path.name for path in self.ctl.rglob("*") if temporary.writer_of(path.name) is not None]

    def strange_tracebacks(self) -> list[str]:
        """The ends of tracebacks in the log that are not about the injected errors."""
        ends = []
        for part in self.log.read_text(errors="replace").split("Traceback (most recent call last):\n")[1:]:
            # the first line that belongs to no frame is the error
            end = next((line for line in part.splitlines() if not re.match(r"[ |]*(  File |    |$)", line)), "")
            if not _EXPECTED.search(end):
                ends.append(f"{part[:3000]}")
        return ends

    def ends_well(self) -> bool:
        """The daemon stops when it is asked to."""
        return self.alive and self.stop() == 0


def words_of(pid: int) -> bytes:
    """The command line of a process; nothing if it has ended."""
    return _read(f"/proc/{pid}/cmdline")


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
