"""Kinds of trouble. Each method causes one and, where that takes time, waits and takes it back."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from arex.model.ids import JobId
from tests.faults.campaign import mounts
from tests.faults.campaign.payloads import Payload
from tests.faults.campaign.shim import ERRORS
from tests.faults.campaign.site import Site

_BROKEN: Final = (
    b"[arex\nthis is no configuration",
    b"\xff\xfe\0\0",
    b"",
    b"[arex]\nmaxjobs=lots\n[lrms]\nlrms=none\n",
)
#: What owners may ask for at the same time.
_COMMANDS: Final = (
    "arckill",
    "arckill -k",
    "arcclean",
    "arcresume",
    "archold",
    "arcrelease",
    "arcget -f",
    "arcget -k -f",
)
_REMOVES: Final = frozenset({"arckill", "arcclean", "arcget -f"})
_MOST_COMMANDS: Final = 6


class Troubles:
    """Of one service; ``counts`` says how often each was caused."""

    def __init__(self, site: Site, dice: random.Random, jobs: Mapping[JobId, Payload], *, can_mount: bool) -> None:
        self._site, self._dice, self._jobs = site, dice, jobs
        self._commands: list[subprocess.Popen[bytes]] = []
        self.counts: Counter[str] = Counter()
        self.home = site.root / "home"
        self.home.mkdir()
        #: name, and how often it is chosen
        self.kinds: dict[str, tuple[Callable[[], int], int]] = {
            "kill -9 of the daemon": (self.kill_daemon, 4),
            "stop and start of the daemon": (self.restart, 1),
            "SIGSTOP and SIGCONT of the daemon": (self.pause_daemon, 2),
            "calls that fail at random": (self.fail_calls, 6),
            "SIGHUP": (self.reconfigure, 2),
            "SIGHUP with a broken configuration": (self.break_configuration, 2),
            "SIGHUP without a configuration": (self.lose_configuration, 1),
            "commands of owners at once": (self.race, 8),
        }
        if can_mount:
            self.kinds |= {
                "full file system": (self.fill, 3),
                "read-only file system": (self.forbid, 3),
            }

    def cause_one(self) -> None:
        [name] = self._dice.choices([*self.kinds], [weight for _, weight in self.kinds.values()])
        self.counts[name] += self.kinds[name][0]()

    def end(self) -> None:
        """Everything is right again."""
        self._site.shim.fail(0)
        self._site.conf.write_bytes(self._site.good_conf)
        for command in self._commands:
            command.wait(120)

    # --- the daemon ---

    def kill_daemon(self) -> int:
        self._site.signal(signal.SIGKILL, [self._site.pid])
        self._site.ends()
        self._pause(0.5)
        self._site.begin()
        return 1

    def restart(self) -> int:
        code = self._site.stop()
        assert code == 0, f"exit code {code}: {self._site.said()}"
        self._site.begin()
        return 1

    def pause_daemon(self) -> int:
        self._site.signal(signal.SIGSTOP, [self._site.pid])
        self._pause(4)
        return self._site.signal(signal.SIGCONT, [self._site.pid])

    # --- the machine ---

    def fail_calls(self) -> int:
        """The share stays until the next time, when it may be none."""
        before = sum(self._site.shim.failures.values())
        kinds = self._dice.choice([1 << bit for bit in range(len(ERRORS))] + [(1 << len(ERRORS)) - 1])
        self._site.shim.fail(self._dice.choice((3_000, 20_000, 200_000)), kinds)
        self._pause(3)
        self._site.shim.fail(self._dice.choice((0, 0, 500)))
        return int(sum(self._site.shim.failures.values()) > before)

    def fill(self) -> int:
        place = self._place()
        mounts.fill(place)
        self._pause(4)
        mounts.empty(place)
        return 1

    def forbid(self) -> int:
        place = self._place()
        mounts.make_read_only(place)
        self._pause(4)
        mounts.make_writable(place)
        return 1

    def _place(self) -> Path:
        return self._dice.choice((self._site.ctl, self._site.sessions))

    # --- the administrator ---

    def reconfigure(self) -> int:
        slots = self._dice.choice((self._site.slots, self._site.slots + 3))
        text = self._site.good_conf.replace(b"wakeupperiod=1", b"wakeupperiod=%d" % self._dice.randrange(1, 4))
        self._site.conf.write_bytes(text.replace(b"fork_slots=%d" % self._site.slots, b"fork_slots=%d" % slots))
        return self._site.signal(signal.SIGHUP, [self._site.pid])

    def break_configuration(self) -> int:
        self._site.conf.write_bytes(self._dice.choice(_BROKEN))
        return self._bad_hangup()

    def lose_configuration(self) -> int:
        self._site.conf.unlink()
        return self._bad_hangup()

    def _bad_hangup(self) -> int:
        done = self._site.signal(signal.SIGHUP, [self._site.pid])
        self._pause(1)
        self._site.conf.write_bytes(self._site.good_conf)
        return done

    # --- owners ---

    def race(self) -> int:
        self._commands = [command for command in self._commands if command.poll() is None]
        if not self._jobs or len(self._commands) >= _MOST_COMMANDS:
            return 0
        recent = [*self._jobs][-60:]
        jobs = self._dice.sample(recent, min(3, len(recent)))
        words = self._dice.sample(_COMMANDS, 3)
        for word in words:
            for job in jobs:
                payload = self._jobs[job]
                payload.asked.add(word)
                payload.may_vanish |= word in _REMOVES
                payload.most_runs += word == "arcresume"
            self._commands.append(self._command(word, jobs))
        return len(words)

    def _command(self, word: str, jobs: list[JobId]) -> subprocess.Popen[bytes]:
        name, *options = word.split()
        if name == "arcget":
            options += ["-D", str(self.home / "got")]
        environ = {**os.environ, "ARC_CONFIG": str(self._site.conf), "HOME": str(self.home)}
        with (self._site.root / "commands.out").open("ab") as out:
            return subprocess.Popen(
                [Path(sys.executable).with_name(name), *options, *jobs],
                env=environ,
                cwd=self.home,
                stdout=out,
                stderr=out,
            )

    def _pause(self, most_s: float) -> None:
        time.sleep(self._dice.uniform(0, most_s))


class ForkTroubles(Troubles):
    """Those that need our own supervisors."""

    def __init__(self, site: Site, dice: random.Random, jobs: Mapping[JobId, Payload], *, can_mount: bool) -> None:
        super().__init__(site, dice, jobs, can_mount=can_mount)
        self.kinds |= {
            "kill -9 of the forkserver": (self.kill_forkserver, 3),
            "SIGSTOP and SIGCONT of the forkserver": (self.pause_forkserver, 2),
            "kill -9 of a supervisor": (self.kill_supervisor, 3),
            "SIGSTOP and SIGCONT of a supervisor": (self.pause_supervisor, 3),
            "kill -9 of everything": (self.kill_all, 1),
        }

    def kill_forkserver(self) -> int:
        return self._site.signal(signal.SIGKILL, self._site.forkservers())

    def pause_forkserver(self) -> int:
        return self._paused(self._site.forkservers())

    def kill_supervisor(self) -> int:
        return self._site.signal(signal.SIGKILL, self._some())

    def pause_supervisor(self) -> int:
        return self._paused(self._some())

    def kill_all(self) -> int:
        pids = [*self._site.supervisors(), *self._site.forkservers(), self._site.pid]
        self._dice.shuffle(pids)
        self._site.signal(signal.SIGKILL, pids)
        self._site.ends()
        self._site.begin()
        return 1

    def _some(self) -> list[int]:
        return self._site.supervisors()[: self._dice.randrange(1, 4)]

    def _paused(self, pids: list[int]) -> int:
        self._site.signal(signal.SIGSTOP, pids)
        self._pause(3)
        return self._site.signal(signal.SIGCONT, pids)
