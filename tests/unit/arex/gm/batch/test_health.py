"""The health of a batch system, as the status file shows it."""

from __future__ import annotations

from datetime import timedelta

from arex.errors import BatchUnavailable
from arex.gm.batch.health import Health
from tests.fakes.clock import FakeClock


def test_a_batch_system_that_has_not_answered_yet_is_not_well() -> None:
    health = Health("slurm", FakeClock())

    assert ("not asked yet", "") == (health.summary(), health.last_answer)
    health.no_answer(BatchUnavailable("no connection"))
    assert health.summary().endswith(": no connection")
    health.answered()
    assert "ok" == health.summary()


def test_the_last_answer_has_a_time() -> None:
    clock = FakeClock()
    health = Health("slurm", clock)

    health.answered()
    first = health.last_answer
    clock.advance(timedelta(minutes=1))
    health.answered()

    assert f"{clock.now():%Y-%m-%dT%H:%M:%SZ}" == health.last_answer != first


def test_a_paused_queue_has_a_reason_and_the_time_of_the_next_try() -> None:
    clock = FakeClock()
    health = Health("slurm", clock)
    health.park("long", "QOSMaxSubmitJobPerUserLimit")
    wait_s = health.closed_s("long")

    pause = health.facts(0.0).paused["long"]

    assert (clock.now(), clock.now() + timedelta(seconds=wait_s)) == (pause.since, pause.next_try)
    assert "QOSMaxSubmitJobPerUserLimit" == pause.why
    health.unpark("long")
    assert {} == health.facts(0.0).paused
