from __future__ import annotations

from datetime import timedelta

from arex.model.ids import LocalId
from lrms.attempt.missing import MissingSince
from tests.fakes.clock import FakeClock


def test_the_first_answer_counts_for_nothing_and_the_next_for_all_time_between() -> None:
    clock = FakeClock()
    since = MissingSince(clock)

    assert 0.0 == since.seconds(LocalId("1"))
    clock.advance(timedelta(seconds=20))
    assert (20.0, 0.0) == (since.seconds(LocalId("1")), since.seconds(LocalId("2")))


def test_a_job_that_was_present_meanwhile_starts_anew() -> None:
    clock = FakeClock()
    since = MissingSince(clock)
    since.seconds(LocalId("1"))
    clock.advance(timedelta(seconds=20))
    since.forget(LocalId("1"))

    assert 0.0 == since.seconds(LocalId("1"))
    since.forget(LocalId("2"))
