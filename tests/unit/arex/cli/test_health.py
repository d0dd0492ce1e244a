"""The text of ``arex status``, and what counts as a problem."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from arex import __version__, daemon
from arex.cli import health
from arex.config.model import Configuration

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
WELL = daemon.Snapshot(
    pid=7, started="2026-11-17T05:00:00Z", updated="2026-11-20T08:59:30Z", version=__version__, controldir="/ctl",
    wakeups="poll: why", states={"INLRMS": 2}, waiting=0, lrms={"slurm": "ok"},
)  # fmt: skip


def condition(snapshot: daemon.Snapshot | None = WELL, pid: int | None = 7, **facts: object) -> health.Condition:
    found = health.Condition(config=Configuration(), now=NOW, pid=pid, snapshot=snapshot)
    return replace(found, **facts)  # type: ignore[arg-type]


def text(found: health.Condition) -> str:
    return health.shown(found, health.problems(found))


def test_a_service_without_problems_has_none() -> None:
    old = replace(WELL, faults={"quotas": {"count": 2, "at": "then", "message": "ValueError: x", "recent": False}})

    assert [] == health.problems(condition())
    assert [] == health.problems(condition(old)), "an error of an hour ago"
    assert [] == health.problems(condition(replace(WELL, lrms={"slurm": "not asked yet"})))


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
    assert [problem] == health.problems(condition(replace(WELL, **change)))  # type: ignore[arg-type]


def test_old_figures_are_marked_as_old() -> None:
    late = condition(now=NOW + timedelta(minutes=10))

    [problem] = health.problems(late)

    assert "has not written its status for 10 min: it hangs, or its disk is full. All figures are as old" in problem
    assert "(10 min ago: old)" in text(late)
    assert ": old)" not in text(condition())


def test_the_status_of_an_earlier_daemon_does_not_count() -> None:
    assert ["the daemon has not written its status yet"] == health.problems(condition(pid=8))
    assert ["the daemon has not written its status yet"] == health.problems(condition(None))


def test_jobs_have_the_states_that_clients_show() -> None:
    states = {"ACCEPTED": 1, "INLRMS": 4, "CANCELING": 1, "FINISHING": 1}

    shown = text(condition(replace(WELL, states=states, phases={"R": 2, "H": 1})))

    assert "  jobs       1 Accepted, 1 Queuing, 1 Hold, 2 Running, 2 Finishing\n" in shown
    assert "being read" in text(condition(replace(WELL, states={}, complete=False)))


def test_the_status_shows_uptime_slots_ends_queues_and_the_configuration() -> None:
    queues = {"short": {"state": "open", "maxwalltime_s": 3600, "maxslotsperjob": 4}}
    paused = {"long": {"state": "paused", "since": "2026-11-20T08:00:00Z", "reason": "QOSMax", "next_try": "soon"}}
    facts: dict[str, Any] = {"queues": {"slurm": {**queues, **paused}}}
    snapshot = replace(
        WELL, config="/etc/arc.conf", slots={"used": 3, "total": 8}, ended={"finished": 5, "failed": 2}, kept=9,
        **facts, answered={"slurm": "2026-11-20T08:55:00Z"},
    )  # fmt: skip

    shown = text(condition(snapshot))

    assert "(3 days 4 h), version " in shown
    assert "  config     /etc/arc.conf\n" in shown
    assert "  slots      3 used of 8\n" in shown
    assert "  ended      5 finished, 2 failed since the start; 9 kept in the control directory\n" in shown
    assert "  slurm      ok, last answer 5 min ago\n" in shown
    assert "  queue      short open (at most wall time 1 h, 4 slots per job)\n" in shown
    assert ", next try soon: QOSMax" in shown


def test_a_disk_that_is_nearly_full_is_a_problem() -> None:
    full = health.Disk(what="control directory", path=Path("/ctl"), free_bytes=2_000_000, total_bytes=10**12)
    small = replace(full, free_bytes=400_000_000, total_bytes=2_000_000_000)

    assert ["the control directory /ctl has only 2.0 MB of free space"] == health.problems(condition(disks=(full,)))
    assert [] == health.problems(condition(disks=(small,))), "more than a twentieth of a small file system is free"
    assert "  disk       2.0 MB free of 1.0 TB for /ctl" in text(condition(disks=(full,)))


def test_files_that_cannot_be_removed_are_a_problem() -> None:
    [problem] = health.problems(condition(leftovers={Path("/s/.arex-removing"): 1}))

    assert problem.startswith("1 entry in /s/.arex-removing cannot be removed")


@pytest.mark.parametrize(
    ("change", "upgrade"),
    [
        ({}, ""),
        ({"version": "0.0.1"}, f"arex 0.0.1 is running, {__version__} is installed: arex restart"),
        ({"code": "other"}, f"the program files of arex {__version__} were replaced since the start: arex restart"),
        ({"code": ""}, ""),
    ],
)
def test_a_service_that_is_older_than_the_installed_program_is_named(change: dict[str, str], upgrade: str) -> None:
    snapshot = replace(WELL, **{"code": "same", **change})  # type: ignore[arg-type]

    assert upgrade == condition(snapshot, code="same").upgrade


def test_a_daemon_that_was_killed_is_not_one_that_was_stopped(tmp_path: Path) -> None:
    pidfile = tmp_path / "arex.pid"
    pidfile.write_text("7")
    config = Configuration()
    config = replace(config, arex=replace(config.arex, pidfile=pidfile))

    killed = condition(pid=None, config=config, waiting=3)
    stopped = condition(replace(WELL, stopped=True), pid=None, config=config)

    assert "It ended without a stop after " in text(killed)
    assert "3 unfinished jobs in the control directory" in text(killed)
    assert "without a stop" not in text(stopped)


def test_a_service_whose_pid_is_unknown_has_a_status() -> None:
    found = condition(pid=daemon.UNKNOWN_PID)

    assert [] == health.problems(found)
    assert text(found).startswith("arex runs (pid unknown) on ")
    assert "2 Queuing" in text(found)


@pytest.mark.parametrize("stamp", ["then", "", "2026-11-20T08:59:30", "0000-00-00"])
def test_a_damaged_time_has_no_age(stamp: str) -> None:
    assert condition(replace(WELL, updated=stamp, started=stamp)).age is None
    assert text(condition(replace(WELL, updated=stamp, started=stamp)))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3600, "1 h"),
        (3720, "1 h 2 min"),
        (86400, "1 day"),
        (180000, "2 days 2 h"),
    ],
)
def test_spans_are_in_words(seconds: int, words: str) -> None:
    assert words == health.in_words(timedelta(seconds=seconds))
