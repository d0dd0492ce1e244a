"""The Python API for asyncio: the same as ``arex.client.blocking``, in threads, with ``async for`` over changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from arex.client.blocking import NO_LABELS, Client, Description, Job
from arex.config.model import Configuration
from plugins.local.follow import PollInterval
from plugins.local.session import Fetched, SessionEntry
from plugins.local.status import ClientState, JobStatus
from plugins.local.submission import Refused, Submitted
from plugins.local.view import JobWatch, Output


class AsyncClient:
    """The jobs of this account at one service; see ``Client`` for arguments, results and exceptions."""

    def __init__(self, config: Path | str | Configuration | None = None, *, listed: bool = False) -> None:
        """
        Open the control directory; reads the configuration, which blocks for milliseconds.

        Raises:
            ConfigError: the configuration is invalid.
        """
        self.blocking = Client(config, listed=listed)  #: the blocking form of this client

    @property
    def served(self) -> bool:
        """Whether a service is running."""
        return self.blocking.served

    async def submit(
        self,
        descriptions: Description | Iterable[Description],
        *,
        cwd: Path | None = None,
        queue: str = "",
        token: str = "",
        labels: Mapping[str, str] = NO_LABELS,
        strict: bool = False,
    ) -> list[Submitted | Refused]:
        """Submit jobs. If the task is cancelled, the submission goes on; repeat it with the same ``token``."""
        return await asyncio.to_thread(
            self.blocking.submit, descriptions, cwd=cwd, queue=queue, token=token, labels=labels, strict=strict
        )

    async def submit_one(
        self,
        description: Description,
        *,
        cwd: Path | None = None,
        queue: str = "",
        token: str = "",
        labels: Mapping[str, str] = NO_LABELS,
        strict: bool = False,
    ) -> AsyncJob:
        """Submit a description of a single job."""
        job = await asyncio.to_thread(
            self.blocking.submit_one, description, cwd=cwd, queue=queue, token=token, labels=labels, strict=strict
        )
        return AsyncJob(job.id, self)

    def job(self, job: str) -> AsyncJob:
        """A job by its id or URL; whether it exists is checked by its methods."""
        return AsyncJob(self.blocking.job(job).id, self)

    async def jobs(
        self,
        *,
        states: Collection[ClientState] = (),
        name: str = "",
        queue: str = "",
        labels: Mapping[str, str] = NO_LABELS,
        older: timedelta | None = None,
        newer: timedelta | None = None,
    ) -> list[AsyncJob]:
        """The jobs of this account at the service, the oldest first."""
        found = await asyncio.to_thread(
            self.blocking.jobs, states=states, name=name, queue=queue, labels=labels, older=older, newer=newer
        )
        return [AsyncJob(job.id, self) for job in found]

    async def statuses(self, jobs: Iterable[AsyncJob | str]) -> dict[str, JobStatus]:
        """The status of each job by its id; jobs that do not exist or cannot be read are missing."""
        return await asyncio.to_thread(self.blocking.statuses, [_id(job) for job in jobs])

    async def changes(
        self, jobs: Iterable[AsyncJob | str], *, timeout_s: float | None = None
    ) -> AsyncIterator[JobStatus]:
        """The status of each job, then again after each change, until all have ended or the time is over."""
        watch = JobWatch(self.blocking.local, [_id(job) for job in jobs])
        pace = PollInterval()
        while True:
            for status in await asyncio.to_thread(lambda: list(watch.look())):
                pace.hurry()
                yield status
            if watch.over or (timeout_s is not None and pace.passed_s >= timeout_s):
                return
            await asyncio.sleep(pace.next())

    async def wait(self, jobs: Iterable[AsyncJob | str], *, timeout_s: float | None = None) -> dict[str, JobStatus]:
        """Wait until all jobs have ended, or for ``timeout_s`` seconds; the last known status of each job by its id."""
        self.blocking.require_service(timeout_s)
        return {status.id: status async for status in self.changes(jobs, timeout_s=timeout_s)}


def _id(job: AsyncJob | str) -> str:
    return job.id if isinstance(job, AsyncJob) else job


@dataclass(frozen=True, slots=True)
class AsyncJob:
    """One job; see ``Job`` for arguments, results and exceptions."""

    id: str
    client: AsyncClient

    def __str__(self) -> str:
        return self.id

    @property
    def blocking(self) -> Job:
        """The blocking form of this job."""
        return Job(self.id, self.client.blocking)

    async def status(self) -> JobStatus:
        """The status now."""
        return await asyncio.to_thread(self.blocking.status)

    async def wait(self, *, timeout_s: float | None = None) -> JobStatus:
        """Wait until the job has ended, or for ``timeout_s`` seconds; the last known status."""
        return (await self.client.wait([self], timeout_s=timeout_s))[self.id]

    def changes(self, *, timeout_s: float | None = None) -> AsyncIterator[JobStatus]:
        """The status, then again after each change of the state."""
        return self.client.changes([self], timeout_s=timeout_s)

    async def cancel(self, *, remove: bool = False) -> None:
        """Cancel the job."""
        await asyncio.to_thread(self.blocking.cancel, remove=remove)

    async def hold(self) -> None:
        """Keep the job from starting."""
        await asyncio.to_thread(self.blocking.hold)

    async def release(self) -> None:
        """Let a held job start."""
        await asyncio.to_thread(self.blocking.release)

    async def rerun(self) -> None:
        """Run a failed job again."""
        await asyncio.to_thread(self.blocking.rerun)

    async def remove(self) -> None:
        """Remove the job and all its files."""
        await asyncio.to_thread(self.blocking.remove)

    async def fetch(self, target: Path, *, overwrite: bool = False) -> Fetched:
        """Copy the results to a new directory."""
        return await asyncio.to_thread(self.blocking.fetch, target, overwrite=overwrite)

    async def read(self, what: Output | str = Output.STDOUT) -> bytes:
        """The standard output, the standard error, the log, or a file of the session directory."""
        return await asyncio.to_thread(self.blocking.read, what)

    async def files(self, directory: str = "") -> list[SessionEntry]:
        """The entries of the session directory, or of a directory in it."""
        return await asyncio.to_thread(self.blocking.files, directory)
