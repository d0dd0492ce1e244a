"""Orphans: jobs in a batch system that arex submitted for jobs that are not in the control directory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Final

from arex.clock import Clock
from arex.controldir.store import ControlDir
from arex.errors import BatchUnavailable
from arex.gm.batch.client import BatchClient
from arex.model.ids import JobId, LocalId

log = logging.getLogger(__name__)

_RETRY_S: Final = 60.0


class OrphanSearch:
    """Reports orphans; an administrator has to decide what to do with them."""

    def __init__(self, store: ControlDir, clients: Mapping[str, BatchClient], clock: Clock) -> None:
        self._store = store
        self._clients = clients
        self._clock = clock
        self.count = 0  #: orphans that were found

    async def run(self, scanned: asyncio.Event) -> None:
        """Search once, after ``scanned``, when all jobs of the control directory are known."""
        await scanned.wait()
        self.count = 0
        for name, client in self._clients.items():
            tagged = await self._tagged(name, client)
            known = await asyncio.to_thread(self._known, set(tagged.values()))
            orphans = {localid: job for localid, job in tagged.items() if job not in known}
            self.count += len(orphans)
            for localid, job in orphans.items():
                log.warning(
                    "orphan: %s job %s is tagged for job %s, which is not in this control directory",
                    name, localid, job, extra={"event": "lrms.stray"},
                )  # fmt: skip

    def _known(self, jobs: Iterable[JobId]) -> set[JobId]:
        return {job for job in jobs if self._store.knows(job)}

    async def _tagged(self, name: str, client: BatchClient) -> Mapping[LocalId, JobId]:
        while True:
            try:
                tagged = await client.backend.tagged()
            except BatchUnavailable as exc:
                client.health.no_answer(exc)
                log.info(
                    "%s does not answer, the search for orphans will be retried: %s",
                    name,
                    exc,
                    extra={"event": "lrms.silent"},
                )
                await self._clock.sleep(_RETRY_S)
            else:
                client.health.answered()
                return tagged
