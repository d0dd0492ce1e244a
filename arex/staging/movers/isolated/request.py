"""The results of one call of a mover in a separate process, in order and with a size limit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from arex.staging.movers.base import FileInfo, cancelled
from arex.staging.movers.isolated.codec import bug_of, facts_of, number, trouble_of
from arex.staging.movers.isolated.wire import BrokenWire, Credit, Debt, Kind, Wire

#: Most results that were not consumed yet; a correct mover stays far below.
_MOST_WAITING: Final = 8192
_SAID: Final[Mapping[Kind, frozenset[Kind]]] = {
    Kind.STAT: frozenset(),
    Kind.FETCH: frozenset({Kind.BEGIN, Kind.DATA}),
    Kind.SEND: frozenset({Kind.PULL, Kind.CREDIT}),
}


@dataclass(frozen=True, slots=True)
class Begun:
    facts: FileInfo
    start: int


@dataclass(frozen=True, slots=True)
class Came:
    data: bytes
    price: int


@dataclass(frozen=True, slots=True)
class Pulled:
    credit: Credit  #: for the bytes that are sent from now on


@dataclass(frozen=True, slots=True)
class Finished:
    facts: FileInfo | None


@dataclass(frozen=True, slots=True)
class Broke:
    why: BaseException


Event = Begun | Came | Pulled | Finished | Broke


class Request:
    """One call of the mover, with its results in order."""

    def __init__(self, wire: Wire, kind: Kind, number: int, offset: int = 0) -> None:
        self.kind, self.number, self._offset = kind, number, offset
        self._wire = wire
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._debt = Debt(lambda size: wire.put(Kind.CREDIT, number, size))
        self._begun = False
        self.over = asyncio.Event()  #: set when the process has finished it
        self.left = False  #: the caller has left
        self.credit = Credit()

    async def next(self) -> Begun | Came | Pulled | Finished:
        """The next result; ``Finished`` is the last. Raises the error if the request has failed."""
        event = await self._events.get()
        if isinstance(event, Broke):
            raise event.why
        return event

    def tell(self, event: Event) -> None:
        if isinstance(event, Finished | Broke):
            self.over.set()
        self.add(event)

    def add(self, event: Event) -> None:
        if not self.left:
            self._events.put_nowait(event)

    def leave(self) -> None:
        self.left = True
        self._events = asyncio.Queue()

    def taken(self, came: Came) -> None:
        self._debt.taken(came.price)

    def hear(self, kind: Kind, word: Any) -> None:  # noqa: ANN401
        """Process a frame; raises BrokenWire for one that is not allowed."""
        if kind in {Kind.BEGIN, Kind.PULL, Kind.CREDIT} and kind not in _SAID[self.kind]:
            raise BrokenWire(f"unexpected message {kind.name} in a {self.kind.name} request")
        match kind:
            case Kind.BEGIN:
                self._begin(word)
            case Kind.PULL:
                self.credit = Credit()
                self._add(Pulled(self.credit))
            case Kind.CREDIT:
                self.credit.give(word)
            case Kind.DONE:
                self.tell(Finished(None if word is None else facts_of(word)))
            case Kind.TROUBLE:
                self.tell(Broke(trouble_of(word)))
            case Kind.BUG:
                self.tell(Broke(bug_of(word)))
            case Kind.GONE:
                self.tell(Broke(cancelled()))
            case _:
                raise BrokenWire(f"unexpected message {kind.name}")

    def came(self, piece: bytes, price: int) -> None:
        if not self._begun:
            raise BrokenWire("data before its start message")
        if not self.left:
            self._debt.came(price)
            self._add(Came(piece, price))

    def _begin(self, word: Any) -> None:  # noqa: ANN401
        if not isinstance(word, list) or len(word) != 2 or number(word[1]) > self._offset:
            raise BrokenWire("unexpected start message")
        self._begun = True
        self._add(Begun(facts_of(word[0]), word[1]))

    def _add(self, event: Event) -> None:
        if self._events.qsize() > _MOST_WAITING:
            raise BrokenWire("more data than the buffer can hold")
        self.add(event)
