"""The clock of the host, while the service runs and while it did not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from arex.gm.clock_check import ClockCheck
from tests.fakes.clock import FakeClock

HOUR = timedelta(hours=1)


@pytest.mark.parametrize("days", [-20_000, -1, 1, 400])
def test_a_start_long_after_or_before_the_last_sign_of_the_service_gives_an_hour(days: int) -> None:
    clock = FakeClock()
    check = ClockCheck(clock)
    check.resume(clock.now() - timedelta(days=days))

    at_start = check.was_set()
    clock.advance(HOUR + timedelta(seconds=1))

    assert at_start
    assert not check.was_set()


@pytest.mark.parametrize("minutes", [-9, 0, 9, None])
def test_a_restart_gives_none(minutes: int | None) -> None:
    clock = FakeClock()
    check = ClockCheck(clock)
    check.resume(None if minutes is None else clock.now() - timedelta(minutes=minutes))

    assert not check.was_set()


def test_a_step_is_logged_with_its_sign(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    check = ClockCheck(clock)
    clock.set_by(timedelta(days=-30, microseconds=2))

    assert check.was_set()
    assert "was set by -30 days, 0:00:00;" in caplog.text
