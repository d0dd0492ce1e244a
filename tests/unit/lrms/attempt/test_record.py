from __future__ import annotations

import contextlib
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize("character", ["\r", "\v", "\f", "\x1c", "\u2028"])
def test_a_message_may_have_any_character_but_a_line_break(character: str) -> None:
    """The owner chooses the names of files that it is about."""
    done = parse_done(RECORD.replace("complete=", f"message=Cannot run ./a{character}b: x\ncomplete="))

    assert f"Cannot run ./a{character}b: x" == done.message


@given(
    st.lists(st.tuples(st.sampled_from([line.partition("=")[0] for line in RECORD.split()]), st.text())),
    st.sampled_from(["9" * 5000, "1e300", "-1e300", "nan", "inf", "0001-01-01T00:00:00Z", "", "9m9s"]),
)
def test_junk_in_a_record_is_an_invalid_record(lines: list[tuple[str, str]], value: str) -> None:
    keys = [line.partition("=")[0] for line in RECORD.splitlines()[:-1]]
    texts = ["".join(f"{key}={text}\n" for key, text in lines) + "complete=yes\n"]
    texts += [
        RECORD.replace(line, f"{key}={value}")
        for key in keys
        for line in RECORD.splitlines()
        if line[: len(key)] == key
    ]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "done")
        for text in texts:
            path.write_bytes(text.encode(errors="surrogateescape"))
            with contextlib.suppress(UnreadableRecord):
                read_done(path)


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


@pytest.mark.parametrize("wall_s", ["inf", "1e300", "1e11"])
def test_a_wall_time_that_leads_out_of_the_calendar_is_an_invalid_record(tmp_path: Path, wall_s: str) -> None:
    path = tmp_path / "done"
    path.write_text(RECORD.replace("start=2026-11-20T08:49:01Z", "start=").replace("wall_s=4.25", f"wall_s={wall_s}"))

    with pytest.raises(UnreadableRecord):
        read_done(path)


def test_processes_that_were_left_are_a_doubt() -> None:
    done = parse_done(RECORD.replace("complete", "doubt=process 7 (x) of root could not be ended\ncomplete"))

    assert ended(done).doubt == "process 7 (x) of root could not be ended"


def test_below_a_link_to_itself_is_no_record_that_could_be_read(tmp_path: Path) -> None:
    """No later look can find one: it is not the trouble of a moment."""
    loop = tmp_path / "loop"
    loop.symlink_to(loop)

    with pytest.raises(UnreadableRecord):
        read_done(loop / "done")
