"""``.grami``: ours is ARC's, byte for byte, and means the same to a shell."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arex.controldir.codec import parse_local
from arex.errors import CorruptFile
from arex.jobdesc import DescriptionDialect, parse
from arex.jobdesc.control.grami import build_grami, dump_grami, parse_grami
from arex.jobdesc.model import JobDescription, Resources
from arex.model.grami import Grami, ParallelEnvironment, RunTime
from arex.model.ids import JobId, LocalId
from arex.model.local import JobLocal
from tests import environments

FIXTURES = environments.DATA / "fixtures"
GRAMIS = sorted(FIXTURES.glob("*/ctl/*.grami"))
MINIMAL = Grami(gridid=JobId("x"), directory=Path("/s/x"), controldir=Path("/c"), args=("/bin/true",))
NASTY = st.text(alphabet=st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=30)
WORD = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)


def built(path: Path) -> Grami:
    (description,) = parse(path.with_suffix(".description").read_bytes(), DescriptionDialect.GRIDMANAGER)
    local = parse_local(path.with_suffix(".local").read_bytes())
    jobid = JobId(path.name.removeprefix("job.").removesuffix(".grami"))
    session = local.sessiondir or Path("/SESSIONDIR") / jobid
    return build_grami(description, local, jobid=jobid, session=session, controldir=Path("/CONTROLDIR"))


def from_adl(resources: Resources) -> Grami:
    return build_grami(
        JobDescription(executable="x", resources=resources),
        JobLocal(),
        jobid=JobId("x"),
        session=Path("/s/x"),
        controldir=Path("/c"),
    )


def test_there_are_enough_real_files() -> None:
    assert len(GRAMIS) >= 68


@pytest.mark.parametrize("path", GRAMIS, ids=lambda path: path.parts[-3])
def test_a_description_gives_the_file_that_arc_made(path: Path) -> None:
    """All but the id of the batch job, which is appended after submission."""
    lines = path.read_bytes().splitlines(keepends=True)
    expected = b"".join(line for line in lines if not line.startswith(b"joboption_jobid="))

    assert expected == dump_grami(built(path))


@pytest.mark.parametrize("path", GRAMIS, ids=lambda path: path.parts[-3])
def test_a_real_file_reads_to_what_it_was_made_of(path: Path) -> None:
    found = parse_grami(path.read_bytes())

    assert built(path) == replace(found, localid=None)


def test_of_two_batch_ids_the_first_counts() -> None:
    (path,) = FIXTURES.glob("dbl_submit/ctl/*.grami")
    ids = [line for line in path.read_text().splitlines() if line.startswith("joboption_jobid=")]

    assert len(ids) == 2
    assert ids[0] == f"joboption_jobid={parse_grami(path.read_bytes()).localid}"


GRAMI = st.builds(
    Grami,
    gridid=st.just(JobId("x")),
    directory=st.just(Path("/s p/it's")),
    controldir=st.just(Path("/c")),
    args=st.lists(NASTY, min_size=1, max_size=4).map(tuple),
    stdin=NASTY,
    environment=st.lists(st.tuples(WORD, NASTY), max_size=3).map(tuple),
    globalid=NASTY,
    jobname=NASTY,
    queue=NASTY,
    parallel=st.none() | st.builds(ParallelEnvironment, type=NASTY, version=NASTY),
    runtimes=st.lists(
        st.builds(RunTime, name=NASTY, options=st.lists(NASTY, max_size=2).map(tuple)), max_size=2
    ).map(tuple),
    inputfiles=st.lists(NASTY, max_size=2).map(tuple),
    localid=st.none() | NASTY.filter(bool).map(LocalId),
)  # fmt: skip


@given(GRAMI)
def test_any_values_come_back(grami: Grami) -> None:
    assert grami == parse_grami(dump_grami(grami))


@settings(max_examples=25, deadline=None)
@given(GRAMI)
def test_a_shell_that_sources_the_file_sees_the_same_values(grami: Grami) -> None:
    script = dump_grami(grami) + b'printf "%s\\0" "$joboption_directory" "$joboption_stdin" "$joboption_jobname"'
    script += b' "$joboption_queue" "$joboption_penv_type" "$joboption_jobid"'
    script += b"".join(b' "$joboption_arg_%d"' % number for number in range(len(grami.args)))
    script += b"".join(b' "$joboption_env_%d"' % number for number in range(len(grami.environment) + 1))

    done = subprocess.run(["/bin/sh", "-s"], input=script, capture_output=True, check=True)

    parallel = "" if grami.parallel is None else grami.parallel.type
    environment = [f"{name}={value}" for name, value in grami.environment]
    expected = [
        str(grami.directory), grami.stdin, grami.jobname, grami.queue, parallel, grami.localid or "",
        *grami.args, *environment, f"GRID_GLOBAL_JOBID={grami.globalid}",
    ]  # fmt: skip
    assert done.stderr == b""
    assert expected == done.stdout.decode().split("\0")[:-1]


def test_lines_of_a_backend_and_of_editors_are_read_tolerantly() -> None:
    data = b"""#!/bin/sh
joboption_gridid=x
  export joboption_directory="/s/a b"   # a comment
joboption_stdin=a\\ b"c"'d'
junk here
joboption_walltime=soon
joboption_jobid='42'
joboption_jobid=43"""

    found = parse_grami(data)

    assert (str(found.directory), found.stdin, found.walltime_s, found.localid) == ("/s/a b", "a bcd", None, "42")


@pytest.mark.parametrize("data", [b"", b"joboption_gridid='x'\n", b"joboption_directory=/s\n", b"\xff\0\n='"])
def test_a_file_of_no_job_is_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptFile):
        parse_grami(data, Path("job.x.grami"))


def test_an_unfinished_quote_does_not_hang() -> None:
    with pytest.raises(CorruptFile):
        parse_grami(b"joboption_a='" * 100_000)


def test_a_user_cannot_impersonate_another_user() -> None:
    """A variable of the description with the name of an identity stays one of the description."""
    grami = replace(MINIMAL, environment=(("GRID_GLOBAL_JOBID", "fake"),), globalid="true")

    found = parse_grami(dump_grami(grami))

    assert (found.environment, found.globalid) == ((("GRID_GLOBAL_JOBID", "fake"),), "true")


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        (Resources(), (1, None, None, None)),
        (Resources(slots=4), (4, -1, None, ParallelEnvironment())),
        (Resources(slots=4, slots_per_host=4), (4, 4, 1, ParallelEnvironment())),
        (Resources(slots=6, slots_per_host=2), (6, 2, 3, ParallelEnvironment())),
    ],
)
def test_slots_are_spread_over_nodes(resources: Resources, expected: object) -> None:
    found = from_adl(resources)

    assert expected == (found.count, found.countpernode, found.numnodes, found.parallel)


def test_exclusive_nodes_need_no_slots_per_host() -> None:
    """ARC 6.17 loses the wish when SlotsPerHost is not given."""
    assert from_adl(Resources(slots=4, exclusive=True)).exclusivenode


def test_a_start_time_is_written_as_utc() -> None:
    grami = replace(MINIMAL, starttime=datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC))

    assert b"joboption_starttime=20270102030405Z\n" in dump_grami(grami)
    assert grami == parse_grami(dump_grami(grami))
