"""
Decides which transfer is next: a limited number of slots, fair between shares, by priority and age inside a share.

A share gets slots in proportion to its priority. Inside a share, one step of priority is worth one minute of waiting,
so no transfer waits without end. A waiting transfer is only an entry in a heap.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

_AGE_S: Final = 60.0  #: one step of priority is worth this much waiting
_DEFAULT_WEIGHT: Final = 50
_serial: Final = itertools.count()


@dataclass(slots=True, eq=False)
class Ticket:
    """A request for a slot; ``since`` is in monotonic seconds, ``host`` is empty without a limit for servers."""

    share: str
    priority: int = 50
    since: float = 0.0
    host: str = ""
    key: tuple[float, int] = field(init=False)
    granted: Callable[[], None] | None = field(default=None, init=False)  #: while it waits
    running: bool = field(default=False, init=False)
    reserved: bool = field(default=False, init=False)  #: a slot at its host is kept for it

    def __post_init__(self) -> None:
        self.key = (self.since - self.priority * _AGE_S, next(_serial))


@dataclass(slots=True, eq=False)
class _Share:
    name: str
    weight: int
    waiting: list[tuple[tuple[float, int], Ticket]] = field(default_factory=list)
    running: int = 0
    served: float = 0.0
    version: int = -1  #: of its entry in the order; -1: it has none


@dataclass(slots=True, eq=False)
class _Host:
    running: int = 0
    reserved: int = 0
    parked: list[tuple[tuple[float, int], Ticket]] = field(default_factory=list)


class FairQueue:
    """
    A number of slots.

    ``emergency`` more are for shares that have none; ``per_share`` and ``per_host`` limit those of one share or host.
    """

    def __init__(
        self,
        limit: int,
        *,
        emergency: int = 0,
        per_share: int = 0,
        per_host: int = 0,
        weights: Mapping[str, int] | None = None,
    ) -> None:
        self._limit, self._emergency, self._per_share, self._per_host = limit, emergency, per_share, per_host
        self._weights = weights or {}
        self._shares: dict[str, _Share] = {}
        self._hosts: defaultdict[str, _Host] = defaultdict(_Host)
        #: shares: first those with no running transfer, then by load and by past use; stale entries are skipped
        self._order: list[tuple[bool, float, float, int, str]] = []
        self._served = 0.0
        self._busy = False
        self.running = 0
        self.waiting = 0

    def ask(self, ticket: Ticket, granted: Callable[[], None]) -> None:
        """Queue up; ``granted`` is called when it is its turn, perhaps at once."""
        ticket.granted = granted
        self.waiting += 1
        share = self._share(ticket.share)
        if not share.waiting and not share.running:
            share.served = max(share.served, self._served)  # a share that was idle gets no bonus for that
        heapq.heappush(share.waiting, (ticket.key, ticket))
        if share.version < 0:
            self._offer(share)
        self._serve()

    async def enter(self, ticket: Ticket) -> None:
        """Wait for a slot; ``leave`` gives it back. If the wait is cancelled, no slot is kept."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ask(ticket, lambda: None if turn.done() else turn.set_result(None))
        try:
            await turn
        except asyncio.CancelledError:
            self.leave(ticket)
            raise

    def leave(self, ticket: Ticket) -> None:
        """Give a slot back, or stop waiting for one."""
        if ticket.granted is not None:
            ticket.granted = None  # its entry is removed when it reaches the head
            self.waiting -= 1
            if ticket.reserved:
                self._unreserve(ticket)
        elif ticket.running:
            ticket.running = False
            self.running -= 1
            share = self._share(ticket.share)
            share.running -= 1
            if ticket.host and self._per_host:
                self._left_host(ticket.host)
            if share.waiting:
                self._offer(share)
            elif not share.running:
                del self._shares[share.name]
        self._serve()

    def under_way(self, share: str) -> int:
        return self._shares[share].running if share in self._shares else 0

    def _share(self, name: str) -> _Share:
        share = self._shares.get(name)
        if share is None:
            share = self._shares[name] = _Share(name, self._weights.get(name, _DEFAULT_WEIGHT), served=self._served)
        return share

    def _offer(self, share: _Share) -> None:
        share.version = next(_serial)
        load = (share.running + 1) / share.weight
        heapq.heappush(self._order, (share.running > 0, load, share.served, share.version, share.name))

    def _serve(self) -> None:
        if self._busy:  # a granted slot was given back at once
            return
        self._busy = True
        try:
            while self.running < self._limit + self._emergency and (share := self._next()) is not None:
                self._grant(share)
        finally:
            self._busy = False

    def _next(self) -> _Share | None:
        """The share that is furthest below its part and may have a slot now."""
        while self._order:
            *_, version, name = self._order[0]
            share = self._shares.get(name)
            if share is None or share.version != version:
                heapq.heappop(self._order)
                continue
            if self.running >= self._limit and share.running:
                return None  # idle shares come first, so there is none left
            heapq.heappop(self._order)
            share.version = -1
            if self._per_share and share.running >= self._per_share:
                continue  # it is offered again when one of its transfers leaves
            if self._head(share) is None:
                if not share.running:
                    del self._shares[name]
                continue
            return share
        return None

    def _head(self, share: _Share) -> Ticket | None:
        """The first transfer that may run; those whose host is at its limit are parked there."""
        while share.waiting:
            ticket = share.waiting[0][1]
            if ticket.granted is None:
                heapq.heappop(share.waiting)
            elif self._host_is_full(ticket):
                heapq.heappush(self._hosts[ticket.host].parked, heapq.heappop(share.waiting))
            else:
                return ticket
        return None

    def _grant(self, share: _Share) -> None:
        ticket = heapq.heappop(share.waiting)[1]
        granted, ticket.granted, ticket.running = ticket.granted, None, True
        self.waiting -= 1
        self.running += 1
        share.running += 1
        share.served += 1 / share.weight
        self._served = max(self._served, share.served - 1 / share.weight)
        if ticket.host and self._per_host:
            host = self._hosts[ticket.host]
            host.running += 1
            if ticket.reserved:
                ticket.reserved = False
                host.reserved -= 1
        if share.waiting:
            self._offer(share)
        assert granted is not None
        granted()

    def _host_is_full(self, ticket: Ticket) -> bool:
        if not ticket.host or not self._per_host or ticket.reserved:
            return False
        host = self._hosts[ticket.host]
        return host.running + host.reserved >= self._per_host

    def _left_host(self, name: str) -> None:
        host = self._hosts[name]
        host.running -= 1
        self._call_parked(name)

    def _unreserve(self, ticket: Ticket) -> None:
        ticket.reserved = False
        self._hosts[ticket.host].reserved -= 1
        self._call_parked(ticket.host)

    def _call_parked(self, name: str) -> None:
        host = self._hosts[name]
        while host.parked and host.running + host.reserved < self._per_host:
            key, ticket = heapq.heappop(host.parked)
            if ticket.granted is None:
                continue
            ticket.reserved = True
            host.reserved += 1
            share = self._share(ticket.share)
            heapq.heappush(share.waiting, (key, ticket))
            self._offer(share)
        if not host.parked and not host.running and not host.reserved:
            del self._hosts[name]


class KeyedQueue:
    """A lock for each name; waiting tasks cost nothing."""

    def __init__(self) -> None:
        self._queues: dict[str, dict[object, Callable[[], None]]] = {}

    def ask(self, name: str, who: object, granted: Callable[[], None]) -> None:
        queue = self._queues.get(name)
        if queue is None:
            self._queues[name] = {who: granted}
            granted()
        else:
            queue[who] = granted

    def leave(self, name: str, who: object) -> None:
        """Leave the queue, whether it was its turn or not."""
        queue = self._queues.get(name, {})
        if who not in queue:
            return
        first = next(iter(queue)) is who
        del queue[who]
        if not queue:
            del self._queues[name]
        elif first:
            next(iter(queue.values()))()
