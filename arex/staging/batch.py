"""All transfers of one job in one direction, from the file lists to the outcome."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import quote

from arex.aio import WakeUp, in_thread
from arex.clock import time_of_day
from arex.config.values import CopyUrl
from arex.controldir import progress
from arex.controldir.progress import Progress, UnderWay
from arex.errors import CorruptFile, StagingError, UnsafePath
from arex.model.files import FileEntry
from arex.model.ids import JobId
from arex.model.reason import Reason, ReasonKind
from arex.model.url import Url
from arex.ports import Staged, Staging
from arex.staging.disk import journal, session
from arex.staging.disk.journal import Journal
from arex.staging.disk.session import SessionWriter
from arex.staging.download import Download
from arex.staging.meter import Meter
from arex.staging.scheduler import Ticket
from arex.staging.transfer import Transfer, TransferContext
from arex.staging.upload import Upload
from arex.staging.url import local_path, parse, parse_one, size_of

log = logging.getLogger(__name__)

#: Most lines about transfers in a job's log.
_MOST_NOTES: Final = 40
#: Longest list of active transfers in the progress file.
_MOST_SHOWN: Final = 20
_LONG_S: Final = 1.0
_LOOK_S: Final = 1.0
_RATE_S: Final = 10

Note = Callable[[JobId, str], None]


class Stage:
    """One call of ``stage_in`` or ``stage_out``."""

    def __init__(
        self, context: TransferContext, staging: Staging, *, out: bool, share: str,
        order: Callable[[Sequence[Url]], list[Url]], copies: Sequence[CopyUrl], note: Note,
    ) -> None:  # fmt: skip
        self.staging = staging
        self.out = out
        self.journal: Journal
        self.writer: SessionWriter
        self.transfers: list[Transfer] = []
        self.ended_at: asyncio.Event = asyncio.Event()
        self._context, self._share, self._order, self._copies, self._note = context, share, order, copies, note
        self._group: asyncio.TaskGroup
        self._tasks: set[asyncio.Task[None]] = set()  #: of transfers
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._meters: dict[Meter, None] = {}
        self._moving = WakeUp(context.clock)
        self._left = 0
        self._notes = 0
        self._moved: list[FileEntry] = []
        self._began = context.clock.monotonic()
        self._marks: deque[tuple[float, int]] = deque(maxlen=_RATE_S)
        self._shown: Progress | None = None
        self._told_left = 0

    async def run(self) -> Staged:
        """
        Run all transfers; none is active any more when this returns or is cancelled.

        Raises:
            OSError: cannot access the files of the job now.
        """
        try:
            wanted = self._replicas()
        except StagingError as exc:
            return Staged(done=False, failure=str(exc))
        journals: list[Journal] = []  # filled in the thread, so that a cancellation does not lose an open journal
        try:
            await in_thread(lambda: journals.append(Journal(self.staging.workdir)))
            [self.journal] = journals
            self.writer = SessionWriter(
                self.staging.session, self.journal, lambda: self._left, self._context.clock,
                durable=self._context.durable,
            )  # fmt: skip
            return await self._with_helpers(wanted)
        except (UnsafePath, CorruptFile) as exc:  # the job has put something else in the place of the journal
            return Staged(done=False, failure=str(exc))
        finally:
            for opened in journals:
                await in_thread(opened.close)
            self.ended_at.set()

    async def _with_helpers(self, wanted: Sequence[tuple[FileEntry, tuple[Url, ...]]]) -> Staged:
        """All tasks of this staging belong to one group, so none outlives it and no exception is lost."""
        try:
            async with asyncio.TaskGroup() as self._group:
                helpers = [
                    self._group.create_task(self.writer.run(), name=f"{self.staging.job}: place files"),
                    self._group.create_task(self._monitoring(), name=f"{self.staging.job}: transfer speed"),
                ]
                try:
                    return await self._run(wanted)
                finally:
                    await self.stop()
                    for helper in helpers:
                        helper.cancel()
        except ExceptionGroup as faults:
            raise faults.exceptions[0] from None

    async def _run(self, wanted: Sequence[tuple[FileEntry, tuple[Url, ...]]]) -> Staged:
        try:
            todo = await in_thread(self._sort_out, wanted)
        except UnsafePath as exc:
            return Staged(done=False, failure=str(exc))
        self.transfers = [self._transfer(entry, replicas) for entry, replicas in todo]
        self._left = len(self.transfers)
        for transfer in self.transfers:
            transfer.start()
        if self.transfers:
            await self._over
        return await self._outcome()

    async def stop(self) -> None:
        """Cancel all active transfers and wait for their end."""
        # waiting transfers first, because a slot that is given back would go to one of them
        for transfer in sorted(self.transfers, key=lambda each: each.ticket.running):
            transfer.leave()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            self.writer.flush()
        while pending := [task for task in tasks if not task.done()]:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait(pending)

    def give_up(self) -> None:
        """Wake the tasks that wait for the outcome."""
        if not self._over.done():
            self._over.cancel()

    # --- what is to be done -------------------------------------------------------------------------------------

    def _replicas(self) -> list[tuple[FileEntry, tuple[Url, ...]]]:
        """Every file with its replicas in order; raises StagingError for invalid lists."""
        found = [(entry, self._of(entry)) for entry in self.staging.files]
        seen: dict[str, FileEntry] = {}
        for entry, urls in found:
            name = str(urls[0]) if self.out else entry.pfn
            if (other := seen.setdefault(name, entry)) is not entry and other != entry:
                kind = f"output destinations: {urls[0].shown}" if self.out else f"input files: {entry.pfn}"
                raise StagingError(f"Duplicate file in list of {kind}")
        return list({entry: (entry, urls) for entry, urls in found}.values())

    def _of(self, entry: FileEntry) -> tuple[Url, ...]:
        more = () if self.out else self.staging.replicas.get(entry.pfn, ())
        urls = tuple(url for text in (entry.lfn, *more) for url in parse(text))
        for url in urls:
            if not self._context.movers.speaks(url.scheme):
                raise StagingError(f"{url.shown}: no transfer method for {url.scheme}: is installed")
            if url.scheme == "file":
                local_path(named(url, entry))
        if self.out:
            return tuple(named(url, entry) for url in urls[:1])
        return tuple(each for url in self._order(urls) for each in (*self._copies_of(url), url))

    def _copies_of(self, url: Url) -> list[Url]:
        """The replacement URL of ``copyurl``."""
        text = str(url)
        near = [rule for rule in self._copies if text.startswith(rule.url)]
        return [
            replace(parse_one(rule.replacement + text.removeprefix(rule.url)), options=url.options)
            for rule in near
            if ".." not in text.removeprefix(rule.url).split("/")
        ]

    def _sort_out(self, wanted: Sequence[tuple[FileEntry, tuple[Url, ...]]]) -> list[tuple[FileEntry, tuple[Url, ...]]]:
        """The files that still have to be transferred; removes files in place of an input. Runs in a thread."""
        todo = []
        for entry, urls in wanted:
            marks = {journal.url_digest(str(url)) for url in urls}
            done = self._was_sent(entry, marks) if self.out else self._is_here(entry, marks)
            if done:
                self._moved.append(entry)
                continue
            if not self.out:
                session.clear(self.staging.session, entry.pfn)
            todo.append((entry, urls))
        return todo

    def _was_sent(self, entry: FileEntry, marks: set[str]) -> bool:
        return any((entry.pfn, mark) in self.journal.sent for mark in marks)

    def _is_here(self, entry: FileEntry, marks: set[str]) -> bool:
        """Whether the file is complete in the journal and on disk; renames a complete part file to its final name."""
        whole = self.journal.whole.get(entry.pfn)
        if whole is None or whole.url not in marks:
            return False
        info = session.found(self.staging.session, entry.pfn)
        if info is not None and whole.is_of(info):
            return True
        part = Path(self.journal.part_of(entry.pfn))
        with contextlib.suppress(FileNotFoundError):
            if whole.is_of(part.stat()):
                session.into_place(self.staging.session, entry.pfn, part)
                return True
        return False

    def _transfer(self, entry: FileEntry, replicas: tuple[Url, ...]) -> Transfer:
        ticket = Ticket(self._share, self.staging.priority, self._began, replicas[0].host)
        kind = Upload if self.out else Download
        return kind(self._context, self, entry, replicas, ticket)

    # --- what transfers call ------------------------------------------------------------------------------------

    def spawn(self, transfer: Transfer) -> None:
        task = self._group.create_task(transfer.run(), name=f"{self.staging.job}: {transfer.entry.pfn}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def watch(self, meter: Meter) -> None:
        self._meters[meter] = None
        self._moving.set()

    def unwatch(self, meter: Meter) -> None:
        self._meters.pop(meter, None)

    async def _monitoring(self) -> None:
        """Check speeds and write the progress once a second while transfers are active."""
        while True:
            await self._moving.wait()
            while self._meters:
                await self._context.clock.sleep(_LOOK_S)
                now = self._context.clock.monotonic()
                for meter in list(self._meters):
                    meter.look(now, self._context.speed)
                if (progress_now := self._news(now)) is not None:
                    await self._show(progress_now)

    async def _show(self, shown: Progress) -> None:
        try:
            await in_thread(progress.write, self.journal.workdir, shown)
        except FileNotFoundError:
            pass  # the transfers have ended meanwhile, and their directory is removed
        except (OSError, CorruptFile) as exc:
            log.info("cannot write the progress: %s", exc, extra={"event": "stage.progress", "job": self.staging.job})

    def ended(self, transfer: Transfer) -> None:
        self._left -= 1
        if transfer.done:
            self._moved.append(transfer.entry)
        # one failed input stops the job, so the others are not needed; outputs are saved as far as possible
        if (not self._left or (transfer.failure and not self.out)) and not self._over.done():
            self._over.set_result(None)

    async def note(self, text: str) -> None:
        self._notes += 1
        if self._notes <= _MOST_NOTES:
            more = " (further lines are left out)" if self._notes == _MOST_NOTES else ""
            await in_thread(self._note, self.staging.job, f"{text}{more}")

    # --- how far it is ------------------------------------------------------------------------------------------

    async def _outcome(self) -> Staged:
        await self.stop()
        failures = [transfer.failure for transfer in self.transfers if transfer.failure]
        waits = "; ".join(sorted({transfer.waits for transfer in self.transfers if transfer.waits}))
        moved = tuple(self._moved)
        if failures or not waits:
            await in_thread(self.journal.drop_parts)
        await in_thread(progress.remove, self.journal.workdir)
        if self.transfers:
            await in_thread(self._note, self.staging.job, self._totals())
        if failures:
            more = f" (and {len(failures) - 1} more files failed)" if len(failures) > 1 else ""
            return Staged(done=False, failure=failures[0] + more, moved=moved)
        if waits:
            return Staged(done=False, waits=waits, moved=moved)
        return Staged(done=True, moved=moved)

    def _totals(self) -> str:
        done = [transfer for transfer in self.transfers if transfer.done]
        size = sum(transfer.size for transfer in done)
        took = self._context.clock.monotonic() - self._began
        word = "uploaded" if self.out else "downloaded"
        return f"Data staging: {len(done)} of {len(self.transfers)} files {word}, {size} bytes in {took:.1f} s"

    def reason(self) -> Reason | None:
        """Why no transfer is active now; None if one is."""
        waiting = [each for each in self.transfers if not (each.done or each.failure or each.waits)]
        if not waiting or any(each.meter is not None for each in waiting):
            return None
        clock = self._context.clock
        began = clock.now() - timedelta(seconds=clock.monotonic() - self._began)
        retries = sorted((each.retry for each in waiting if each.retry is not None), key=lambda each: each.until)
        if retries:
            first = retries[0]
            more = f"; {len(retries) - 1} more files wait for another try" if len(retries) > 1 else ""
            text = f"try {first.number} of {first.most}: {first.why}{more}"
            return Reason(ReasonKind.TRANSFER_RETRY, text, began, time_of_day(clock, first.until))
        busy = self._context.delivery.running
        wait = "1 transfer waits" if len(waiting) == 1 else f"{len(waiting)} transfers wait"
        others = "1 transfer is" if busy == 1 else f"{busy} transfers are"
        text = f"{wait} for a transfer slot; {others} under way"
        return Reason(ReasonKind.TRANSFER_SLOT, text, began)

    def _news(self, now: float) -> Progress | None:
        """The progress to write; None if nothing has changed, or the staging has just begun."""
        if now - self._began < _LONG_S or (not self._tasks and self._left == self._told_left):
            return None
        self._told_left = self._left
        meters = [transfer.meter for transfer in self.transfers if transfer.meter is not None]
        ended = [transfer for transfer in self.transfers if transfer.done]
        moved = sum(transfer.size for transfer in ended) + sum(meter.skipped + meter.moved for meter in meters)
        self._marks.append((now, moved))
        sizes = [transfer.size if transfer.done else _size(transfer) for transfer in self.transfers]
        shown = Progress(
            out=self.out,
            files=len(self.staging.files),
            files_done=len(self._moved),
            moved=moved,
            size=None if None in sizes else sum(size or 0 for size in sizes),
            rate=progress.rate(self._marks),
            under_way=tuple(
                UnderWay(pfn=meter.name, moved=meter.skipped + meter.moved, size=meter.size)
                for meter in meters[:_MOST_SHOWN]
            ),
        )
        if shown == self._shown:
            return None
        self._shown = shown
        return shown


def _size(transfer: Transfer) -> int | None:
    if transfer.meter is not None and transfer.meter.size is not None:
        return transfer.meter.size
    return size_of(transfer.replicas[0])


def named(url: Url, entry: FileEntry) -> Url:
    """Append the name of the file to a target that is a directory."""
    if not url.path.endswith("/"):
        return url
    return replace(url, path=url.path + quote(PurePosixPath(entry.pfn).name, errors="surrogateescape"))
