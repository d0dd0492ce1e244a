from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from arex import logs

log = logging.getLogger("arex.test")


@pytest.fixture(autouse=True)
def root() -> Iterator[None]:
    """What a test sets up does not outlive it."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    for handler in root.handlers:
        if handler not in before:
            handler.close()
    root.handlers[:] = before
    root.setLevel(level)


def test_a_line_has_time_level_logger_job_and_event(tmp_path: Path) -> None:
    logs.set_up(3, tmp_path / "log")
    log.info("moved to %s", "there", extra={"event": "job.moved", "job": "abc"})
    [line] = (tmp_path / "log").read_text().splitlines()
    stamp, _, rest = line.partition(" ")

    assert "INFO arex.test [abc] moved to there event=job.moved" == rest
    assert (20, "Z") == (len(stamp), stamp[-1])


def test_the_job_comes_from_the_context(tmp_path: Path) -> None:
    logs.set_up(3, tmp_path / "log")
    token = logs.job_context.set("abc")
    log.warning("x")
    logs.job_context.reset(token)
    log.warning("x")

    assert [True, False] == ["[abc]" in line for line in (tmp_path / "log").read_text().splitlines()]


def test_json_is_one_object_a_line(tmp_path: Path) -> None:
    logs.set_up(3, tmp_path / "log", as_json=True)
    log.error("line\nbreak \udcff", exc_info=ValueError("a\nb"), extra={"event": "e"})
    [line] = (tmp_path / "log").read_text().splitlines()
    facts = json.loads(line)

    assert ("ERROR", "arex.test", "e") == (facts["level"], facts["logger"], facts["event"])
    assert facts["message"].startswith("line\nbreak ")
    assert "ValueError" in facts["trace"]
    assert "job" not in facts


def test_text_that_can_not_be_encoded_is_shown(tmp_path: Path) -> None:
    logs.set_up(3, tmp_path / "log")
    log.info("name %s", "\udcff")

    assert r"name \udcff" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(("level", "shown"), [(-1, 1), (0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 5), (99, 5)])
def test_levels_are_those_of_arc(tmp_path: Path, level: int, shown: int) -> None:
    logs.set_up(level, tmp_path / "log")
    for call in (log.critical, log.error, log.warning, log.info, log.debug):
        call("x")

    assert shown == len((tmp_path / "log").read_text().splitlines())


def test_the_file_is_private_and_its_directory_is_made(tmp_path: Path) -> None:
    logs.set_up(3, tmp_path / "deep" / "log")

    assert 0o600 == stat.S_IMODE((tmp_path / "deep" / "log").stat().st_mode)


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    logs.set_up(3, tmp_path / "log")
    log.info("one")
    (tmp_path / "log").rename(tmp_path / "log.1")
    log.info("two")

    assert "one" in (tmp_path / "log.1").read_text()
    assert "two" in (tmp_path / "log").read_text()


def test_setting_up_again_writes_each_line_once(tmp_path: Path) -> None:
    logs.set_up(3, tmp_path / "log")
    logs.set_up(3, tmp_path / "log")
    log.info("x")

    assert 1 == len((tmp_path / "log").read_text().splitlines())


def test_without_a_file_it_is_said_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(3, None)
    log.info("heard")

    assert "heard" in capsys.readouterr().err


def test_a_file_that_is_begun_anew_is_as_private_as_the_first(tmp_path: Path) -> None:
    logs.set_up(3, tmp_path / "log")
    (tmp_path / "log").unlink()
    log.info("two")

    assert 0o600 == stat.S_IMODE((tmp_path / "log").stat().st_mode)


@pytest.mark.parametrize("as_json", [False, True])
def test_no_message_makes_a_second_line(tmp_path: Path, as_json: bool) -> None:
    """What a batch system or a user said can't pass for a record of ours."""
    logs.set_up(3, tmp_path / "log", as_json=as_json)
    log.info("refused: %s", "no\n2026-11-20T09:00:00Z INFO arex forged\r\n")

    [line] = (tmp_path / "log").read_text().splitlines()
    assert r"no\n2026" in line


# --- a log that cannot be written ------------------------------------------------------------------------------------


def test_after_a_rotation_into_a_closed_place_lines_go_to_the_old_file(tmp_path: Path) -> None:
    """The directory is closed by putting a file in its place, which stops root too."""
    directory = tmp_path / "logs"
    logs.set_up(3, directory / "log")
    log.info("one")
    directory.rename(tmp_path / "old")
    directory.touch()
    log.info("two")

    assert ["one", "two"] == [line.split()[-1] for line in (tmp_path / "old" / "log").read_text().splitlines()]
    assert "Not a directory" in logs.trouble()
    directory.unlink()
    directory.mkdir()
    log.info("three")
    assert (directory / "log").read_text().endswith("three\n")
    assert "" == logs.trouble()


@pytest.mark.parametrize("kind", ["directory", "pipe"])
def test_something_else_in_the_place_of_the_log_does_not_stop_the_service(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "log"
    logs.set_up(3, path)
    path.rename(tmp_path / "log.1")
    if kind == "directory":
        path.mkdir()
    else:
        os.mkfifo(path)
    log.info("x")

    assert (tmp_path / "log.1").read_text().endswith("x\n")
    assert logs.trouble()


def test_lines_that_are_lost_are_counted() -> None:
    logs.set_up(3, Path("/dev/full"))
    log.info("x")
    log.info("x")

    assert "No space left on device" in logs.trouble()
    assert "(2 lines lost)" in logs.trouble()


def test_a_record_that_cannot_be_formatted_is_lost_and_does_not_stop_the_service(tmp_path: Path) -> None:
    logs.set_up(3, tmp_path / "log")
    log.info("%d", "x")

    assert "1 lines lost" in logs.trouble()
    log.info("y")
    assert "" == logs.trouble()
