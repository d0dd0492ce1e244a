"""``arex logs``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.shell import User


@pytest.fixture
def log(user: User) -> Path:
    conf = user.home / "arc.conf"
    text = f"[arex]\nlogfile={user.home}/arex.log\njoblog={user.home}/jobs.log\n"
    conf.write_text(conf.read_text().replace("[arex]\n", text))
    return user.home / "arex.log"


def line(minute: int, text: str) -> str:
    return f"2026-11-20T08:{minute:02}:00Z INFO arex {text}\n"


def test_the_last_lines_are_shown(user: User, log: Path) -> None:
    log.write_text("".join(line(minute, f"number {minute}") for minute in range(30)))

    assert 20 == len(user.run("arex", "logs").out.splitlines())
    assert line(28, "number 28") + line(29, "number 29") == user.run("arex", "logs", "-n", 2).out
    assert line(29, "number 29") == user.run("arex", "logs", "--since", "2026-11-20T08:29:00+00:00").out


def test_lines_without_a_time_belong_to_the_line_before(user: User, log: Path) -> None:
    log.write_text(line(1, "old") + line(5, "an error") + "Traceback (most recent call last):\n")

    said = user.run("arex", "logs", "--since", "2026-11-20T08:03:00Z")

    assert line(5, "an error") + "Traceback (most recent call last):\n" == said.out


def test_a_job_has_its_lines_of_all_logs_in_the_order_of_time(user: User, log: Path) -> None:
    local = f"{datetime(2026, 11, 20, 8, 5, tzinfo=UTC).astimezone():%Y-%m-%d %H:%M:%S}"
    job = user.submit()
    other = user.submit()
    log.write_text(line(3, f"[{job}] submitted") + line(4, f"[{other}] submitted"))
    (user.home / "ctl" / f"job.{job}.errors").write_text(
        "2026-11-20T08:02:00Z Job state change\nits second line\n2026-11-20T08:06:00Z the end\n"
    )
    (user.home / "jobs.log").write_text(f"{local} Started - job id: {job}\n{local} x\n")

    said = user.run("arex", "logs", "--job", job[:30])

    assert [
        "job: 2026-11-20T08:02:00Z Job state change",
        "job: its second line",
        line(3, f"[{job}] submitted").rstrip(),
        f"job log: {local} Started - job id: {job}",
        "job: 2026-11-20T08:06:00Z the end",
    ] == said.out.splitlines()


def test_an_id_must_be_known_and_unique(user: User, log: Path) -> None:
    log.touch()
    (user.home / "ctl" / "accepting").mkdir(parents=True)
    for job in ("abcdefghij1", "abcdefghij2"):
        (user.home / "ctl" / "accepting" / f"job.{job}.status").write_text("ACCEPTED\n")

    assert "2 jobs have ids that begin with abc" in user.run("arex", "logs", "--job", "abc").err
    assert "no job in" in user.run("arex", "logs", "--job", "xyz").err
    assert 1 == user.run("arex", "logs", "--job", "").code


def test_control_characters_do_not_reach_the_terminal(user: User, log: Path) -> None:
    log.write_text(line(1, "a\x1b[2Jb"))

    assert "a?[2Jb" in user.run("arex", "logs").out


def test_a_log_that_cannot_be_read_is_named_with_its_option(user: User, log: Path) -> None:
    said = user.run("arex", "logs")
    assert (1, f"arex: there is no log yet: {log} ([arex] logfile)\n") == (said.code, said.err)

    log.mkdir()
    assert f"cannot read the log {log} ([arex] logfile): " in user.run("arex", "logs").err


@pytest.mark.parametrize("value", ["yesterday", "5 weeks", "-3h", "99999999d"])
def test_a_time_that_is_none_is_refused(user: User, log: Path, value: str) -> None:
    log.touch()

    assert "write 30min, 2h, 1d or 2026-11-20T08:49:00" in user.run("arex", "logs", f"--since={value}").err


def test_following_goes_on_after_a_rotation_and_loses_nothing(
    user: User, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.write_text(line(1, "first"))

    def events() -> Iterator[None]:
        with log.open("a") as stream:
            stream.write(line(2, "half")[:10])
        yield
        with log.open("a") as stream:
            stream.write(line(2, "half")[10:])
        log.rename(f"{log}.1")
        log.write_text(line(3, "new"))
        yield
        yield
        raise KeyboardInterrupt

    script = events()
    monkeypatch.setattr(time, "sleep", lambda _: next(script))

    said = user.run("arex", "logs", "-f")

    assert 130 == said.code
    assert line(1, "first") + line(2, "half") + line(3, "new") == said.out
