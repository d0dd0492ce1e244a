"""``jobs.dat``: the same as ARC's, whoever made it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from arex.userjobs.joblist import COLUMNS, JobList, JobListError, default_path, local_row
from tests import environments

RECORDED = environments.DATA / "fixtures" / "_misc" / "sqlite" / "client_jobs_dat.txt"


def row(number: int, name: str = "hello") -> Mapping[str, str]:
    return local_row(
        id_=f"id{number}", session=f"/SESSIONDIR/id{number}", name=name, document="&()", submitted=1795165138,
        stdio=("", "out.txt", "err.txt"),
    )  # fmt: skip


def dump(path: Path) -> list[str]:
    with sqlite3.connect(path) as db:
        lines = list(db.iterdump())
    db.close()
    return lines


@pytest.fixture
def jobs(tmp_path: Path) -> JobList:
    return JobList(tmp_path / ".arc" / "jobs.dat")


def test_the_file_is_made_as_arc_makes_it(jobs: JobList) -> None:
    schema = RECORDED.read_text().splitlines()[:2]

    jobs.add([row(1)])

    assert [line for line in dump(jobs.path) if line.startswith("CREATE")] == schema


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_only_the_owner_can_read_the_list(jobs: JobList, umask: int) -> None:
    before = os.umask(umask)
    try:
        jobs.add([row(1)])
    finally:
        os.umask(before)

    assert 0o600 == stat.S_IMODE(jobs.path.stat().st_mode)
    assert 0o700 == stat.S_IMODE(jobs.path.parent.stat().st_mode)


def test_an_old_list_is_made_private_with_the_files_beside_it(jobs: JobList) -> None:
    jobs.add([row(1)])
    beside = [jobs.path.with_name(f"jobs.dat{suffix}") for suffix in ("-journal", "-wal", "-shm")]
    with contextlib.closing(sqlite3.connect(jobs.path)) as db:
        assert [("wal",)] == list(db.execute("PRAGMA journal_mode=WAL"))
        db.execute("DELETE FROM jobs")
        db.commit()
        found = [path for path in (jobs.path, *beside) if path.exists()]
        for path in found:
            path.chmod(0o644)

        assert [] == jobs.all()

        assert 3 == len(found)
        assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in found}


def test_a_row_is_what_arcsub_writes(jobs: JobList) -> None:
    """But for the description itself, whose writer has separate tests."""
    [first, *_] = [line for line in RECORDED.read_text().splitlines() if line.startswith("-- ('file:")]
    recorded = dict(zip(COLUMNS, eval(first.removeprefix("-- ")), strict=True))
    ours = local_row(
        id_=recorded["idfromendpoint"],
        session=recorded["sessiondir"].removeprefix("file:"),
        name="hello",
        document=recorded["descriptiondocument"],
        submitted=1795165138,
        stdio=("", "out.txt", "err.txt"),
    )

    jobs.add([ours])

    assert jobs.all() == [recorded]


def test_jobs_are_found_by_url_id_and_name(jobs: JobList) -> None:
    jobs.add([row(1), row(2), row(3, "other")])

    found = [
        [one["idfromendpoint"] for one in jobs.find([name])] for name in ("file:///SESSIONDIR/id2", "id1", "hello")
    ]

    assert found == [["id2"], ["id1"], ["id1", "id2"]]


def test_more_names_than_sqlite_takes_at_once_are_found(jobs: JobList) -> None:
    jobs.add(row(number) for number in range(1000))

    assert len(jobs.find([f"id{number}" for number in range(1000)])) == 1000


def test_rows_of_other_services_stay_as_they_are(jobs: JobList) -> None:
    foreign = {**dict.fromkeys(COLUMNS, ""), "id": "https://ce:443/arex/1", "managementinterfacename": "x.rest"}
    jobs.add([foreign])

    jobs.add([row(1)])
    jobs.remove(["file:///SESSIONDIR/id1"])

    assert jobs.all() == [foreign]


def test_a_job_is_listed_once(jobs: JobList) -> None:
    jobs.add([row(1, "old"), row(1, "new")])

    assert [one["name"] for one in jobs.all()] == ["new"]


def test_no_list_is_an_empty_list(jobs: JobList) -> None:
    jobs.remove(["x"])
    jobs.clear()

    assert (jobs.all(), jobs.find(["x"]), jobs.path.exists()) == ([], [], False)


def test_writers_at_the_same_time_lose_nothing(jobs: JobList) -> None:
    def add(first: int) -> None:
        for number in range(first, first + 10):
            JobList(jobs.path).add([row(number)])

    threads = [threading.Thread(target=add, args=(start * 10,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(jobs.all()) == 40


def test_a_file_that_is_no_list_is_told(jobs: JobList) -> None:
    jobs.path.parent.mkdir()
    jobs.path.write_bytes(b"not a database, but long enough to be looked at" * 30)

    with pytest.raises(JobListError, match=r"jobs\.dat can't be used: .*; 'arcsync -T' moves the file aside"):
        jobs.all()


def test_hostile_names_are_only_names(jobs: JobList) -> None:
    name = "'; DROP TABLE jobs; --\n\x1b[2J"
    jobs.add([row(1, name)])

    assert [one["name"] for one in jobs.find([name])] == [name]


def test_bytes_that_are_not_utf_8_are_kept(jobs: JobList) -> None:
    name = os.fsdecode(b"j\xfcx")
    jobs.add([row(1, name), row(2)])
    with contextlib.closing(sqlite3.connect(jobs.path)) as db:
        [(stored, kind)] = db.execute("SELECT CAST(name AS BLOB), typeof(name) FROM jobs WHERE idfromendpoint='id1'")

    assert (b"j\xfcx", "text") == (stored, kind)
    assert [name] == [one["name"] for one in jobs.find([name])]
    assert ([], []) == (jobs.find([os.fsdecode(b"\xff")]), jobs.find(["\ud800"]))
    jobs.remove([os.fsdecode(b"\xff")])
    assert 2 == len(jobs.all())


def test_the_list_lies_where_arc_has_it() -> None:
    assert default_path({"HOME": "/home/user1"}) == Path("/home/user1/.arc/jobs.dat")


def test_brief_rows_have_what_identifies_jobs_in_the_same_order(jobs: JobList) -> None:
    jobs.add([row(1), row(2, "other")])

    brief = jobs.brief()

    assert [{name: whole[name] for name in brief[0]} for whole in jobs.all()] == brief
    assert {"id", "idfromendpoint", "name", "managementinterfacename"} == set(brief[0])
