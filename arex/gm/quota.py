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
from arex.controldir.session import root_objection
from arex.controldir.store import ControlDir
from arex.errors import CorruptFile
from arex.gm.context import KnownJob
from arex.gm.session_usage import Taken, crowded, over, session_names, shortage, taken_by
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
        self._measured: dict[Path, dict[JobId, _OwnerUsage]] = {}  #: in the last round in which the root was readable
        self._settled: dict[JobId, _OwnerUsage] = {}  #: of ended jobs, which do not change any more
        self._ended: set[JobId] = set()

    @property
    def measures(self) -> bool:
        """Whether a limit needs the sizes of directories."""
        limits = self._limits
        return bool(limits.session_quota or limits.session_inodes or limits.owner_quota or limits.root_quota)

    def room(self, root: Path, owner: str) -> str:
        """Why a new job of this owner has to wait for room in this session root; empty if there is room."""
        if objection := root_objection(root):
            return objection
        full = crowded(owner, self._by_owner.get(owner, Taken()), root, self._by_root.get(root, Taken()), self._limits)
        return full or shortage(root, self._limits)

    async def run(self, jobs: Callable[[], Iterable[KnownJob]], look: Callable[[JobId], None]) -> None:
        """Run until cancelled; ``jobs`` returns all jobs that have not ended."""
        while self.measures:
            await self.round(jobs(), look)
            await self._clock.sleep(self._limits.quota_period.total_seconds())

    async def round(self, jobs: Iterable[KnownJob], look: Callable[[JobId], None]) -> None:
        """Measure all session directories; cancel jobs that use too much."""
        active = {job.id: job for job in jobs}
        for root in self._roots:
            try:
                names = await asyncio.to_thread(_names, root)
            except OSError as exc:
                facts = {"event": "quota.failed"}
                log.warning("cannot list a session root, its last known sizes count: %s", exc, extra=facts)
                continue
            self._measured[root] = {
                name: await asyncio.to_thread(self._share, root, name, active.get(name)) for name in names
            }
            for name in names:
                if name in active and (why := over(self._measured[root][name].taken, self._limits)):
                    await self._cancel(active[name], why)
                    look(name)
        by_owner: dict[str, Taken] = defaultdict(Taken)
        for shares in self._measured.values():
            for share in shares.values():
                by_owner[share.owner] += share.taken
        self._by_owner = by_owner
        self._by_root = {
            root: sum((share.taken for share in shares.values()), Taken()) for root, shares in self._measured.items()
        }
        found = {name for shares in self._measured.values() for name in shares}
        self._settled = {job: share for job, share in self._settled.items() if job in found}
        self._ended &= found

    async def _cancel(self, job: KnownJob, why: str) -> None:
        try:
            await asyncio.to_thread(self._end, job, why)
        except (OSError, CorruptFile) as exc:
            facts = {"event": "quota.failed", "job": job.id}
            log.warning("cannot cancel the job, arex tries again in the next round: %s", exc, extra=facts)

    def _share(self, root: Path, job: JobId, active: KnownJob | None) -> _OwnerUsage:
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

    def _end(self, job: KnownJob, why: str) -> None:
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
