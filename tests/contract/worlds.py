"""What the contract suite needs around a backend: jobs with a known end, and a way to wait for it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from arex.clock import Clock
from arex.model.grami import Grami
from arex.model.ids import LocalId, new_job_id, new_tag
from arex.model.report import EndCause, Phase, Report
from arex.ports import Backend, LocalJob, Submission
from lrms.fork.backend import ForkBackend, ForkSettings
from lrms.jobscript.settings import ScriptSettings
from tests.fakes.batch import RUNNING, FakeBackend, FakeCluster, ended

_W = TypeVar("_W", bound="World")
_B = TypeVar("_B", bound=Backend)

#: What a job does, and how that ends: by the job's name. A ``$`` in an argument would be expanded too early.
PAYLOADS: Final[dict[str, tuple[str, Report]]] = {
    "exit 0": ("echo ran >>ran", ended(0)),
    "exit 3": ("exit 3", ended(3)),
    "kill 9": ("kill -9 $$", ended(137, EndCause.SIGNAL, 9)),
    "wait": ("exec sleep 600", RUNNING),
    "walltime": ("exec sleep 600", ended(137, EndCause.WALLTIME, 9)),
    "cputime": ("while :; do :; done", ended(137, EndCause.CPUTIME, 9)),
    "memory": ("x=$(head -c 60000000 /dev/zero | tr '\\0' x); sleep 600", ended(137, EndCause.MEMORY, 9)),
}
LIMITS: Final[dict[str, dict[str, int]]] = {
    "walltime": {"walltime_s": 1},
    "cputime": {"cputime_s": 1, "walltime_s": 36_000},  # a busy machine takes its time for that second
    "memory": {"memory_mb": 30},
}


class Submissions:
    """Makes jobs with a known end below a directory."""

    queue = ""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.submissions: list[Submission] = []

    def submission(self, payload: str = "exit 0", script: str = "", **grami: object) -> Submission:
        """A job with its session directory and its program, which another script may replace."""
        job = new_job_id()
        session = self.root / job
        session.mkdir()
        program = session / "program"
        program.write_text(f"#!/bin/sh\n{script or PAYLOADS[payload][0]}\n")
        program.chmod(0o700)
        for name in ("diag", "comment"):  # as the grid manager does; arrays are swept when these files are gone
            session.with_name(f"{job}.{name}").touch(0o600)
        tag = new_tag(job)
        value = Grami(
            gridid=job,
            directory=session,
            controldir=self.root / "control",
            args=("./program",),
            jobname=payload,
            stdout=str(session / "out.txt"),
            stderr=str(session / "err.txt"),
            queue=self.queue,
        )
        value = replace(value, **(LIMITS.get(payload, {}) | grami))  # type: ignore[arg-type]
        self.submissions.append(Submission(job=job, tag=tag, grami=value, rundir=self.root / f"{job}.lrms" / tag))
        return self.submissions[-1]


class World(Submissions, ABC):
    """One kind of backend; ``backend()`` makes a new instance over the same batch system."""

    patience_s = 60.0  #: from submission to the end of a short job
    limits = frozenset(LIMITS)  #: that it enforces
    holds = True  #: it has a queue in which a job can be held

    @abstractmethod
    def backend(self, clock: Clock | None = None) -> Backend:
        """``clock``: the system's, unless given."""

    @abstractmethod
    def runs(self, submission: Submission) -> int:
        """How often the payload of an attempt was started."""

    @abstractmethod
    def break_down(self, backend: Backend) -> None:
        """The batch system stops answering."""

    async def end(self, backend: Backend, job: LocalJob) -> None:
        """Bring a ``wait`` that runs to an end of which its script can still tell."""
        await backend.cancel([job])

    async def clean_up(self) -> None:
        """End whatever a test has left."""
        backend = self.backend()
        await backend.start()
        found = await backend.find(self.submissions)
        jobs = [local_job(each, found[each.tag]) for each in self.submissions if each.tag in found]
        await backend.cancel(jobs)
        await all_end(backend, jobs, self.patience_s)
        await backend.close()


class ForkWorld(World):
    """Real processes of this machine."""

    holds = False

    settings = ForkSettings(grace_s=1.0, script=ScriptSettings(nodes=("node1",)))

    def backend(self, clock: Clock | None = None) -> ForkBackend:
        return ForkBackend(self.settings, clock)

    def runs(self, submission: Submission) -> int:
        ran = submission.grami.directory / "ran"
        return len(ran.read_text().splitlines()) if ran.exists() else 0

    def break_down(self, backend: Backend) -> None:
        assert isinstance(backend, ForkBackend)
        backend._launcher._drop()
        backend._launcher._not_before = asyncio.get_running_loop().time() + 600


class FakeWorld(World):
    """The fake, held to the same promises."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.cluster = FakeCluster(lambda submission: PAYLOADS[submission.grami.jobname][1])

    def backend(self, clock: Clock | None = None) -> FakeBackend:
        return FakeBackend(self.cluster, clock=clock)

    def runs(self, submission: Submission) -> int:
        return self.cluster.runs[submission.tag]

    def break_down(self, backend: Backend) -> None:
        assert isinstance(backend, FakeBackend)
        backend.cluster.outage = "no answer"

    async def clean_up(self) -> None:
        self.cluster.outage = ""
        await super().clean_up()


@contextlib.asynccontextmanager
async def cleaned_up(world: _W) -> AsyncIterator[_W]:
    """A world in which nothing is left in the end."""
    try:
        yield world
    finally:
        await world.clean_up()


@contextlib.asynccontextmanager
async def started(backend: _B) -> AsyncIterator[_B]:
    await backend.start()
    try:
        yield backend
    finally:
        await backend.close()


def local_job(submission: Submission, localid: LocalId) -> LocalJob:
    return LocalJob(
        job=submission.job,
        localid=localid,
        tag=submission.tag,
        session=submission.grami.directory,
        rundir=submission.rundir,
    )


async def submitted(backend: Backend, submission: Submission) -> LocalJob:
    answer = (await backend.submit([submission]))[submission.tag]
    assert isinstance(answer, str), answer
    return local_job(submission, LocalId(answer))


async def end_of(backend: Backend, job: LocalJob, seconds: float = 60) -> Report:
    """The report of a job once it has ended."""
    return await reaches(backend, job, Phase.ENDED, seconds)


async def all_end(backend: Backend, jobs: Collection[LocalJob], seconds: float = 60) -> None:
    """Wait for the ends of many at once: a batch system may take its time about each."""
    left = list(jobs)
    limit = time.monotonic() + seconds
    while left:
        assert time.monotonic() < limit, f"jobs have not ended: {[job.localid for job in left]}"
        reports = await backend.status(left)
        left = [job for job in left if job.localid not in reports or reports[job.localid].phase is not Phase.ENDED]
        await asyncio.sleep(0.05)


async def reaches(backend: Backend, job: LocalJob, phase: Phase, seconds: float = 60) -> Report:
    """The first report of a job in this phase."""
    report = None
    try:
        async with asyncio.timeout(seconds):
            while report is None or report.phase is not phase:
                await asyncio.sleep(0.02)
                report = (await backend.status([job])).get(job.localid)
    except TimeoutError:
        raise AssertionError(f"job {job.localid} is not {phase.name}: {report}") from None
    return report


def until(what: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something outside to happen; AssertionError if it does not."""
    limit = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.02)


async def happens(what: Callable[[], bool], seconds: float = 60) -> None:
    await asyncio.to_thread(until, what, seconds)
