"""What a submission attempt has left in its run directory."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from arex.model.ids import JobId, LocalId, Tag
from arex.ports import LocalJob
from lrms.attempt.record import StartMarker
from lrms.attempt.traces import NO_MARK, ask_cancel, keep_from_starting, traces
from lrms.jobscript.template import part


def test_a_run_directory_that_cannot_be_searched_has_no_traces(tmp_path: Path) -> None:
    """A payload can close it; the query about all jobs of a batch system must not fail because of one."""
    found = traces(tmp_path / ("x" * 300))

    assert (found.mark, found.cancel_asked) == (None, False)


@pytest.mark.parametrize("localid", ["12", "12_3", "12_3@north-1.x", "9[2].pbs.example.org", "12.0"])
def test_the_local_id_in_a_start_marker_is_read(tmp_path: Path, localid: str) -> None:
    (tmp_path / "started").write_text(f"id {localid}\n")

    assert localid == traces(tmp_path).localid


@pytest.mark.parametrize(
    "text", ["id --user=grid\n", "id 1\0 2\n", "id 1 2\n", "id 12", "payload ./x\n", "id " + "1" * 999 + "\n"]
)
def test_what_a_payload_has_put_into_a_start_marker_is_no_argument_of_a_command(tmp_path: Path, text: str) -> None:
    (tmp_path / "started").write_text(text)

    assert StartMarker("") == traces(tmp_path).mark


@pytest.fixture
def rundir(tmp_path: Path) -> Path:
    path = tmp_path / "job.lrms" / "tag"
    path.mkdir(parents=True)
    return path


def cancel(rundir: Path) -> None:
    job = LocalJob(job=JobId("job"), localid=LocalId("1"), tag=Tag("tag"), session=rundir, rundir=rundir)
    ask_cancel([job])


def test_a_request_to_cancel_is_on_disk_and_may_come_twice(rundir: Path) -> None:
    cancel(rundir)
    cancel(rundir)

    assert traces(rundir).cancel_asked


def test_a_start_marker_that_arex_creates_names_no_copy(rundir: Path) -> None:
    keep_from_starting([rundir, rundir])

    mark = traces(rundir).mark
    assert mark is not None
    assert mark.localid == ""


@pytest.mark.parametrize("above", [False, True])
def test_nothing_is_created_where_a_link_in_place_of_a_run_directory_leads(
    rundir: Path, tmp_path: Path, above: bool
) -> None:
    outside = tmp_path / "outside"
    (outside / "tag").mkdir(parents=True)
    rundir.rmdir()
    if above:
        rundir.parent.rmdir()
    (rundir.parent if above else rundir).symlink_to(outside)

    cancel(rundir)
    keep_from_starting([rundir])

    assert [outside / "tag"] == list(outside.rglob("*"))


def test_a_run_directory_without_its_script_was_removed_by_the_payload(rundir: Path) -> None:
    (rundir / "script").touch()
    before = traces(rundir)
    shutil.rmtree(rundir)

    assert (False, True) == (before.removed, traces(rundir).removed)


def test_a_script_that_could_not_mark_its_start_has_run_no_payload(tmp_path: Path) -> None:
    found = replace(traces(tmp_path / "gone"), output=f"{NO_MARK} to /gone\n")

    assert not found.removed
    assert NO_MARK in part("mark")


def test_a_record_names_the_copy_that_ran_if_the_start_marker_is_gone(rundir: Path) -> None:
    (rundir / "done").write_text(
        "exitcode=0\nsignal=\ncause=exit code\nstart=2026-11-20T09:00:00Z\nend=2026-11-20T09:00:01Z\nwall_s=1\n"
        "user_s=0\nsystem_s=0\nmaxrss_kb=1\nlocalid=12_3\ncomplete=yes\n"
    )

    assert "12_3" == traces(rundir).localid
    (rundir / "done").write_text("localid=13\n")
    assert "" == traces(rundir).localid
