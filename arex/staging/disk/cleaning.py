"""
Cleaning of a cache: removes least recently used files without links of jobs, at a limited rate.

Source of the rules on fill levels: facts on ``[arex/cache/cleaner]``, ARC 6.17.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from arex.clock import Clock
from arex.config.model import Configuration
from arex.config.values import SpaceMethod
from arex.controldir import atomic, hostlock, trees
from arex.model.ids import JobId
from arex.staging.disk.cache import CachedFile, cached_files, take_lock

log = logging.getLogger(__name__)

#: An abandoned download leaves its part file; it can be resumed within a day.
_PART_LIVES: Final = timedelta(days=1)
_BATCH: Final = 50
#: Interval of cleaning. Source: ARC 6.17.
_ROUND_S: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """How full one cache directory is; sizes in bytes."""

    root: Path
    files: int
    size: int  #: of the cached files
    linked: int  #: files that jobs use
    total: int  #: of the file system
    used: int  #: what ``cachesize`` counts: of the file system, or of the cache alone

    @property
    def percent(self) -> float:
        return 100 * self.used / self.total if self.total else 0.0


@dataclass(slots=True)
class Cleaned:
    """What a round removed, or would remove in a dry run."""

    files: list[CachedFile] = field(default_factory=list)
    parts: list[Path] = field(default_factory=list)
    joblinks: list[JobId] = field(default_factory=list)
    in_time: bool = True  #: False: the round was ended by ``cachecleantimeout``

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(file.size for file in self.files)


class Cleaner:
    """Decides which files of a site's cache directories are removed, and removes them."""

    def __init__(self, config: Configuration, clock: Clock, *, is_live: Callable[[JobId], bool]) -> None:
        self.roots = tuple(each.path for each in config.cache.cachedir)
        self._about = config.cleaner
        self._rate = config.service.clean_rate
        self._clock = clock
        self._is_live = is_live

    def fill(self, root: Path, files: Sequence[CachedFile] | None = None) -> Fill:
        """
        Raises:
            OSError: the directory can't be looked at.
        """
        found = list(cached_files(root)) if files is None else files
        disk = os.statvfs(root)
        size = sum(file.size for file in found)
        total = disk.f_blocks * disk.f_frsize
        whole = total - disk.f_bavail * disk.f_frsize
        return Fill(
            root=root,
            files=len(found),
            size=size,
            linked=sum(file.linked for file in found),
            total=total,
            used=size if self._about.calculatesize is SpaceMethod.CACHEDIR else whole,
        )

    def due(self, root: Path) -> list[CachedFile]:
        """The files to remove, in order: expired ones, then the least recently used until the fill level is right."""
        files = sorted(cached_files(root), key=lambda file: file.used)
        free = [file for file in files if not file.linked]
        now, life = self._clock.now(), self._about.cachelifetime
        old = [file for file in free if life is not None and now - file.used > life]
        fill = self.fill(root, files)
        spare = fill.used - sum(file.size for file in old)
        if 100 * spare <= self._about.cachesize.high * fill.total:
            return old
        surplus = spare - self._about.cachesize.low * fill.total / 100
        return [*old, *_up_to(surplus, [file for file in free if file not in old])]

    async def run(self) -> None:
        """Clean every hour, as ARC does, until cancelled; returns at once if there is no cache."""
        while self.roots:
            cleaned = await self.clean()
            if cleaned.files:
                what = {"event": "cache.cleaned"}
                log.info("removed %d files (%d bytes) from the cache", len(cleaned.files), cleaned.size, extra=what)
            await self._clock.sleep(_ROUND_S)

    async def clean(self, *, dry_run: bool = False, everything: bool = False) -> Cleaned:
        """
        One round over all directories; with ``everything``, every file that no job uses.

        Raises:
            OSError: a cache directory can't be looked at or written.
        """
        cleaned = Cleaned()
        ends = self._clock.now() + self._about.cachecleantimeout
        for root in self.roots:
            if not await asyncio.to_thread(root.is_dir):
                continue
            cleaned.joblinks += await asyncio.to_thread(self._unlink_dead, root, dry_run=dry_run)
            cleaned.parts += await asyncio.to_thread(self._remove_parts, root, dry_run=dry_run)
            due = await asyncio.to_thread(_unlinked if everything else self.due, root)
            for start in range(0, len(due), _BATCH):
                if self._clock.now() > ends:
                    cleaned.in_time = False
                    return cleaned
                batch = due[start : start + _BATCH]
                cleaned.files += batch if dry_run else await asyncio.to_thread(_remove_all, batch)
                if self._rate and not dry_run:
                    await self._clock.sleep(len(batch) / self._rate)
        return cleaned

    def _unlink_dead(self, root: Path, *, dry_run: bool) -> list[JobId]:
        """Links of jobs that ended while no service was running."""
        with contextlib.suppress(FileNotFoundError):
            jobs = sorted(JobId(path.name) for path in (root / "joblinks").iterdir())
            dead = [job for job in jobs if not self._is_live(job)]
            for job in () if dry_run else dead:
                if obstacles := trees.remove(root / "joblinks" / job):
                    what = {"event": "cache.trouble", "job": job}
                    log.warning("cannot remove the cache links of the job: %s", obstacles, extra=what)
            return dead
        return []

    def _remove_parts(self, root: Path, *, dry_run: bool) -> list[Path]:
        now, removed = self._clock.now(), []
        data = root / "data"
        for part in (*data.glob("??/*.part"), *data.glob("??/*.begun")):
            with _locked(part.with_suffix("")) as ours:
                if ours and now - datetime.fromtimestamp(part.lstat().st_mtime, UTC) > _PART_LIVES:
                    removed.append(part)
                    if not dry_run:
                        atomic.remove(str(part))
        return removed


def _up_to(surplus: float, files: Sequence[CachedFile]) -> Iterator[CachedFile]:
    for file in files:
        if surplus <= 0:
            return
        surplus -= file.size
        yield file


def _unlinked(root: Path) -> list[CachedFile]:
    return [file for file in cached_files(root) if not file.linked]


def _remove_all(files: Sequence[CachedFile]) -> list[CachedFile]:
    return [file for file in files if _remove(file)]


def _remove(file: CachedFile) -> bool:
    """Under the lock of the URL, so that no job links to the file meanwhile."""
    with _locked(file.path) as ours, contextlib.suppress(FileNotFoundError):
        info = file.path.lstat()
        if ours and info.st_nlink == 1 and datetime.fromtimestamp(info.st_atime, UTC) == file.used:
            atomic.remove(str(file.path))
            atomic.remove(f"{file.path}.meta")
            return True
    return False


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    ours = take_lock(path)
    try:
        yield ours
    finally:
        if ours:
            hostlock.release(f"{path}.lock")
