from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.controldir.layout import LAYOUTS, LOOKUP, PLACE_OF, FlatLayout, Layout, Mark, NestedLayout, Place
from arex.controldir.store import ControlDir
from arex.model.ids import JobId
from arex.model.state import State

ROOT = Path("/ctl")
#: An id that ends with a dot, which no client makes, would read like the mark of another one in the nested layout.
_ids = st.from_regex(r"[A-Za-z0-9_+=@-]([A-Za-z0-9_.+=@-]{0,61}[A-Za-z0-9_+=@-])?", fullmatch=True).map(JobId)


def test_arc_6_has_job_files_side_by_side() -> None:
    layout = FlatLayout(ROOT)

    assert "/ctl/job.abc.local" == layout.job_file(JobId("abc"), "local")
    assert "/ctl/accepting/job.abc.status" == layout.status_file(Place.ACCEPTING, JobId("abc"))
    assert "/ctl/accepting/job.abc.cancel" == layout.mark_file(JobId("abc"), Mark.CANCEL)


def test_arc_7_cuts_an_id_in_threes() -> None:
    """The example of the description of ARC 7's layout."""
    layout = NestedLayout(ROOT)

    assert "/ctl/jobs/134/c54/51d/7ab/local" == layout.job_file(JobId("134c5451d7ab"), "local")
    assert "/ctl/processing/134c5451d7ab.status" == layout.status_file(Place.PROCESSING, JobId("134c5451d7ab"))


def test_arc_7_names_marks_without_a_dot_and_a_dot_counts_too(tmp_path: Path) -> None:
    """Clients of ARC 7.0.0 make the first kind, and A-REX 7.0.0 acts on no other."""
    layout = NestedLayout(tmp_path)
    (tmp_path / Place.ACCEPTING).mkdir()
    store = ControlDir(layout)
    job = JobId("ac431cc023c6")
    assert f"{tmp_path}/accepting/{job}cancel" == layout.mark_file(job, Mark.CANCEL)
    for name in (f"{job}cancel", f"{job}.cancel"):
        (tmp_path / Place.ACCEPTING / name).touch()
        assert [(job, Mark.CANCEL)] == list(store.scan_marks())
        assert store.has_mark(job, Mark.CANCEL)
        store.drop_mark(job, Mark.CANCEL)
        assert [] == list(store.scan_marks())


@pytest.mark.parametrize(
    ("job", "folder"),
    [("a", "a"), ("abc", "abc"), ("abcd", "abc/d"), ("abcdefghi", "abc/def/ghi"), ("a" * 12, "aaa/aaa/aaa/aaa")],
)
def test_short_ids_have_fewer_levels(job: str, folder: str) -> None:
    assert f"/ctl/jobs/{folder}/local" == NestedLayout(ROOT).job_file(JobId(job), "local")


@pytest.mark.parametrize("layout", [layout(ROOT) for layout in LAYOUTS.values()], ids=list(LAYOUTS))
@given(job=_ids)
def test_names_give_their_jobs_back(layout: Layout, job: JobId) -> None:
    for place in Place:
        assert job == layout.job_of_status(Path(layout.status_file(place, job)).name)
    for mark in Mark:
        assert (job, mark) == layout.job_of_mark(Path(layout.mark_file(job, mark)).name)


@pytest.mark.parametrize("layout", [layout(ROOT) for layout in LAYOUTS.values()], ids=list(LAYOUTS))
@pytest.mark.parametrize(
    "name",
    [
        "",
        "job.a b.status",
        "job.a/b.status",
        "job.\n.status",
        "job.$(x).status",
        "job.é.status",
        "job." + "x" * 64 + ".status",
        ".status",
        "..status",
        "a b.status",
        "x" * 64 + ".status",
        "status",
        "job.a.status.~12.3",
        "job.a.statusx",
        "job. .cancel",
        "a;b.cancel",
        "job.a.cancelled",
        "job.a",
        "cancel",
    ],
)
def test_names_that_are_no_ids_are_nobodys(layout: Layout, name: str) -> None:
    assert layout.job_of_status(name) is None
    assert layout.job_of_mark(name) is None


@pytest.mark.parametrize("name", ["job..status", "job.....status"])
def test_a_flat_name_without_an_id_is_nobodys(name: str) -> None:
    assert FlatLayout(ROOT).job_of_status(name) is None


def test_every_state_that_is_on_disk_has_a_place() -> None:
    assert set(State) - {State.UNDEFINED} == set(PLACE_OF)
    assert set(Place) == set(LOOKUP)
