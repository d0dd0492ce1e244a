from __future__ import annotations

import random

from arex.staging.scheduler import FairQueue, KeyedQueue, Ticket


class Requests:
    """Tickets that ask a pool, and the order in which they were served."""

    def __init__(self, pool: FairQueue) -> None:
        self.pool = pool
        self.served: list[Ticket] = []

    def ask(self, share: str, *, priority: int = 50, since: float = 0.0, host: str = "") -> Ticket:
        ticket = Ticket(share, priority, since, host)
        self.pool.ask(ticket, lambda: self.served.append(ticket))
        return ticket


def test_places_are_limited_and_given_on() -> None:
    requests = Requests(FairQueue(2))
    first, *_ = tickets = [requests.ask("a") for _ in range(4)]
    assert tickets[:2] == requests.served
    requests.pool.leave(first)
    assert tickets[:3] == requests.served
    assert (2, 1) == (requests.pool.running, requests.pool.waiting)


def test_priority_goes_before_age_but_not_for_ever() -> None:
    """Fifty steps of priority are worth fifty minutes."""
    requests = Requests(FairQueue(1))
    running = requests.ask("a")
    late = requests.ask("a", priority=100, since=3001.0)
    low = requests.ask("a", priority=50, since=0.0)
    high = requests.ask("a", priority=100, since=2999.0)
    for ticket in (running, high, low):
        requests.pool.leave(ticket)
    assert [running, high, low, late] == requests.served


def test_shares_get_places_by_their_priority() -> None:
    requests = Requests(FairQueue(9, weights={"a": 20, "b": 10}))
    blocker = [requests.ask("x") for _ in range(9)]
    for _ in range(20):
        requests.ask("a")
        requests.ask("b")
    for ticket in blocker:
        requests.pool.leave(ticket)
    running = [ticket.share for ticket in requests.served if ticket.running]
    assert (6, 3) == (running.count("a"), running.count("b"))


def test_a_share_without_any_gets_an_emergency_place() -> None:
    requests = Requests(FairQueue(2, emergency=1))
    for _ in range(5):
        requests.ask("a")
    assert 2 == requests.pool.running
    requests.ask("b")
    requests.ask("c")
    assert (2, 1, 0) == tuple(requests.pool.under_way(share) for share in "abc")


def test_a_share_is_bounded() -> None:
    requests = Requests(FairQueue(5, per_share=2))
    tickets = [requests.ask("a") for _ in range(4)]
    assert 2 == requests.pool.running
    requests.pool.leave(tickets[0])
    assert tickets[:3] == requests.served


def test_a_busy_server_stands_in_nobodys_way() -> None:
    requests = Requests(FairQueue(5, per_host=1))
    first = requests.ask("a", host="h")
    second = requests.ask("a", host="h")
    other = requests.ask("a", host="i")
    assert [first, other] == requests.served
    requests.pool.leave(first)
    assert [first, other, second] == requests.served


def test_who_does_not_wait_any_more_is_passed_over() -> None:
    requests = Requests(FairQueue(1, per_host=1))
    first, second, third = (requests.ask("a", host="h") for _ in range(3))
    requests.pool.leave(second)
    requests.pool.leave(first)
    assert [first, third] == requests.served
    requests.pool.leave(third)
    assert (0, 0) == (requests.pool.running, requests.pool.waiting)


def test_whatever_happens_the_limits_hold_and_everybody_is_served() -> None:
    chance = random.Random(7)
    pool = FairQueue(6, emergency=2, per_share=4, per_host=2, weights={"a": 90, "b": 5})
    requests = Requests(pool)
    alive: list[Ticket] = []
    given_up = 0
    for step in range(4000):
        if chance.random() < 0.55:
            alive.append(
                requests.ask(
                    chance.choice("abcd"), priority=chance.randint(1, 100), since=step, host=chance.choice("xyz")
                )
            )
        elif alive:
            ticket = alive.pop(chance.randrange(len(alive)))
            given_up += not ticket.running
            pool.leave(ticket)
        running = [ticket for ticket in alive if ticket.running]
        assert pool.running == len(running) <= 8
        assert pool.waiting == len(alive) - len(running)
        assert all(sum(ticket.host == host for ticket in running) <= 2 for host in "xyz")
        assert all(sum(ticket.share == share for ticket in running) <= 4 for share in "abcd")
    while running := [ticket for ticket in alive if ticket.running]:
        for ticket in running:
            alive.remove(ticket)
            pool.leave(ticket)
    assert [] == alive
    assert len(set(map(id, requests.served))) == len(requests.served)


def test_one_at_a_time_for_each_name() -> None:
    turns, served = KeyedQueue(), []
    for who in (1, 2, 3):
        turns.ask("x", who, lambda who=who: served.append(who))  # type: ignore[misc]
    turns.ask("y", 4, lambda: served.append(4))
    turns.leave("x", 2)
    turns.leave("x", 1)
    turns.leave("x", 1)
    assert [1, 4, 3] == served
