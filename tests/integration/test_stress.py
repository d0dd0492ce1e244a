"""Many jobs, and everything goes wrong that may: all end, and nothing is submitted twice."""

from __future__ import annotations

import asyncio
import os
import random
from datetime import timedelta
from pathlib import Path

import pytest

from arex.config.values import MaxJobs
from arex.controldir.layout import Mark, Place
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.report import Phase
from tests.fakes.batch import RUNNING, ended
from tests.unit.arex.gm.service import GridService, grid_service, until

JOBS = 300
TRUE = '&(executable="/bin/true")(rerun="1")'


class Chaos:
    """Wakes, marks, outages and lost answers, by a seed."""

    def __init__(self, service: GridService, seed: int) -> None:
        self.service = service
        self.dice = random.Random(seed)
        self.jobs: list[JobId] = []
        self.cancelled: set[JobId] = set()
        self.cleaned: set[JobId] = set()

    def make(self) -> None:
        for number in range(JOBS):
            self.jobs.append(self.service.make(TRUE, JobLocal(globalid="x", subject=f"/CN={number % 7}")))

    def once(self) -> None:
        job = self.dice.choice(self.jobs)
        match self.dice.randrange(12):
            case 0:
                self.service.cluster.outage = "down"
            case 1 | 2 | 3:
                self.service.cluster.outage = ""
            case 4:
                self.service.cluster.lost_answers += 2
            case 5:
                self.service.mark(job, Mark.CANCEL)
                self.cancelled.add(job)
            case 6:
                self.service.mark(job, Mark.CLEAN)
                self.cleaned.add(job)
            case 7:
                self.service.manager.rescan()
            case _:
                self.service.manager.look(job)
        self.end_some()
        self.service.clock.advance(timedelta(seconds=self.dice.choice([0.1, 1, 20])))

    def end_some(self, part: int = 3) -> None:
        cluster = self.service.cluster
        inside = [localid for localid, report in cluster.reports.items() if report.phase is not Phase.ENDED]
        for localid in self.dice.sample(inside, len(inside) // part):
            cluster.end(localid, ended(self.dice.choice([0, 0, 0, 7])))

    def unfinished(self) -> list[str]:
        ctl = self.service.root / "ctl"
        return [name for place in (Place.ACCEPTING, Place.PROCESSING) for name in os.listdir(ctl / place)]


@pytest.fixture(autouse=True)
def detector() -> None:
    """Marks are set and files are read on the loop, through our own functions: that blocks."""


async def test_three_hundred_jobs_in_a_storm_all_end_and_none_is_submitted_twice(tmp_path: Path) -> None:
    async with grid_service(tmp_path, MaxJobs(tracked=120, running=25, per_owner=20)) as service:
        chaos = Chaos(service, 20261120)
        service.cluster.outcome = lambda submission: ended(0) if submission.tag[-1] in "012" else RUNNING
        await asyncio.to_thread(chaos.make)
        service.manager.rescan()
        for _ in range(400):
            await asyncio.to_thread(chaos_of_files, chaos)
            chaos.once()
            await asyncio.sleep(0)
        service.cluster.outage = ""

        def ended_all() -> bool:
            chaos.end_some(part=1)
            service.clock.advance(timedelta(seconds=2))
            return not chaos.unfinished()

        await until(ended_all, chaos.unfinished)
        await until(lambda: service.manager.counts == {}, lambda: str(service.manager.counts))

        assert set(service.cluster.runs.values()) <= {1}
        assert (0, 0) == (service.limits.running, service.manager.waiting_outside)
        left = {path.name.split(".")[1] for path in (service.root / "ctl" / "finished").iterdir()}
        assert set(chaos.jobs) - chaos.cleaned <= left
        assert [] == [record for job in left if "fault of arex" in (record := service.tell(JobId(job)))]


def chaos_of_files(chaos: Chaos) -> None:
    """A client that rewrites a file of its own at the wrong time."""
    job = chaos.dice.choice(chaos.jobs)
    path = chaos.service.root / "ctl" / f"job.{job}.input_status"
    if chaos.service.state(job):
        path.write_text("")
