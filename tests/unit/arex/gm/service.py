"""A grid manager in this process, over a fake cluster and a clock that stands still."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from arex.clock import SystemClock
from arex.config.model import Configuration
from arex.config.values import MaxJobs
from arex.controldir.layout import FlatLayout, Mark
from arex.controldir.store import ControlDir
from arex.gm.batch.client import BatchClient
from arex.gm.batch.polling import PollingPolicy
from arex.gm.context import Services, Settings
from arex.gm.limits import Limits
from arex.gm.manager import GridManager
from arex.gm.turns.scanner import ScanIntervals
from arex.jobdesc import DescriptionDialect, JobDescription, parse
from arex.model.ids import JobId, LocalId, new_job_id
from arex.model.local import JobLocal
from arex.model.report import EndCause, Report
from arex.model.state import State, Status
from arex.ports import Stager
from arex.staging.engine import Engine
from tests.fakes.batch import FakeBackend, FakeCluster, ended
from tests.fakes.clock import FakeClock

TRUE = '&(executable="/bin/true")'
PACE = PollingPolicy(poll_s=0.01, first_look_s=0.0, absence_s=15.0)


async def until(condition: Callable[[], object], what: Callable[[], object] = str) -> None:
    """Let everybody else run until something is true, half a minute at most."""
    try:
        async with asyncio.timeout(30):
            for turn in itertools.count():
                if condition():
                    return
                await asyncio.sleep(0 if turn < 100 else 0.001)  # threads get on slowly while the loop is always busy
    except TimeoutError:
        raise AssertionError(f"never: {what()}") from None


async def advance_until(clock: FakeClock, condition: Callable[[], object], step: timedelta) -> None:
    """Move the clock on until something is true, half a minute of real time at most."""
    async with asyncio.timeout(30):
        while not condition():
            clock.advance(step)
            await asyncio.sleep(0.001)  # turns are in threads, which would miss months of a clock that runs on


class GridService:
    """One control directory with its manager and its batch system."""

    def __init__(self, root: Path, maxjobs: MaxJobs, stager: Stager | None = None) -> None:
        self.root = root
        self.sessions = root / "session"
        self.sessions.mkdir(exist_ok=True)
        self.clock = FakeClock()
        self.cluster = FakeCluster()
        self.services = make_services(root, self.clock, maxjobs, ttl=timedelta(days=7), ttr=timedelta(days=30))
        self.store = self.services.store
        self.limits = self.services.limits
        self.clients: dict[str, BatchClient] = {}
        self.manager = GridManager(
            self.services, self.clients, stager or Engine.from_config(Configuration(), SystemClock()), ScanIntervals()
        )
        self.client = BatchClient(
            FakeBackend(self.cluster, clock=self.clock),
            self.clock,
            PACE,
            self.manager.answer,
            self.manager.reported,
            self.services.keeper,
        )
        self.clients["fake"] = self.client

    # --- jobs ---

    def make(self, text: str = TRUE, local: JobLocal | None = None, state: State = State.ACCEPTED) -> JobId:
        """On disk, without a message to anybody."""
        job = new_job_id()
        (self.sessions / job).mkdir()
        self.store.reserve(job, text.encode())
        self.store.put_local(job, local or JobLocal(globalid=job, subject="/CN=me"))
        self.store.put_status(job, Status(state), None)
        return job

    def submit(self, text: str = TRUE, local: JobLocal | None = None) -> JobId:
        job = self.make(text, local)
        self.manager.look(job)
        return job

    def state(self, job: JobId) -> str:
        found = self.store.read_status(job)
        return "" if found is None else str(found.status)

    def tell(self, job: JobId) -> str:
        return f"{self.state(job)}\n{(self.store.read(job, 'errors') or b'').decode()}{self.store.failure(job)}"

    def busy(self, job: JobId) -> bool:
        """Whether a worker has the job now."""
        record = self.manager.tracking.get(job)
        return record is not None and record.busy

    def woken_again(self, job: JobId) -> bool:
        """Whether the job has another turn when the present one, or its document, is done."""
        record = self.manager.tracking.get(job)
        return record is not None and record.again

    async def reaches(self, job: JobId, *words: str) -> None:
        """On disk, and then in the manager, which learns of a move when all of it has been written."""
        await until(lambda: self.state(job) in words, lambda: (words, self.tell(job)))
        await until(lambda: not self.busy(job), lambda: (words, self.tell(job)))

    async def runs(self, job: JobId) -> LocalId:
        await self.reaches(job, "INLRMS")
        await until(lambda: self.client.watches(self.localid(job)), lambda: self.tell(job))
        return self.localid(job)

    async def shown(self, job: JobId, phase: str) -> None:
        """In the document of the job; until something else happens, nothing more is written about it."""
        word = f"nordugrid:INLRMS:{phase}<".encode()
        await until(lambda: word in (self.store.read(job, "xml") or b""), lambda: self.tell(job))
        await until(lambda: not any(record.publishing for record, _ in self.manager.tracking.adopted()))

    def localid(self, job: JobId) -> LocalId:
        local = self.local(job)
        return local.localid or LocalId("")

    def local(self, job: JobId) -> JobLocal:
        local = self.store.read_local(job)
        assert local is not None
        return local

    def end(self, job: JobId, code: int | None = 0, cause: EndCause = EndCause.EXIT_CODE) -> None:
        self.end_with(job, ended(code, cause))

    def end_with(self, job: JobId, report: Report) -> None:
        self.cluster.end(self.localid(job), report)

    def mark(self, job: JobId, mark: Mark) -> None:
        self.store.set_mark(job, mark)
        self.manager.look(job)

    def moves(self, job: JobId) -> list[str]:
        text = (self.store.read(job, "errors") or b"").decode()
        return [
            line.partition("change ")[2].partition("   ")[0] for line in text.splitlines() if "state change" in line
        ]


def make_services(
    root: Path, clock: FakeClock | None = None, maxjobs: MaxJobs | None = None, **settings: Any
) -> Services:
    """A control directory ``ctl`` and a session root ``session`` below ``root``, and settings of the site."""
    store = ControlDir(FlatLayout(root / "ctl"))
    store.prepare("me")
    return Services(
        store=store,
        settings=Settings(**{"sessiondirs": (root / "session",), "lrms": "fake", "queue": "q", **settings}),
        limits=Limits(maxjobs or MaxJobs()),
        clock=clock or FakeClock(),
        describe=describe,
    )


def describe(data: bytes) -> JobDescription:
    return parse(data, DescriptionDialect.GRIDMANAGER)[0]


@contextlib.asynccontextmanager
async def grid_service(
    root: Path, maxjobs: MaxJobs | None = None, stager: Stager | None = None
) -> AsyncIterator[GridService]:
    service = await asyncio.to_thread(GridService, root, maxjobs or MaxJobs(), stager)
    async with running(service):
        yield service


@contextlib.asynccontextmanager
async def running(service: GridService) -> AsyncIterator[None]:
    await service.client.backend.start()
    tasks = [asyncio.create_task(service.manager.run()), asyncio.create_task(service.client.run())]
    try:
        await until(service.manager.scanned.is_set)
        yield
        assert [] == [task for task in tasks if task.done()], tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await service.client.backend.close()
