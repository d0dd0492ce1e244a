"""
One file of one job in one direction: replicas in order, retries with growing pauses, one outcome at the end.

A transfer that waits is a ticket in a heap; it becomes a task when it gets a slot.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeVar

from arex.clock import Clock
from arex.config.values import CopyUrl, SpeedControl
from arex.errors import StagingError
from arex.model.files import FileEntry
from arex.model.url import Url
from arex.ports import Staging
from arex.staging.disk.cache import Cache
from arex.staging.disk.journal import Journal
from arex.staging.disk.session import SessionWriter
from arex.staging.meter import Meter
from arex.staging.movers.base import ErrorKind, Mover, RemoteFile, TransferError
from arex.staging.movers.registry import Movers
from arex.staging.scheduler import FairQueue, KeyedQueue, Ticket

_T = TypeVar("_T")

_FIRST_PAUSE_S: Final = 2.0
_LONGEST_PAUSE_S: Final = 600.0
_LONGEST_ASKED_S: Final = 3600.0
#: How many attempts are made with a full disk, and with content that is not what was announced.
_SPACE_TRIES: Final = 4
_CORRUPT_TRIES: Final = 2


class Failed(StagingError):
    """The transfer of this file has failed permanently; the message is for ``.failed``."""


class Held(StagingError):
    """The owner has to renew a credential first; the message says which one and why."""


@dataclass(slots=True)
class Counters:
    """Since the start."""

    downloads: int = 0
    uploads: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    retries: int = 0
    resumed: int = 0
    failures: int = 0
    cache_hits: int = 0
    cache_misses: int = 0


@dataclass(slots=True, kw_only=True)
class TransferContext:
    """What all transfers share."""

    clock: Clock
    movers: Movers
    delivery: FairQueue
    processor: FairQueue
    turns: KeyedQueue
    cache: Cache | None
    durable: bool
    most_tries: int
    links: tuple[CopyUrl, ...]
    counters: Counters
    speed: SpeedControl
    interrupted: set[str] = field(default_factory=set)  #: destinations that a killed A-REX has left incomplete


@dataclass(frozen=True, slots=True)
class Retry:
    """A transfer that has failed and is tried again."""

    why: str  #: URL and error
    number: int  #: of the next try
    most: int
    until: float  #: monotonic seconds


class TransferOwner(Protocol):
    """The staging that a transfer belongs to."""

    staging: Staging
    journal: Journal
    writer: SessionWriter

    async def note(self, text: str) -> None:
        """A line for the job's log."""
        ...

    def watch(self, meter: Meter) -> None:
        """Stop the attempt of this meter if it becomes too slow."""
        ...

    def unwatch(self, meter: Meter) -> None:
        """The attempt is over."""
        ...

    def ended(self, transfer: Transfer) -> None:
        """It has an outcome."""
        ...

    def spawn(self, transfer: Transfer) -> None:
        """Run it in a task, which ends before the staging does."""
        ...


@dataclass(eq=False, slots=True)
class Transfer(ABC):
    """What both directions have in common; subclasses define ``move``."""

    context: TransferContext
    owner: TransferOwner
    entry: FileEntry
    replicas: tuple[Url, ...]
    ticket: Ticket
    state: str = "NEW"  #: as ARC calls it, for its list of transfers
    failure: str = ""
    waits: str = ""
    done: bool = False
    size: int = 0  #: bytes that were transferred, or were already there
    meter: Meter | None = None  #: of the active attempt
    retry: Retry | None = None  #: the next try, while the transfer waits for it
    _name: str = field(default="")

    @property
    def name(self) -> str:
        """An id for the list of transfers, created when it is first needed."""
        if not self._name:
            self._name = str(uuid.uuid4())
        return self._name

    def start(self) -> None:
        """Queue up."""
        self.state = "TRANSFER"
        self.context.delivery.ask(self.ticket, lambda: self.owner.spawn(self))

    async def run(self) -> None:
        """Run the transfer; the outcome is in ``done``, ``failure`` or ``waits``."""
        try:
            await self.move()
            self.done = True
        except Held as exc:
            self.waits = str(exc)
        except StagingError as exc:
            self.failure = str(exc)
            self.context.counters.failures += 1
        finally:
            self.leave()
        self.owner.ended(self)

    @abstractmethod
    async def move(self) -> None:
        """Transfer the file; raises Failed or Held."""

    def leave(self) -> None:
        """Give back every slot, and stop waiting for one."""
        self.state = "DONE"
        self.context.delivery.leave(self.ticket)

    # --- tries --------------------------------------------------------------------------------------------------

    async def tried(self, attempt: Callable[[Mover, RemoteFile], Awaitable[_T]], pool: FairQueue, ticket: Ticket) -> _T:
        """
        Try the replicas in order, and again after pauses, with a slot in ``pool`` for each attempt.

        Raises:
            Failed, Held: no attempts are left.
        """
        tries = _Tries(list(self.replicas), self.context.most_tries)
        while True:
            url = tries.candidates[0]
            if not ticket.running:
                await pool.enter(ticket)
            try:
                return await self._watched(url, attempt)
            except TransferError as trouble:
                pool.leave(ticket)
                self.state = "TRANSFER"
                pause = tries.after(trouble)
                if pause is None:
                    raise self._end(*(tries.held or (url, trouble))) from trouble
                await self._again(url, trouble, tries, pause)

    async def _again(self, url: Url, trouble: TransferError, tries: _Tries, pause: float) -> None:
        self.context.counters.retries += 1
        until = self.context.clock.monotonic() + pause
        self.retry = Retry(f"{url.shown}: {trouble}", tries.made + 1, self.context.most_tries, until)
        if tries.candidates[0] != url:
            then = f"continuing with {tries.candidates[0].shown}"
        else:
            then = f"try {tries.made + 1} of {self.context.most_tries} in {pause:.0f} s"
        await self.owner.note(f"{url.shown}: {trouble}: {then}")
        if pause:
            await self.context.clock.sleep(pause)

    async def _watched(self, url: Url, attempt: Callable[[Mover, RemoteFile], Awaitable[_T]]) -> _T:
        """One attempt, which is stopped if it is too slow."""
        try:
            mover = await self.context.movers.of(url.scheme)
        except StagingError as exc:
            raise TransferError(ErrorKind.PERMANENT, str(exc)) from exc
        place = RemoteFile(url, Path(self.entry.credential) if self.entry.credential else None)
        loop = asyncio.get_running_loop()
        scope = asyncio.timeout(None)
        self.meter = Meter(self.entry.pfn, self.context.clock.monotonic(), lambda: scope.reschedule(loop.time()))
        self.retry = None
        self.owner.watch(self.meter)
        try:
            async with scope:
                return await attempt(mover, place)
        except TimeoutError as exc:
            raise TransferError(ErrorKind.TEMPORARY, f"too slow: {self.meter.reason}") from exc
        finally:
            self.owner.unwatch(self.meter)
            self.size = self.meter.skipped + self.meter.moved
            self.meter = None

    def _end(self, url: Url, trouble: TransferError) -> Failed | Held:
        if trouble.verdict is ErrorKind.CREDENTIAL:
            return Held(f"{url.shown}: {trouble}")
        return Failed(self.worded(url, trouble))

    @abstractmethod
    def worded(self, url: Url, trouble: TransferError) -> str:
        """The failure in ARC's words."""


@dataclass(slots=True)
class _Tries:
    """Which replica is next, and when."""

    candidates: list[Url]
    most: int
    made: int = 0
    _round: int = 0  #: candidates tried since the last pause
    _corrupt: dict[Url, int] = field(default_factory=dict)
    _full: int = 0
    held: tuple[Url, TransferError] | None = None  #: a replica that needs another credential

    def after(self, trouble: TransferError) -> float | None:
        """Seconds until the next attempt; None if there is none."""
        self.made += 1
        url = self.candidates.pop(0)
        if self._may_pass(url, trouble) and self.made < self.most:
            self.candidates.append(url)
            self._round += 1
            if self._round < len(self.candidates):
                return 0.0
            self._round = 0
            return _pause(self.made, trouble)
        return 0.0 if self.candidates and self.made < self.most else None

    def _may_pass(self, url: Url, trouble: TransferError) -> bool:
        match trouble.verdict:
            case ErrorKind.TEMPORARY:
                return True
            case ErrorKind.NO_SPACE:
                self._full += 1
                return self._full < _SPACE_TRIES
            case ErrorKind.CORRUPT:
                self._corrupt[url] = self._corrupt.get(url, 0) + 1
                return self._corrupt[url] < _CORRUPT_TRIES
            case ErrorKind.CREDENTIAL:
                self.held = (url, trouble)
                return False
            case ErrorKind.PERMANENT | ErrorKind.NOT_FOUND:
                return False


def _pause(made: int, trouble: TransferError) -> float:
    """Seconds, twice as many each time, random so that retries spread out; at least what the server asks for."""
    pause = min(_FIRST_PAUSE_S * 2.0 ** (made - 1), _LONGEST_PAUSE_S) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
    return max(pause, min(trouble.retry_after or 0.0, _LONGEST_ASKED_S))
