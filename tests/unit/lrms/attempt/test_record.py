from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from arex.model.report import EndCause, Phase, Report, Usage
from lrms.attempt.record import Done, UnreadableRecord, ended, parse_done, read_done

RECORD = """exitcode=3
signal=
cause=exit code
start=2026-11-20T08:49:01Z
end=2026-11-20T08:49:05Z
wall_s=4.25
user_s=1.5
system_s=0.25
maxrss_kb=1372
node=n1
node=n2
complete=yes
"""
DONE = Done(
    exit_code=3,
    signal=None,
    cause=EndCause.EXIT_CODE,
    start=datetime(2026, 11, 20, 8, 49, 1, tzinfo=UTC),
    end=datetime(2026, 11, 20, 8, 49, 5, tzinfo=UTC),
    nodes=("n1", "n2"),
    usage=Usage(wall_s=4.25, user_s=1.5, system_s=0.25, max_rss_kb=1372),
)


def test_a_record_reads_into_its_value() -> None:
    assert parse_done(RECORD) == DONE


def test_processor_time_may_be_in_the_words_of_the_shell() -> None:
    text = RECORD.replace("user_s=1.5\nsystem_s=0.25", "times=1m2.50s 0m0,25s")

    assert parse_done(text).usage == replace(DONE.usage, user_s=62.5, system_s=0.25)


def test_an_empty_exit_code_means_none() -> None:
    assert parse_done(RECORD.replace("exitcode=3", "exitcode=")).exit_code is None


def test_without_a_start_it_is_the_end_less_the_wall_time() -> None:
    """A node whose ``date`` does not know ``-d`` has no start; the exit code counts all the same."""
    text = RECORD.replace("start=2026-11-20T08:49:01Z", "start=")

    assert parse_done(text) == replace(DONE, start=datetime(2026, 11, 20, 8, 49, 0, 750000, tzinfo=UTC))


def test_without_a_file_there_is_no_record(tmp_path: Path) -> None:
    assert read_done(tmp_path / "done") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0\0\0",
        RECORD.replace("complete=yes\n", ""),
        RECORD.replace("exitcode=3", "exitcode=three"),
        RECORD.replace("cause=exit code", "cause=fate"),
        RECORD.replace("start=2026", "start=then"),
        RECORD.replace("signal=\n", ""),
        RECORD.replace("wall_s=4.25", "wall_s=long"),
        RECORD.replace("user_s=1.5", "times=soon"),
    ],
)
def test_an_invalid_record_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "done").write_text(text)

    with pytest.raises(UnreadableRecord) as caught:
        read_done(tmp_path / "done")
    assert caught.value.path == tmp_path / "done"


def test_a_record_becomes_a_report() -> None:
    expected = Report(
        phase=Phase.ENDED,
        exit_code=3,
        cause=EndCause.EXIT_CODE,
        nodes=("n1", "n2"),
        started=DONE.start,
        ended=DONE.end,
        usage=DONE.usage,
    )

    assert expected == ended(DONE)
