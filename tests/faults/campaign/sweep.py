"""
Each call that arex makes during the life of a job fails once, with each error that it can have.

The lives of some jobs show the call sites and how often each is reached. Then, for each site, occurrence and error, the
call is armed and the same jobs run again, while those of the calls before may still wait to be tried again.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from arex.controldir.layout import Mark
from arex.errors import ArexError
from arex.model.ids import JobId
from tests.faults.campaign.shim import ERRORS
from tests.faults.campaign.site import Site
from tests.faults.service import wait_for
from tests.faults.strange import sh

#: Later calls of a site during one life are like the ones before.
_MOST_OCCURRENCES: Final = 4
_AT_ONCE: Final = 4
#: Seconds without news after which an armed call counts as not reached.
_PATIENCE_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Shot:
    """One call that fails."""

    site: int
    name: str
    skip: int
    bit: int

    def __str__(self) -> str:
        return f"{self.name} #{self.skip + 1} {ERRORS[self.bit]}"


@dataclass(slots=True)
class Result:
    sites: int = 0
    shots: int = 0
    fired: Counter[str] = field(default_factory=Counter)
    jobs: int = 0
    failed: Counter[str] = field(default_factory=Counter)  #: by what their owners read
    causes: dict[str, list[str]] = field(default_factory=dict)  #: calls that failed meanwhile, some for each reason
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        reasons = "".join(
            f"\n    {count:4d}  {why}, such as after {'; '.join(self.causes[why])}"
            for why, count in self.failed.most_common()
        )
        return (
            f"sweep: {self.sites} call sites, {self.shots} calls armed, {sum(self.fired.values())} failed "
            f"({', '.join(f'{count} {name}' for name, count in sorted(self.fired.items()))})\n"
            f"  {self.jobs} jobs, {sum(self.failed.values())} of them failed clearly:{reasons}\n"
            f"  problems: {len(self.problems)}" + "".join(f"\n    {problem}" for problem in self.problems)
        )


class Sweep:
    """Over one service that already runs."""

    def __init__(self, site: Site, most: int, seed: int) -> None:
        self._site, self._most, self._dice = site, most, random.Random(seed)
        self._lives: list[tuple[int, str, JobId]] = []
        self._armed: dict[JobId, str] = {}  #: what was to fail when it began
        self.result = Result()

    def run(self, life_s: float = 60) -> Result:
        self._live(life_s)  # what is done once in the life of a daemon
        shots = self._shots(life_s)
        for first in range(0, len(shots), _AT_ONCE):
            self._shoot(shots[first : first + _AT_ONCE], life_s)
            if not self._site.alive:
                self.result.problems.append(f"the daemon ended: {[str(each) for each in shots[first : first + 4]]}")
                self._site.begin()
        self._judge(life_s)
        return self.result

    def _shots(self, life_s: float) -> list[Shot]:
        before = {site.number: site.calls for site in self._site.shim.sites()}
        self._live(life_s)
        sites = self._site.shim.sites()
        shots = [
            Shot(site.number, site.name, skip, bit)
            for site in sites
            for skip in range(min(_MOST_OCCURRENCES, site.calls - before.get(site.number, 0)))
            for bit in site.errors
        ]
        self.result.sites = len({shot.site for shot in shots})
        self._dice.shuffle(shots)
        return shots[: self._most] if self._most else shots

    def _live(self, life_s: float) -> None:
        """One job of each kind, to its end."""
        for submit in (self._plain, self._cancelled):
            submit()
        jobs = [job for _, _, job in self._lives[-2:]]
        wait_for(lambda: self._are_gone(jobs), life_s, lambda: [self._site.tell(job) for job in jobs])

    def _are_gone(self, jobs: list[JobId]) -> bool:
        self._advance()
        return all(self._site.state(job) == "" for job in jobs)

    def _plain(self) -> None:
        number = len(self._lives)
        text = f"echo {number} >>{self._site.runs}; mkdir d; echo x >d/out; exit 0"
        job = self._site.submit(sh(text, '(stdout="o")(stderr="e")(outputfiles=("d/out" ""))(gmlog="log")'))
        self._lives.append((number, "plain", job))

    def _cancelled(self) -> None:
        number = len(self._lives)
        job = self._site.submit(sh(f"echo {number} >>{self._site.runs}; exec sleep 600", '(stdout="o")'))
        self._lives.append((number, "cancelled", job))

    def _advance(self) -> None:
        """Cancel what runs and remove what has ended, as far as it has come to that."""
        runs = self._site.counted()
        for number, kind, job in self._lives[-200:]:
            state = self._site.state(job)
            try:
                if kind == "cancelled" and state == "INLRMS" and number in runs:
                    self._site.mark(job, Mark.CANCEL)
                elif state == "FINISHED" and self._is_right(number, kind, job, runs):
                    self._site.mark(job, Mark.CLEAN)
            except (ArexError, OSError):
                continue  # it has just been removed

    def _is_right(self, number: int, kind: str, job: JobId, runs: Counter[int]) -> bool:
        """Keep those that ended wrongly, to look at; count those that failed."""
        why = self._site.store.failure(job).strip()
        wrong = not why and (kind == "cancelled" or not runs[number])
        if why and not (kind == "cancelled" and "cancel" in why):
            self.result.failed[_general(why, job)] += 1
            self.result.causes.setdefault(_general(why, job), []).append(f"{self._armed.get(job, ())}")
        return not wrong

    def _shoot(self, shots: list[Shot], life_s: float) -> None:
        shim = self._site.shim
        for number, shot in enumerate(shots):
            shim.arm(number, shot.site, shot.skip, shot.bit)
        self._plain()
        self._cancelled()
        latest = [job for _, _, job in self._lives[-2:]]
        self._armed |= dict.fromkeys(latest, " | ".join(map(str, shots)))
        waits = time.monotonic() + min(life_s, _PATIENCE_S)
        while time.monotonic() < waits and self._site.alive:
            self._advance()
            if all(shim.fired(number) for number in range(len(shots))):
                break
            if all(self._site.state(job) == "" for job in latest):
                break
            time.sleep(0.05)
        for number, shot in enumerate(shots):
            self.result.shots += 1
            if shim.fired(number):
                self.result.fired[ERRORS[shot.bit]] += 1
            shim.disarm(number)

    def _judge(self, life_s: float) -> None:
        site, problems = self._site, self.result.problems
        self.result.jobs = len(self._lives)
        until = time.monotonic() + max(120.0, 2 * life_s)
        while time.monotonic() < until and any(site.state(job) for _, _, job in self._lives):
            for first in range(0, len(self._lives), 200):
                self._lives = self._lives[first:] + self._lives[:first]
                self._advance()
            time.sleep(0.5)
        runs = site.counted()
        for number, kind, job in self._lives:
            if runs[number] > 1:
                problems.append(f"{kind} {job} ran {runs[number]} times")
            if site.state(job):
                problems.append(f"{kind} {job} has not ended and gone: {site.tell(job)}")
            elif left := [path.name for path in site.ctl.glob(f"*{job}*")]:
                problems.append(f"{kind} {job} was removed and left {left}")


def _general(why: str, job: JobId) -> str:
    return why.replace(job, "JOB").splitlines()[0][:160]


def check(site: Site, problems: list[str]) -> None:
    """What holds when nothing fails any more."""
    looks: dict[str, Callable[[], object]] = {
        "slots that are stuck": site.stuck_slots,
        "processes that are left": site.no_processes,
        "half-written files": site.half_files,
        "strange tracebacks": lambda: Counter(site.strange_tracebacks()),
        "the daemon does not end well": lambda: not site.ends_well(),
    }
    for what, look in looks.items():
        if found := look():
            problems.append(f"{what}: {found}")
