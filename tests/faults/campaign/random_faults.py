"""
A random campaign: jobs pass through a service for a while, and everything goes wrong that can.

Afterwards everything is set right, and the figures show what is lost, ran twice, was left running or is stuck.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from arex.controldir.layout import Mark
from arex.errors import ArexError
from arex.model.ids import JobId
from plugins.local.submission import Submitted
from tests.faults.campaign.payloads import Payload, Payloads
from tests.faults.campaign.site import Site
from tests.faults.campaign.troubles import Troubles

_MOST_WAITING: Final = 40


@dataclass(slots=True)
class Figures:
    """What a campaign found; each problem is a sentence."""

    seed: int
    seconds: float = 0.0
    refused: int = 0  #: submissions that the client could not make
    ends: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)
    calls: dict[str, int] = field(default_factory=dict)  #: that failed, by error
    zeros: dict[str, list[str]] = field(default_factory=dict)  #: what must not be

    @property
    def problems(self) -> list[str]:
        return [f"{what}: {each}" for what, found in self.zeros.items() for each in found]

    def __str__(self) -> str:
        lines = [f"campaign of {self.seconds:.0f} s, AREX_CAMPAIGN_SEED={self.seed}"]
        lines += [f"  {sum(self.ends.values()):6d}  jobs; {self.refused} submissions refused"]
        lines += [f"  {count:6d}    {end}" for end, count in self.ends.most_common()]
        lines += [f"  {count:6d}  {kind}" for kind, count in sorted(self.troubles.items())]
        lines += [f"  {count:6d}  calls failed with {name}" for name, count in self.calls.items()]
        lines += [f"  {len(found):6d}  {what}" for what, found in self.zeros.items()]
        return "\n".join([*lines, *(f"  ! {problem}" for problem in self.problems)])


class Campaign:
    """Over one service that already runs."""

    def __init__(self, site: Site, seed: int) -> None:
        self._site = site
        self.jobs: dict[JobId, Payload] = {}
        self.figures = Figures(seed)

    def run(self, troubles: Troubles, payloads: Payloads, dice: random.Random, seconds: float) -> Figures:
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if self._waiting() < _MOST_WAITING:
                for _ in range(dice.randrange(4, 20)):
                    self._submit(payloads)
            troubles.cause_one()
            time.sleep(dice.uniform(0, 0.3))
            if not self._site.alive:
                self._found("times the daemon ended by itself", [self._site.said()[-3000:]])
                self._site.begin()
        troubles.end()
        self.figures.seconds = time.monotonic() - began
        self.figures.troubles, self.figures.calls = troubles.counts, self._site.shim.failures
        self._judge()
        return self.figures

    def _submit(self, payloads: Payloads) -> None:
        payload, text = payloads.next()
        try:
            outcome = self._site.offer(text)
        except (ArexError, OSError):  # the control directory is full or read-only
            outcome = None
        if isinstance(outcome, Submitted):
            self.jobs[outcome.id] = payload
        else:
            self.figures.refused += 1

    def _waiting(self) -> int:
        return sum(not self._site.is_final(job) for job in [*self.jobs][-3 * _MOST_WAITING :])

    def _found(self, what: str, problems: list[str]) -> None:
        self.figures.zeros.setdefault(what, []).extend(problems)

    # --- when all is over ---

    def _judge(self) -> None:
        site = self._site
        for job in self.jobs:
            if not site.is_final(job):
                with contextlib.suppress(ArexError, OSError):
                    site.mark(job, Mark.RELEASE)
        left = site.all_final(self.jobs, 240)
        self._found("jobs that do not end", [f"{self.jobs[job]} {job} {site.state(job)}" for job in left])
        runs = site.counted()
        states = {job: site.state(job) for job in self.jobs}
        self._found(
            "jobs lost",
            [found for job, payload in self.jobs.items() if (found := self._lost(job, payload, states, runs))],
        )
        twice = [f"{p}: {runs[p.number]} times" for p in self.jobs.values() if runs[p.number] > p.most_runs]
        self._found("payloads that ran twice", twice)
        self._found("processes of payloads that are left", site.no_processes())
        self._found("slots that are stuck", ["no job"] * site.stuck_slots())
        self._found("half-written files", site.half_files())
        self._found("tracebacks of another kind", site.strange_tracebacks())
        self._found("times the daemon ended by itself", [] if site.alive else [site.said()[-3000:]])
        self._found("services that do not stop when asked", [] if site.ends_well() else [site.said()[-3000:]])

    def _lost(self, job: JobId, payload: Payload, states: dict[JobId, str], runs: Counter[int]) -> str:
        """What is wrong with this job; how it has ended is counted."""
        if not states[job]:
            self.figures.ends["removed, as asked"] += 1
            files = [path.name for path in self._site.ctl.rglob(f"*{job}*")]
            files += [path.name for path in self._site.sessions.glob(f"{job}*")]
            if not payload.may_vanish:
                return f"{payload} {job} is gone, and no one asked for it"
            return f"{payload} {job} was removed and left {files}" if files else ""
        why = self._site.store.failure(job).strip().replace(job, "JOB")
        ran = bool(runs[payload.number])
        self.figures.ends[f"{why.splitlines()[0][:90]}" if why else "well"] += 1
        return (
            f"{payload} {job} has ended well and never ran" if not why and not ran and states[job] == "FINISHED" else ""
        )
