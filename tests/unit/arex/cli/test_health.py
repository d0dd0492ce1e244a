from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from arex import daemon
from arex.cli import health
from arex.config.model import Configuration

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
WELL = daemon.Snapshot(
    pid=7, started="then", updated="2026-11-20T08:59:30Z", version="0", controldir="/ctl", wakeups="poll: why",
    states={"INLRMS": 2}, waiting=0, lrms={"slurm": "ok"},
)  # fmt: skip


def test_a_service_without_problems_has_none() -> None:
    old = replace(WELL, faults={"quotas": {"count": 2, "at": "then", "message": "ValueError: x", "recent": False}})

    assert [] == health.problems(7, WELL, NOW)
    assert [] == health.problems(7, old, NOW), "an error of an hour ago"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"lrms": {"slurm": "down since then: why"}}, "slurm: down since then: why"),
        (
            {"faults": {"quotas": {"count": 2, "at": "then", "message": "ValueError: x", "recent": True}}},
            "quotas: 2 errors, the last at then: ValueError: x",
        ),
        (
            {"troubled": {"abc": "Permission denied: /x"}, "troubled_count": 12},
            "12 jobs cannot be processed: abc: Permission denied: /x",
        ),
        ({"log_trouble": "No space left (3 lines lost)"}, "the log cannot be written: No space left (3 lines lost)"),
    ],
)
def test_each_problem_is_a_sentence(change: dict[str, object], problem: str) -> None:
    assert [problem] == health.problems(7, replace(WELL, **change), NOW)  # type: ignore[arg-type]


def test_an_old_status_shows_a_daemon_that_hangs() -> None:
    [problem] = health.problems(7, WELL, NOW + timedelta(minutes=3))

    assert "has not written its status since 2026-11-20T08:59:30Z" in problem


def test_the_status_of_an_earlier_daemon_does_not_count() -> None:
    assert ["the daemon has not written its status yet"] == health.problems(8, WELL, NOW)
    assert ["the daemon has not written its status yet"] == health.problems(8, None, NOW)


def test_the_status_says_of_which_moment_it_is_and_whether_the_jobs_are_known() -> None:
    config = Configuration()

    complete = health.shown(config, 7, WELL, [])
    at_start = health.shown(config, 7, replace(WELL, states={}, complete=False), [])

    assert "  as of     2026-11-20T08:59:30Z\n" in complete
    assert "  jobs      2 INLRMS\n" in complete
    assert "  jobs      being read from the control directory\n" in at_start


def test_a_service_whose_pid_is_unknown_has_a_status() -> None:
    shown = health.shown(Configuration(), daemon.UNKNOWN_PID, WELL, [])

    assert [] == health.problems(daemon.UNKNOWN_PID, WELL, NOW)
    assert shown.startswith("arex runs (pid unknown) on ")
    assert "2 INLRMS" in shown
