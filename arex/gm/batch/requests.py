"""Bulk requests to a batch system (cancel, hold, release), repeated until there is an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping

from arex.aio import WakeUp
from arex.backoff import backoff_s
from arex.clock import Clock
from arex.errors import BatchUnavailable
from arex.gm.batch.health import Health
from arex.model.ids import LocalId
from arex.ports import LocalJob


class BulkRequests:
    """One kind of request to one backend. The answer for each job is the reason of a refusal, or empty if accepted."""

    def __init__(
        self,
        ask: Callable[[Collection[LocalJob]], Awaitable[Mapping[LocalId, str]]],
        answered: Callable[[LocalJob, str], None],
        clock: Clock,
        health: Health,
        batch: int,
    ) -> None:
        self._ask = ask
        self._answered = answered
        self._clock = clock
        self._health = health
        self._batch = batch
        self._jobs: dict[LocalId, LocalJob] = {}
        self._news = WakeUp(clock)

    def put(self, job: LocalJob) -> None:
        """Add a request; a repeated call has no effect."""
        self._jobs[job.localid] = job
        self._news.set()

    async def run(self) -> None:
        """Run until cancelled."""
        failures = 0
        while True:
            while self._jobs:
                batch = list(self._jobs.values())[: self._batch]
                try:
                    refusals = await self._ask(batch)
                except BatchUnavailable as exc:
                    self._health.no_answer(exc)
                    await self._clock.sleep(backoff_s(failures))
                    failures += 1
                    continue
                failures = 0
                self._health.answered()
                for job in batch:
                    self._jobs.pop(job.localid, None)
                    self._answered(job, refusals.get(job.localid, ""))
            await self._news.wait()
