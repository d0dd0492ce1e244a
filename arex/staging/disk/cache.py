"""
Input files that are kept for later jobs: one file for each URL, linked into the session directories that use it.

Layout: ``PATH/data/aa/<38 hex>`` from the SHA-1 of the URL without options; ``.meta`` beside it has the URL, the
facts that were checked, and the owners with access; ``.lock`` exists while a process works on the file;
``joblinks/ID/NAME`` is a hard link, so a file that a job uses has more than one link and is not removed by cleaning.
Source: the cache of ARC 6.17; the line that begins with ``#arex`` is added by arex.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

from arex.aio import cancel_and_wait, in_thread
from arex.clock import Clock
from arex.config.model import Configuration
from arex.config.values import CacheDir
from arex.controldir import atomic, codec, confined_fs, hostlock
from arex.errors import CacheUnavailable
from arex.model.ids import JobId
from arex.model.session import SessionPaths
from arex.staging.disk import cachemeta, journal
from arex.staging.disk.cachemeta import CacheRecord
from arex.staging.movers.base import FileInfo

log = logging.getLogger(__name__)

#: A lock that was not touched for this time is stale. Source: ARC 6.17.
STALE_S: Final = 900.0
#: How long an owner who has proved access to a URL needs no new proof. Source: ARC 6.17.
_PERMITTED: Final = timedelta(hours=24)
_REFRESH_S: Final = 120.0
_FIRST_LOOK_S: Final = 0.05
_LONGEST_LOOK_S: Final = 2.0
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK: Final = 1024 * 1024
#: Cached files are read-only, as a job that writes through its link would change the file for all.
_MODE: Final = 0o400


@dataclass(slots=True)
class _Turn:
    """The transfers of this process that wait for one URL."""

    lock: asyncio.Lock
    wanted: int = 0


class Cache:
    """
    All cache directories of a site.

    Each URL has one holder at a time, here and in other processes; a holder that dies loses its lock.
    """

    def __init__(self, directories: Sequence[CacheDir], clock: Clock) -> None:
        self._directories = tuple(directories)
        self._clock = clock
        self._turns: dict[str, _Turn] = {}

    @classmethod
    def from_config(cls, config: Configuration, clock: Clock) -> Self | None:
        """None: the site has no cache."""
        directories = config.cache.cachedir
        return cls(directories, clock) if directories else None

    @contextlib.asynccontextmanager
    async def hold(self, url: str) -> AsyncIterator[Cached]:
        """
        Exclusive access to the cached copy of a URL; waits for other holders.

        Raises:
            CacheUnavailable: no cache directory accepts it; the file can still be downloaded without a cache.
        """
        turn = self._turns.setdefault(url, _Turn(asyncio.Lock()))
        turn.wanted += 1
        try:
            async with turn.lock:
                cached = Cached(*await in_thread(self._place, url), url, self._clock)
                try:
                    await self._lock(cached)
                    keeping = asyncio.create_task(_keep(cached.lock), name=f"cache lock {cached.path.name}")
                    try:
                        yield cached
                    finally:
                        await cancel_and_wait(keeping)
                finally:
                    await in_thread(_release, cached)
        finally:
            turn.wanted -= 1
            if not turn.wanted:
                self._turns.pop(url, None)

    async def release(self, job: JobId) -> None:
        """Remove the links of a job, so that cleaning may remove the files."""
        for directory in self._directories:
            await asyncio.to_thread(confined_fs.remove_tree, directory.path / "joblinks" / job)

    def _place(self, url: str) -> tuple[CacheDir, Path]:
        """The path of the copy of a URL, which is the same for every process."""
        digest = hashlib.sha1(url.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()
        name = f"data/{digest[:2]}/{digest[2:]}"
        for directory in self._directories:
            if (directory.path / name).exists():
                return directory, directory.path / name
        open_ = [each for each in self._directories if not each.drain and not each.readonly]
        if not open_:
            raise CacheUnavailable("no cache directory accepts new files")
        chosen = open_[int(digest[:8], 16) % len(open_)]
        return chosen, chosen.path / name

    async def _lock(self, cached: Cached) -> None:
        pause = _FIRST_LOOK_S
        while not await in_thread(_take, cached):
            await self._clock.sleep(pause)
            pause = min(2 * pause, _LONGEST_LOOK_S)


def _take(cached: Cached) -> bool:
    try:
        cached.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        cached.locked = take_lock(cached.path)
    except OSError as exc:
        raise CacheUnavailable(f"cannot write to the cache {cached.directory.path}: {exc.strerror}") from exc
    return cached.locked


def take_lock(path: Path) -> bool:
    """
    Try to take the lock of a cached file; the caller releases it.

    If the last holder died, and arex did not cache the file, the file is removed: A-REX writes it in place, so it
    may be incomplete although its size is right.

    Raises:
        OSError: the directory is not writable.
    """
    taken = hostlock.take(f"{path}.lock", STALE_S)
    if taken is hostlock.LockResult.LEFT and not _is_ours(path):
        _remove(path)
        log.warning(
            "removed a cached file, because its download by another process was interrupted: %s",
            path,
            extra={"event": "cache.incomplete"},
        )
    return taken is not hostlock.LockResult.NO


def _is_ours(path: Path) -> bool:
    """Whether arex cached this file as it is, which happens in one step; also if there is no file."""
    try:
        info = path.lstat()
    except FileNotFoundError:
        return True
    facts = cachemeta.facts_in(cachemeta.read_lines(path))
    return any(cachemeta.record_in(each, info) is not None for each in facts)


def _remove(path: Path) -> None:
    """Remove a cached file with everything beside it but its lock."""
    for suffix in ("", ".meta", ".part", ".begun"):
        atomic.remove(f"{path}{suffix}")


def _release(cached: Cached) -> None:
    if cached.locked:
        hostlock.release(cached.lock)


async def _keep(lock: str) -> None:
    """Refresh a lock until cancelled. A file system that fails now may work again before the lock is stale."""
    while True:
        await asyncio.sleep(_REFRESH_S)
        try:
            await in_thread(hostlock.refresh, lock)
        except FileNotFoundError:
            continue
        except OSError as exc:
            facts = {"event": "cache.lock"}
            log.warning("cannot refresh the cache lock %s, will retry: %s", lock, exc.strerror, extra=facts)


class Cached:
    """The copy of one URL while it is held. Every method accesses the disk, so call it in a worker thread."""

    def __init__(self, directory: CacheDir, path: Path, url: str, clock: Clock) -> None:
        self.directory = directory
        self.path = path
        self.url = url
        self.locked = False  #: set in the thread, so that a cancellation does not lose a lock that was taken
        self._clock = clock

    @property
    def lock(self) -> str:
        return f"{self.path}.lock"

    @property
    def partial(self) -> Path:
        """The part file of the download, which can be resumed after a crash."""
        return self.path.with_name(self.path.name + ".part")

    @property
    def _meta(self) -> str:
        return f"{self.path}.meta"

    @property
    def _begun(self) -> str:
        return f"{self.path}.begun"

    def begin(self, source: str, facts: FileInfo) -> None:
        """Write down which version of a source ``partial`` is downloaded from; it is still empty."""
        atomic.put(self._begun, json.dumps(journal.half(source, facts)).encode())

    def begin_small(self) -> None:
        """The same for content that is too small to be resumed."""
        atomic.remove(self._begun)

    def half(self, source: str) -> FileInfo | None:
        """The version of the source that ``partial`` is from; None if it is from another source."""
        # incomplete or invalid: the file is downloaded again
        with contextlib.suppress(ValueError, TypeError, KeyError):
            fact = json.loads(atomic.read(self._begun) or b"{}")
            if fact["url"] == journal.url_digest(source):
                return journal.half_of(fact)
        return None

    def record(self) -> CacheRecord | None:
        """The cached file, or None if there is no valid one."""
        lines = self._lines()
        try:
            info = os.lstat(self.path)
        except FileNotFoundError:
            return None
        if not lines or lines[0] != self.url:
            return None
        facts = cachemeta.facts_in(lines)
        return cachemeta.record_in(facts[0], info) if facts else cachemeta.record_of_arc(info)

    def allowed(self, owner: str) -> bool:
        """Whether this owner has proved access to the URL not long ago."""
        return any(name == owner and until > self._clock.now() for name, until in cachemeta.permits_in(self._lines()))

    def allow(self, owner: str) -> None:
        """Record that this owner has access."""
        now = self._clock.now()
        lines = self._lines()
        others = [(name, until) for name, until in cachemeta.permits_in(lines) if until > now and name != owner]
        ours = [line for line in lines if line.startswith(cachemeta.OURS)]
        self._put_meta([*others, (_one_line(owner), now + _PERMITTED)], ours)

    def touch_checked(self) -> None:
        """Record that copy and source agree now."""
        if (record := self.record()) is not None:
            facts = cachemeta.line_of(record, self._clock.now(), self.path.stat().st_ino)
            self._put_meta(cachemeta.permits_in(self._lines()), [facts])

    def commit(self, record: CacheRecord) -> None:
        """
        Make ``partial``, which is complete, the cached file.

        Raises:
            OSError: that failed; a file that was cached before is unchanged.
        """
        self.partial.chmod(_MODE)
        if record.modified is not None:
            stamp = record.modified.timestamp()
            os.utime(self.partial, (self._clock.now().timestamp(), stamp))
        # before the file: a crash between the two leaves a copy that is not trusted
        self._put_meta([], [cachemeta.line_of(record, record.checked, self.partial.stat().st_ino)])
        self.partial.rename(self.path)
        atomic.remove(self._begun)

    def drop(self) -> None:
        """Remove the copy; jobs that have a link to it keep the file."""
        _remove(self.path)

    def deliver(self, job: JobId, session: Path, pfn: str, *, copy: bool, executable: bool) -> int:
        """
        Bring the file into a session directory, as a link or a copy; returns its size in bytes.

        The link goes through ``joblinks/JOB`` and counts as use. A file of that name in the session is replaced.

        Raises:
            UnsafePath: the name leads out of the session.
            OSError: no space, no permission.
        """
        directory = self.directory
        if copy or executable or directory.link == "." or directory.readonly:
            return self._copy(session, pfn, 0o700 if executable else 0o600)
        link = directory.path / "joblinks" / job / "/".join(confined_fs.parts_of(pfn))
        link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic.remove(str(link))
        os.link(self.path, link)
        self._used()
        seen = Path(directory.link) / "joblinks" / job / "/".join(confined_fs.parts_of(pfn)) if directory.link else link
        with confined_fs.parent_of(session, pfn, create=True) as (fd, last):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(last, dir_fd=fd)
            os.symlink(seen, last, dir_fd=fd)
        return self.path.stat().st_size

    def _copy(self, session: Path, pfn: str, mode: int) -> int:
        with confined_fs.own_directory(SessionPaths(session).staging) as workdir:
            half = workdir / f"{hashlib.sha1(os.fsencode(pfn), usedforsecurity=False).hexdigest()}.copy"
            try:
                atomic.remove(str(half))
                _copy_file(self.path, half, mode)
                with confined_fs.parent_of(session, pfn, create=True) as (fd, last):
                    os.rename(half, last, dst_dir_fd=fd)
            except BaseException:
                atomic.remove(str(half))
                raise
        self._used()
        return self.path.stat().st_size

    def _used(self) -> None:
        """Set the access time, because not every file system does; the modification time is kept."""
        os.utime(self.path, ns=(int(self._clock.now().timestamp() * 1e9), self.path.stat().st_mtime_ns))

    def _lines(self) -> list[str]:
        return cachemeta.read_lines(self.path)

    def _put_meta(self, permits: Sequence[tuple[str, datetime]], ours: Sequence[str]) -> None:
        lines = [self.url, *(f"{name} {codec.mds_time(until)}" for name, until in permits), *ours]
        atomic.put(self._meta, codec.encode("".join(f"{line}\n" for line in lines)))


def _copy_file(source: Path, target: Path, mode: int) -> None:
    with source.open("rb") as reader, os.fdopen(os.open(target, _NEW_FILE, mode), "wb") as writer:
        shutil.copyfileobj(reader, writer, _CHUNK)


def _one_line(text: str) -> str:
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class CachedFile:
    """One file in a cache, as cleaning and listing see it."""

    path: Path
    url: str
    size: int
    used: datetime  #: last
    linked: bool  #: a job has it


def cached_files(root: Path) -> Iterator[CachedFile]:
    """All complete files of one cache directory."""
    for path in sorted((root / "data").glob("??/*")):
        if path.suffix:
            continue
        with contextlib.suppress(FileNotFoundError):
            info = path.lstat()
            meta = atomic.read(f"{path}.meta") or b""
            url = codec.decode(meta).partition("\n")[0]
            yield CachedFile(path, url, info.st_size, datetime.fromtimestamp(info.st_atime, UTC), info.st_nlink > 1)
