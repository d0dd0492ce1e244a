from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.controldir import codec
from arex.model.files import FileEntry
from arex.model.local import JobLocal
from arex.model.state import State, Status
from tests import environments

FIXTURES = environments.DATA / "fixtures"


def _real(suffix: str) -> list[Path]:
    found = sorted(FIXTURES.glob(f"*/ctl/job.*.{suffix}"))
    assert found, suffix
    return found


def _name(path: Path) -> str:
    return f"{path.parts[-3]}"


@pytest.mark.parametrize("path", _real("local"), ids=_name)
def test_a_real_local_file_goes_back_byte_for_byte(path: Path) -> None:
    data = path.read_bytes()

    assert data == codec.dump_local(codec.parse_local(data))


@pytest.mark.parametrize("path", [*_real("input"), *_real("output"), *_real("output_status")], ids=_name)
def test_a_real_file_list_goes_back_byte_for_byte(path: Path) -> None:
    data = path.read_bytes()

    assert data == codec.dump_entries(codec.parse_entries(data))


@pytest.mark.parametrize("path", _real("input_status"), ids=_name)
def test_a_real_input_status_names_what_stands_in_its_lines(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").split("\n")

    assert [line.replace("\\ ", " ") for line in lines if line] == codec.parse_input_status(path.read_bytes())


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*/ctl/*/job.*.status")), ids=lambda path: path.parts[-4])
def test_a_real_status_file_goes_back_byte_for_byte(path: Path) -> None:
    status = codec.parse_status(path.read_bytes())

    assert status is not None
    assert path.read_bytes() == codec.dump_status(status)


@pytest.mark.parametrize("path", sorted((FIXTURES / "_misc" / "lrms_done").iterdir()), ids=lambda path: path.name)
def test_a_real_lrms_done_reads_as_its_number_and_text(path: Path) -> None:
    number, _, text = path.read_text(encoding="utf-8").split("\n")[0].partition(" ")

    assert (int(number), text) == codec.parse_lrms_done(path.read_bytes())


@pytest.mark.parametrize("path", _real("diag"), ids=_name)
def test_a_real_diag_file_gives_each_of_its_lines_with_an_equals_sign(path: Path) -> None:
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if "=" in line]

    assert lines == [
        line
        for line, (key, value) in zip(lines, codec.parse_diag(path.read_bytes()), strict=True)
        if line.lower().startswith(f"{key}=") and line.endswith(value)
    ]


# --- .local -----------------------------------------------------------------------------------------------------------


def test_keys_that_we_do_not_know_survive_a_rewrite_at_the_end() -> None:
    data = b"globalid=x\ntokenclaim.sub=me\npriority=50\n"

    assert b"globalid=x\npriority=50\ntokenclaim.sub=me\n" == codec.dump_local(codec.parse_local(data))


def test_a_value_that_does_not_read_survives_in_its_place() -> None:
    """ARC 6.17 writes a requested lifetime as one raw byte."""
    data = b"globalid=x\nlifetime=\xff\nrerun=2\n"
    local = codec.parse_local(data)

    assert local.lifetime is None
    assert data == codec.dump_local(local)


@pytest.mark.parametrize(
    "line",
    [
        "lifetime=999999999999999999",
        "lifetime=-1",
        "cleanuptime=99991231235959Z",
        "cleanuptime=00000101000000Z",
        "cleanuptime=20260230000000Z",
        "cleanuptime=2026112009000٣Z",
        "rerun=1e3",
        "rerun=" + "9" * 5000,
        "dryrun=maybe",
        "failedstate=NOWHERE",
        "args=\\",
    ],
)
def test_a_value_beyond_reason_is_kept_and_means_nothing(line: str) -> None:
    local = codec.parse_local(f"{line}\n".encode())

    assert JobLocal(odd=((line.partition("=")[0], line.partition("=")[2]),)) == local
    assert f"{line}\n".encode() == codec.dump_local(local)


def test_times_that_read_can_be_added_to_any_lifetime_that_reads() -> None:
    local = codec.parse_local(b"cleanuptime=89991231235959Z\nlifetime=10000000000\n")

    assert local.cleanuptime is not None
    assert local.lifetime is not None
    assert local.cleanuptime.year < (local.cleanuptime + local.lifetime + timedelta(days=36500)).year


def test_an_empty_line_ends_the_file_and_empty_values_are_skipped() -> None:
    assert JobLocal(queue="q") == codec.parse_local(b"jobname=\nqueue=q\n\nlrms=fork\n")


def test_the_first_of_a_repeated_key_counts_and_lists_keep_all() -> None:
    data = b"queue=one\nqueue=two\nvoms=/a\nvoms=/b\n"

    assert JobLocal(queue="one", voms=("/a", "/b")) == codec.parse_local(data)


def test_a_line_break_in_a_value_makes_no_second_key() -> None:
    assert b"subject=/CN=me sessiondir=/home\n" == codec.dump_local(JobLocal(subject="/CN=me\nsessiondir=/home"))


_words = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(st.lists(_words))
def test_arguments_come_back(args: list[str]) -> None:
    assert tuple(args) == codec.parse_args(codec.dump_args(args))


@given(st.binary(max_size=300))
def test_any_bytes_read_as_local_and_their_second_reading_is_the_same(data: bytes) -> None:
    once = codec.parse_local(data)

    assert once == codec.parse_local(codec.dump_local(once)) or b"\r" in data


# --- file lists -------------------------------------------------------------------------------------------------------


@given(st.lists(st.builds(FileEntry, _words.map(lambda text: f"/{text}"), _words, _words)))
def test_file_entries_come_back(entries: list[FileEntry]) -> None:
    """Also with empty fields in the middle, and with blanks and line breaks at their ends."""
    assert entries == codec.parse_entries(codec.dump_entries(entries))


@given(st.binary(max_size=300))
def test_any_bytes_read_as_a_file_list(data: bytes) -> None:
    codec.parse_entries(data)
    codec.parse_input_status(data)


def test_a_name_is_one_however_it_was_escaped() -> None:
    """Another program may have put the escape between the bytes of one letter."""
    assert codec.parse_entries("/ü\n".encode()) == codec.parse_entries(b"/\xc3\\\xbc\n")


def test_a_remote_file_is_one_with_a_colon() -> None:
    [near, far] = codec.parse_entries(b"/a 12.34\n/b http://h/p /cred\n")

    assert not near.remote
    assert far.remote
    assert FileEntry("/b", "http://h/p", "/cred") == far


# --- status, lrms_done, numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", sorted(set(State) - {State.UNDEFINED}))
@pytest.mark.parametrize("pending", [False, True])
def test_a_status_comes_back(state: State, pending: bool) -> None:
    assert Status(state, pending) == codec.parse_status(codec.dump_status(Status(state, pending)))


@pytest.mark.parametrize("data", [b"", b"UNDEFINED", b"INLRMS:R", b"accepted", b"PENDING:", b"\xff", b"\nFINISHED"])
def test_a_word_that_is_no_state_is_none(data: bytes) -> None:
    assert codec.parse_status(data) is None


def test_only_the_first_line_of_a_status_counts() -> None:
    assert Status(State.SUBMIT) == codec.parse_status(b"SUBMIT\nPARING")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", (0, "")),
        (b"0\n", (0, "")),
        (b"3 went wrong\nmore", (3, "went wrong")),
        (b"-1 Job died", (-1, "Job died")),
        (b"0x10 hex", (16, "hex")),
        (b"010 octal", (8, "octal")),
        (b"089 not octal", (89, "not octal")),
        (b"no number", (-1, "no number")),
        (b"\xff\xfe", (-1, "\udcff\udcfe")),
        (b"9" * 5000, (-1, "9" * 5000)),
    ],
    ids=range(10),
)
def test_lrms_done_reads_as_c_does(data: bytes, expected: tuple[int, str]) -> None:
    assert expected == codec.parse_lrms_done(data)


@given(
    st.integers(-(10**9), 10**9),
    st.text(st.characters(codec="utf-8", min_codepoint=32, exclude_characters="\x7f\x80\x85")),
)
def test_lrms_done_comes_back(code: int, message: str) -> None:
    assert (code, message) == codec.parse_lrms_done(codec.dump_lrms_done(code, message))


@pytest.mark.parametrize(
    ("text", "number"), [("2.01s", 2), ("1372kB", 1372), ("", None), ("x", None), ("-3", None), ("9" * 5000, None)]
)
def test_a_number_of_diag_is_its_leading_digits(text: str, number: int | None) -> None:
    assert number == codec.diag_number(text)


@given(st.datetimes(datetime(1970, 1, 1), datetime(8999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001 - bounds
def test_moments_come_back_to_the_second(moment: datetime) -> None:
    assert moment.replace(microsecond=0) == codec.parse_mds(codec.mds_time(moment))


def test_a_state_line_is_worded_as_arc_does() -> None:
    now = datetime(2026, 11, 20, 8, 49, tzinfo=UTC)
    line = codec.state_line(now, Status(State.PREPARING), Status(State.PREPARING, pending=True), "Limit")

    assert "2026-11-20T08:49:00Z Job state change PREPARING -> PREPARING(PENDING)   Reason: Limit\n" == line


@pytest.mark.parametrize("read", [codec.parse_local, codec.parse_entries, codec.parse_diag, codec.parse_status])
def test_the_work_grows_with_the_text_and_not_with_its_square(read: Callable[[bytes], object]) -> None:
    """No pattern goes over the same text again and again: eight times the text, far less than 64 times the work."""
    for piece in (b"\\", b"=", b" ", b"\\\n", b"/a "):
        small, large = (_processor_s(read, piece * size) for size in (25_000, 200_000))
        assert large < 30 * small + 0.1


def _processor_s(read: Callable[[bytes], object], text: bytes) -> float:
    """The best of three times of this thread: what else the machine does, and a garbage collection, do not count."""
    times = []
    for _ in range(3):
        began = time.thread_time()
        read(text)
        times.append(time.thread_time() - began)
    return min(times)


def test_only_some_keys_are_read_if_that_is_enough() -> None:
    data = b"jobname=a\npriority=50\nlabel=run=7\nprojectname=x\n"

    local = codec.parse_local(data, {"jobname"})

    assert ("a", None, (), (("label", "run=7"),)) == (local.jobname, local.priority, local.projectname, local.extra)
