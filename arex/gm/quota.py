"""
Quotas of session directories. New jobs wait while there is no room, and a job that uses too much is cancelled.

Without a limit in the configuration, nothing is measured.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from arex.clock import Clock
from arex.config.service import ServiceBlock
from arex.controldir.layout import Mark
from arex.controldir.quota import Taken, crowded, over, session_names, shortage, taken_by
from arex.controldir.store import ControlDir
from arex.errors import CorruptFile
from arex.gm.context import Job
from arex.model.ids import JobId
from arex.model.state import ACTIVE

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _OwnerUsage:
    """The usage of one session directory, and its owner."""

    owner: str
    taken: Taken


class Quotas:
    """
    Measures session directories periodically.

    Worker threads call ``room``, which uses the results of the last round and the free space of the file system.
    """

    def __init__(self, limits: ServiceBlock, roots: Sequence[Path], store: ControlDir, clock: Clock) -> None:
        self._limits = limits
        self._roots = tuple(roots)
        self._store = store
        self._clock = clock
        self._by_owner: Mapping[str, Taken] = {}
        self._by_root: Mapping[Path, Taken] = {}
        self._settled: dict[JobId, _OwnerUsage] = {}  #: of ended jobs, which do not change any more
        self._ended: set[JobId] = set()

    @property
    def measures(self) -> bool:
        """Whether a limit needs the sizes of directories."""
        limits = self._limits
        return bool(limits.session_quota or limits.session_inodes or limits.owner_quota or limits.root_quota)

    def room(self, root: Path, owner: str) -> str:
        """Why a new job of this owner has to wait for room in this session root; empty if there is room."""
        full = crowded(owner, self._by_owner.get(owner, Taken()), root, self._by_root.get(root, Taken()), self._limits)
        return full or shortage(root, self._limits)

    async def run(self, jobs: Callable[[], Iterable[Job]], look: Callable[[JobId], None]) -> None:
        """Run until cancelled; ``jobs`` returns all jobs that have not ended."""
        while self.measures:
            await self.round(jobs(), look)
            await self._clock.sleep(self._limits.quota_period.total_seconds())

    async def round(self, jobs: Iterable[Job], look: Callable[[JobId], None]) -> None:
        """Measure all session directories; cancel jobs that use too much."""
        active = {job.id: job for job in jobs}
        by_owner: dict[str, Taken] = defaultdict(Taken)
        by_root: dict[Path, Taken] = defaultdict(Taken)
        found: set[JobId] = set()
        for root in self._roots:
            for name in await asyncio.to_thread(_names, root):
                found.add(name)
                share = await asyncio.to_thread(self._share, root, name, active.get(name))
                by_owner[share.owner] += share.taken
                by_root[root] += share.taken
                if name in active and (why := over(share.taken, self._limits)):
                    await asyncio.to_thread(self._end, active[name], why)
                    look(name)
        self._by_owner, self._by_root = by_owner, by_root
        self._settled = {job: share for job, share in self._settled.items() if job in found}
        self._ended &= found

    def _share(self, root: Path, job: JobId, active: Job | None) -> _OwnerUsage:
        if active is not None:
            self._settled.pop(job, None)  # active again after a restart
            return _OwnerUsage(active.local.subject or "", taken_by(root, job))
        if job not in self._settled:
            self._settled[job] = _OwnerUsage(self._owner(job), taken_by(root, job))
        return self._settled[job]

    def _owner(self, job: JobId) -> str:
        try:
            local = self._store.read_local(job)
        except (CorruptFile, OSError):
            return ""  # unknown owner: the space only counts for the session root
        return "" if local is None else local.subject or ""

    def _end(self, job: Job, why: str) -> None:
        """Cancel a job with a mark, which survives a crash. The reason is written first."""
        if job.state not in ACTIVE or job.id in self._ended:
            return
        line = f"{why}\n"
        if line not in self._store.failure(job.id):
            self._store.append(job.id, "failed", line)
        self._store.set_mark(job.id, Mark.CANCEL)
        self._ended.add(job.id)
        log.info("cancelling the job: %s", why, extra={"event": "quota.over", "job": job.id})


def _names(root: Path) -> list[JobId]:
    return list(session_names(root))
