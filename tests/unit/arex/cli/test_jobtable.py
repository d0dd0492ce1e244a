from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from arex.cli.jobtable import TableStyle, counts, short_ids, table
from arex.cli.jobvalue import job_value, status_of
from arex.cli.output import clock_time, plain, shown_reason
from arex.cli.select import Chosen
from arex.errors import ControlDirError
from arex.model.ids import JobId
from arex.model.reason import Reason, ReasonKind
from arex.model.state import State
from plugins.local.status import ClientState, JobStatus
from tests.shell import User

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PLAIN = TableStyle(width=None, colours=False)


def chosen(number: int, state: ClientState, name: str = "", **facts: object) -> Chosen:
    job = JobId(f"{number}bcdefghijkl")
    status = replace(JobStatus(id=job, state=state, specific="", queue="fork"), **facts)  # type: ignore[arg-type]
    return Chosen(job, f"file:///s/{job}", name or f"job{number}", listed=True, status=status)


JOBS = [
    chosen(1, ClientState.RUNNING, started=NOW - timedelta(seconds=12), wall_limit_s=600),
    chosen(2, ClientState.PREPARING, submitted=NOW - timedelta(hours=1, seconds=5),
           reason=Reason(ReasonKind.SLOTS, "2 of 2 slots of fork are in use; 3 jobs are before it")),
    chosen(3, ClientState.FAILED, wall_s=3, exit_code=9, reason=Reason(ReasonKind.EXIT_CODE, "exit code 9")),
]  # fmt: skip


def test_the_table_has_a_line_for_each_job_and_the_counts() -> None:
    assert [
        "NAME  ID        STATE      QUEUE     TIME   WALL  EXIT  WHY",
        "job1  1bcdefgh  Running    fork      0:12  10:00",
        "job2  2bcdefgh  Preparing  fork   1:00:05               2 of 2 slots of fork are in use; 3 jobs are before it",
        "job3  3bcdefgh  Failed     fork      0:03            9  exit code 9",
        "3 jobs: 1 failed, 1 running, 1 waiting",
    ] == list(table(JOBS, NOW, PLAIN))


def test_on_a_terminal_the_reason_is_shortened_to_its_width() -> None:
    lines = list(table(JOBS, NOW, TableStyle(width=80, colours=False)))

    assert all(len(line) <= 80 for line in lines)
    assert lines[2].endswith("…")
    assert "3 jobs: 1 failed, 1 running, 1 waiting; 'arcstat --plain' shows all of WHY" == lines[-1]


def test_colours_show_how_jobs_are() -> None:
    lines = list(table(JOBS, NOW, TableStyle(width=None, colours=True)))

    assert lines[1].startswith("\x1b[36m")
    assert lines[3].startswith("\x1b[31m")
    assert "\x1b" not in lines[2]


def test_a_job_without_a_status_says_why() -> None:
    job = Chosen("x" * 20, "u", "n", listed=True, status=ControlDirError("no such job"))

    lines = list(table([job], NOW, PLAIN))

    assert lines[1].split(maxsplit=3) == ["n", "x" * 8, "Undefined", "no such job"]
    assert "1 job: 1 unknown" == lines[2]


def test_names_cannot_move_the_cursor_and_long_ones_are_cut() -> None:
    lines = list(table([chosen(1, ClientState.RUNNING, name="a\x1b[2J" + "b" * 40)], NOW, PLAIN))

    assert "\x1b" not in lines[1]
    assert lines[1].startswith("a?[2Jbbb")
    assert len(lines[1].split()[0]) == 24


def test_ids_are_as_long_as_it_takes_to_tell_them_apart() -> None:
    ids = ["abcdefgh1x", "abcdefgh2x", "zzzzzzzzzz"]

    assert ["abcdefgh1", "abcdefgh2", "zzzzzzzzz"] == list(short_ids(ids).values())


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (12, "0:12"), (3723, "1:02:03"), (183845, "2-03:04:05"), (-5, "0:00")]
)
def test_times_are_shown_as_slurm_does(seconds: int, text: str) -> None:
    assert text == clock_time(seconds)


def test_a_reason_has_its_times() -> None:
    since = NOW - timedelta(days=3)
    reason = Reason(ReasonKind.QUEUE, "paused", since, NOW + timedelta(seconds=32))

    assert f"paused (since {since.astimezone():%Y-%m-%d %H:%M}, next try in 32 s)" == shown_reason(reason, NOW)


def test_a_try_that_is_over_is_not_shown() -> None:
    reason = Reason(ReasonKind.QUEUE, "paused", None, NOW - timedelta(seconds=3))

    assert "paused" == shown_reason(reason, NOW)


def test_every_state_is_counted() -> None:
    text = counts(chosen(1, state).status for state in ClientState)

    assert text.startswith("12 jobs: ")
    assert 12 == sum(int(part.split()[0]) for part in text.partition(": ")[2].split(", "))


def test_arcstat_prints_the_table_when_asked(user: User) -> None:
    job = user.submit()

    said = user.run("arcstat", "--table")

    title, line, count = said.out.splitlines()
    assert title.split() == ["NAME", "ID", "STATE", "QUEUE", "TIME", "WALL", "EXIT", "WHY"]
    assert line.split()[:4] == ["hello", job[:8], "Accepted", "q1"]
    assert "no service is running" in line
    assert "1 job: 1 waiting" == count


def test_arcstat_watches_until_all_jobs_have_ended(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = user.submit()
    monkeypatch.setattr("plugins.local.follow.time.sleep", lambda _s: user.move(job, State.FINISHED))

    said = user.run("arcstat", "--watch", "-a")

    assert 0 == said.code
    assert ["1 job: 1 waiting", "1 job: 1 finished"] == [line for line in said.out.splitlines() if line[0] == "1"]


def test_an_interrupt_of_a_watch_says_that_the_jobs_go_on(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_s: float) -> None:
        raise KeyboardInterrupt

    user.submit()
    monkeypatch.setattr("plugins.local.follow.time.sleep", interrupt)

    said = user.run("arcstat", "--wait", "-a")

    assert 130 == said.code
    assert "the job goes on: 'arcstat -a -w' waits again, 'arckill' cancels" in said.err


def test_the_facts_about_a_job_survive_a_json_document() -> None:
    status = JOBS[2].status
    assert isinstance(status, JobStatus)

    again = status_of(plain(job_value(status)))

    assert (status.state, status.exit_code, status.wall_s, status.reason) == (
        again.state, again.exit_code, again.wall_s, again.reason,
    )  # fmt: skip
