"""The download of one input: directly, through the cache, or as a link to a local path."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from arex.aio import in_thread
from arex.errors import CacheUnavailable, UnsafePath
from arex.model.url import Url
from arex.staging.disk import journal, session
from arex.staging.disk.cache import Cached
from arex.staging.disk.cachemeta import CacheRecord
from arex.staging.disk.partfile import ExpectedContent, Part
from arex.staging.disk.session import ReceivedFile
from arex.staging.movers.base import ErrorKind, FileInfo, Mover, RemoteFile, Resume, TransferError, from_os
from arex.staging.scheduler import Ticket
from arex.staging.transfer import Failed, Transfer
from arex.staging.url import CacheUse, algorithm_for, cache_use, canonical, checksum_of, is_executable, size_of

#: How long a copy that agreed with its source is used without asking the server again, by owners with access.
_AGREED: Final = timedelta(minutes=5)
#: Less than this is not worth resuming.
_LEAST_RESUME: Final = 64 * 1024


@dataclass(eq=False, slots=True)
class Download(Transfer):
    """One input."""

    look_up: Ticket | None = None  #: for looking up, checking and linking

    @property
    def _cacheable(self) -> bool:
        url = self.replicas[0]
        if self.context.cache is None or url.scheme == "file" or cache_use(url) is CacheUse.NO:
            return False
        return cache_use(url) is not CacheUse.DEFAULT or not is_executable(url)

    def start(self) -> None:
        if not self._cacheable and not self._link_target():
            Transfer.start(self)
            return
        self.state = "CHECK_CACHE"
        self.look_up = Ticket(self.ticket.share, self.ticket.priority, self.ticket.since)
        look_up = self.look_up
        self.context.turns.ask(
            canonical(self.replicas[0]),
            self,
            lambda: self.context.processor.ask(look_up, lambda: self.owner.spawn(self)),
        )

    def leave(self) -> None:
        Transfer.leave(self)
        if self.look_up is not None:
            self.context.processor.leave(self.look_up)
            self.context.turns.leave(canonical(self.replicas[0]), self)

    async def move(self) -> None:
        target = self._link_target()
        if target and await self._linked(*target):
            return
        if self._cacheable and await self._through_cache():
            return
        if self.look_up is not None:
            self.context.processor.leave(self.look_up)
            self.context.turns.leave(canonical(self.replicas[0]), self)
        await self.tried(self._fetch_and_place, self.context.delivery, self.ticket)
        self.context.counters.downloads += 1
        self.context.counters.bytes_in += self.size

    def worded(self, url: Url, trouble: TransferError) -> str:
        if trouble.verdict is ErrorKind.NO_SPACE:  # on this host, not at the server
            return f"Failed writing to destination: {self.entry.pfn} : {trouble}"
        begun = self.meter is not None and self.meter.moved
        if not begun or trouble.verdict in {ErrorKind.NOT_FOUND, ErrorKind.PERMANENT}:
            return f"Failed checking source replica {url.shown}: Failed to obtain information about file: {trouble}"
        return f"Failed reading from source: {url.shown} : Failed while reading from source: {trouble}"

    # --- directly -----------------------------------------------------------------------------------------------

    async def _fetch_and_place(self, mover: Mover, source: RemoteFile) -> None:
        url = str(source.url)
        begun, facts = self.owner.journal.begun.get(self.entry.pfn, ("", None))
        facts = facts if begun == journal.url_digest(url) else None

        async def begins(facts: FileInfo) -> None:
            fact = journal.begun(self.entry.pfn, url, facts)
            await in_thread(self.owner.journal.add, [fact], durable=False)

        part = await self._fetch(mover, source, self.owner.journal.part_of(self.entry.pfn), facts, begins)
        arrival = ReceivedFile(self.entry.pfn, url, part.body, is_executable(self.replicas[0]), self.context.durable)
        if part.body is not None:
            arrival.durable = False
        if part.body is not None and self.owner.writer.has_room:
            self.context.delivery.leave(self.ticket)  # the network is free for another one while the disk works
        try:
            await self.owner.writer.put(arrival)
        except UnsafePath as exc:
            raise Failed(str(exc)) from exc
        except OSError as exc:
            raise from_os(exc) from exc

    async def _fetch(
        self, mover: Mover, source: RemoteFile, path: str, facts: FileInfo | None,
        begins: Callable[[FileInfo], Awaitable[None]], *, in_memory: bool = True,
    ) -> Part:  # fmt: skip
        url = source.url
        assert self.meter is not None
        part = Part(
            path=path,
            wanted=ExpectedContent(size=size_of(url), checksum=checksum_of(url), algorithm=algorithm_for(url)),
            meter=self.meter,
            begun=begins,
            in_memory=in_memory,
            durable=self.context.durable,
        )
        self.state = "TRANSFERRING"
        resume = None if facts is None else await in_thread(_resume, path, facts)
        try:
            await mover.fetch(source, _NotingSink(part, self, resume), resume)
            await part.finish()
        finally:
            await part.stop()
        return part

    # --- through the cache --------------------------------------------------------------------------------------

    async def _through_cache(self) -> bool:
        """Whether the cache was used; otherwise the file still has to be downloaded."""
        assert self.context.cache is not None
        try:
            async with self.context.cache.hold(canonical(self.replicas[0])) as cached:
                await self._fill(cached)
                self.size = await in_thread(
                    cached.deliver,
                    self.owner.staging.job,
                    self.owner.staging.session,
                    self.entry.pfn,
                    copy=cache_use(self.replicas[0]) is CacheUse.COPY or self.entry.pfn in self.owner.staging.copied,
                    executable=is_executable(self.replicas[0]),
                )
        except (CacheUnavailable, OSError) as exc:
            await self.owner.note(f"{self.replicas[0].shown}: cannot use the cache: {exc}")
            return False
        except UnsafePath as exc:
            raise Failed(str(exc)) from exc
        return True

    async def _fill(self, cached: Cached) -> None:
        """Make sure that the copy exists, agrees with the source, and that this owner may read it."""
        owner = self.owner.staging.owner
        if await self._agrees(cached, owner):
            self.context.counters.cache_hits += 1
            return
        assert self.look_up is not None
        self.context.processor.leave(self.look_up)
        self.context.counters.cache_misses += 1

        async def fetch(mover: Mover, source: RemoteFile) -> FileInfo:
            url = str(source.url)

            async def begins(facts: FileInfo) -> None:
                if facts.size is not None and facts.size < _LEAST_RESUME:
                    await in_thread(cached.begin_small)
                else:
                    await in_thread(cached.begin, url, facts)

            half = await in_thread(cached.half, url)
            return (await self._fetch(mover, source, str(cached.partial), half, begins, in_memory=False)).facts

        facts = await self.tried(fetch, self.context.delivery, self.ticket)
        self.context.delivery.leave(self.ticket)
        now = self.context.clock.now()
        record = CacheRecord(size=self.size, modified=facts.modified, etag=facts.etag, checked=now)
        await in_thread(cached.commit, record)
        await in_thread(cached.allow, owner)
        self.context.counters.downloads += 1
        self.context.counters.bytes_in += self.size

    async def _agrees(self, cached: Cached, owner: str) -> bool:
        use = cache_use(self.replicas[0])
        record, allowed = await in_thread(lambda: (cached.record(), cached.allowed(owner)))
        if record is None or use is CacheUse.RENEW:
            return False
        fresh = self.context.clock.now() - record.checked < _AGREED
        if allowed and (use is CacheUse.INVARIANT or (fresh and use is not CacheUse.CHECK)):
            return True
        assert self.look_up is not None
        facts = await self.tried(lambda mover, source: mover.stat(source), self.context.processor, self.look_up)
        if use is not CacheUse.INVARIANT and not agree(record, facts):
            return False
        await in_thread(cached.touch_checked)
        await in_thread(cached.allow, owner)
        return True

    # --- as a link ----------------------------------------------------------------------------------------------

    def _link_target(self) -> tuple[Path, Path] | None:
        """The paths of ``linkurl`` on this host and on worker nodes."""
        if not self.context.links:
            return None
        url = str(self.replicas[0])
        rule = next((each for each in self.context.links if url.startswith(each.url)), None)
        if rule is None or self.entry.pfn in self.owner.staging.copied or is_executable(self.replicas[0]):
            return None
        rest = url.removeprefix(rule.url)
        if ".." in rest.split("/"):
            return None
        return Path(rule.replacement + rest), Path((rule.node_path or rule.replacement) + rest)

    async def _linked(self, here: Path, there: Path) -> bool:
        """Whether the file could be linked to."""
        try:
            self.size = await in_thread(_readable, here)
            await in_thread(session.link, self.owner.staging.session, self.entry.pfn, there)
        except UnsafePath as exc:
            raise Failed(str(exc)) from exc
        except OSError as exc:
            await self.owner.note(f"{self.replicas[0].shown}: cannot link to {here}, downloading it: {exc.strerror}")
            return False
        return True


@dataclass(slots=True)
class _NotingSink:
    """A part file; a resumed transfer is reported in the job's log."""

    part: Part
    download: Download
    resume: Resume | None

    async def begin(self, facts: FileInfo, start: int) -> None:
        await self.part.begin(facts, start)
        if start:
            self.download.context.counters.resumed += 1
            await self.download.owner.note(f"{self.download.entry.pfn}: resumed at byte {start}")

    async def write(self, data: bytes) -> None:
        await self.part.write(data)


def agree(record: CacheRecord, facts: FileInfo) -> bool:
    """Whether a copy is the current version of the source."""
    if facts.size is not None and facts.size != record.size:
        return False
    if facts.etag and record.etag:
        return facts.etag == record.etag
    if facts.modified is not None and record.modified is not None:
        return facts.modified <= record.modified
    return facts.size is not None


def _resume(path: str, facts: FileInfo) -> Resume | None:
    """The usable size of a part file, without its last byte, so that the range request is never empty."""
    with contextlib.suppress(FileNotFoundError):
        offset = Path(path).stat().st_size
        if facts.size is not None:
            offset = min(offset, facts.size - 1)
        if offset >= _LEAST_RESUME and facts.validator:
            return Resume(offset, facts)
    return None


def _readable(path: Path) -> int:
    with path.open("rb") as stream:
        return os.fstat(stream.fileno()).st_size
