"""Every control file of real ARC 6.17 jobs is read and written back byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.controldir import codec
from arex.jobdesc.control.grami import dump_grami, parse_grami
from arex.model.files import FileEntry
from arex.model.local import JobLocal
from tests import environments

FIXTURES = environments.DATA / "fixtures"
CASES = sorted(path for path in FIXTURES.iterdir() if (path / "ctl").is_dir())


def files(case: Path, suffix: str) -> list[Path]:
    return sorted((case / "ctl").rglob(f"job.*.{suffix}"))


def test_all_seventy_two_cases_are_here() -> None:
    """The index of the snapshots, without the directories of daemon-wide files."""
    assert 72 == len(CASES)
    assert all(files(case, "status") for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_a_snapshot_is_written_back_byte_for_byte(case: Path) -> None:
    """Status, facts and lists of the job, whatever they hold; a raw byte and unknown keys included."""
    for path in files(case, "local"):
        data = path.read_bytes()
        assert data == codec.dump_local(codec.parse_local(data))
    for suffix in ("input", "output", "output_status"):
        for path in files(case, suffix):
            data = path.read_bytes()
            assert data == codec.dump_entries(codec.parse_entries(data))
    for path in files(case, "status"):
        status = codec.parse_status(path.read_bytes())
        assert status is not None
        assert path.read_bytes() == codec.dump_status(status)
    for path in files(case, "lrms_done"):
        data = path.read_bytes()
        assert data == codec.dump_lrms_done(*codec.parse_lrms_done(data))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_a_snapshot_s_grami_is_written_back(case: Path) -> None:
    """Of two ids, which a double submission leaves, the first counts."""
    for path in files(case, "grami"):
        data = path.read_bytes()
        first, mark, rest = data.partition(b"joboption_jobid=")

        assert first + mark + rest[: rest.find(b"\n") + 1] == dump_grami(parse_grami(data, path))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_a_snapshot_s_confirmed_uploads_are_read(case: Path) -> None:
    for path in files(case, "input_status"):
        names = codec.parse_input_status(path.read_bytes())

        assert all(name.startswith("/") for name in names)
        assert len(names) == sum(bool(line) for line in path.read_bytes().splitlines())


@pytest.mark.parametrize("path", sorted((FIXTURES / "_misc" / "lrms_done").iterdir()), ids=lambda path: path.name)
def test_a_raw_lrms_done_is_read_as_a_real_service_reads_it(path: Path) -> None:
    data = path.read_bytes()
    code, message = codec.parse_lrms_done(data)

    assert data.split(b"\n")[0].rstrip() == f"{code} {message}".encode().rstrip()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", (0, "")),
        (b"0 \n", (0, "")),
        (b"0x10 hex\n", (16, "hex")),
        (b"010 octal\n", (8, "octal")),
        (b"-1 Job died unexpectedly\nmore\n", (-1, "Job died unexpectedly")),
        (b"no number\n", (-1, "no number")),
        (b"09 decimal\n", (9, "decimal")),
    ],
)
def test_codes_of_lrms_done_are_numbers_as_c_reads_them(data: bytes, expected: tuple[int, str]) -> None:
    """Base 0 of strtol; but 09, which C cuts to 0, is nine: no one means zero by it."""
    assert expected == codec.parse_lrms_done(data)


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_arguments_survive_the_facts_file(args: list[str]) -> None:
    """Blanks, backslashes, line breaks and empty arguments; a line break inside is kept by its escape."""
    assert tuple(args) == codec.parse_args(codec.dump_args(args))


_NAMES = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@given(st.lists(st.builds(FileEntry, st.builds(lambda name: f"/{name}", _NAMES), _NAMES, _NAMES)))
def test_file_lists_survive(entries: list[FileEntry]) -> None:
    """Whatever a file is called."""
    assert entries == codec.parse_entries(codec.dump_entries(entries))


@given(st.binary(max_size=300))
def test_binary_junk_is_facts_of_nothing(data: bytes) -> None:
    """No reader of a control file raises on junk."""
    assert isinstance(codec.parse_local(data), JobLocal)
    codec.parse_entries(data)
    codec.parse_input_status(data)
    codec.parse_status(data)
    codec.parse_lrms_done(data)
    codec.parse_diag(data)


def test_unknown_keys_survive_a_rewrite() -> None:
    """Another release of ARC on the same directory loses nothing."""
    data = b"globalid=a\nrerun=many\ntokenclaim.sub=x\n"
    local = codec.parse_local(data)

    assert (("rerun", "many"),) == local.odd
    assert (("tokenclaim.sub", "x"),) == local.extra
    assert data == codec.dump_local(local)


def test_a_line_break_in_a_value_makes_no_false_key() -> None:
    assert b"jobname=two sessiondir=/etc\n" == codec.dump_local(JobLocal(jobname="two\nsessiondir=/etc"))
