"""What sessions take, and when that is too much."""

from __future__ import annotations

import os
from pathlib import Path

from arex.config.service import ServiceBlock
from arex.gm.session_usage import MB, Taken, crowded, over, session_names, shortage, taken_by
from arex.model.ids import JobId

JOB = JobId("abc")


def session(root: Path, size: int = 0) -> Path:
    path = root / JOB
    path.mkdir(parents=True)
    if size:
        (path / "data").write_bytes(b"x" * size)
    return path


def test_space_is_what_the_disk_gives_and_entries_include_the_directory(tmp_path: Path) -> None:
    session(tmp_path, 3 * MB)

    taken = taken_by(tmp_path, JOB)

    assert 3 * MB <= taken.size < 3 * MB + 64 * 1024
    assert 2 == taken.inodes


def test_a_sparse_file_takes_what_it_has_and_two_names_are_one_file(tmp_path: Path) -> None:
    path = session(tmp_path, MB)
    os.link(path / "data", path / "again")
    os.truncate(os.open(path / "hole", os.O_CREAT | os.O_WRONLY), 1 << 30)

    taken = taken_by(tmp_path, JOB)

    assert MB <= taken.size < 2 * MB
    assert 4 == taken.inodes


def test_what_lies_beside_counts_and_links_lead_nowhere(tmp_path: Path) -> None:
    path = session(tmp_path)
    (path / "root").symlink_to("/")
    (tmp_path / f"{JOB}.staging").mkdir()
    (tmp_path / f"{JOB}.staging" / "x.part").write_bytes(b"x" * MB)

    taken = taken_by(tmp_path, JOB)

    assert 4 == taken.inodes
    assert MB <= taken.size < 2 * MB


def test_a_job_without_a_session_takes_nothing(tmp_path: Path) -> None:
    assert Taken() == taken_by(tmp_path, JOB)


def test_only_sessions_are_listed(tmp_path: Path) -> None:
    session(tmp_path)
    for name in (f"{JOB}.lrms", ".arex"):
        (tmp_path / name).mkdir()
    (tmp_path / f"{JOB}x").touch()

    assert [JOB] == list(session_names(tmp_path))
    assert [] == list(session_names(tmp_path / "absent"))


def test_limits_say_both_numbers() -> None:
    limits = ServiceBlock(session_quota=2, session_inodes=10)

    assert "" == over(Taken(2 * MB, 10), limits)
    assert "The session directory takes 3 MB; this service allows 2 MB per job" == over(Taken(2 * MB + 1, 1), limits)
    assert "has 11 files and directories; this service allows 10 per job" in over(Taken(1, 11), limits)
    assert "" == over(Taken(1 << 50, 1 << 30), ServiceBlock())


def test_a_file_system_without_room_is_told(tmp_path: Path) -> None:
    assert "" == shortage(tmp_path, ServiceBlock())
    assert "" == shortage(tmp_path, ServiceBlock(root_free=1, root_inodes=1))
    assert f"{tmp_path} has" in shortage(tmp_path, ServiceBlock(root_free=1 << 40))
    assert "inodes left" in shortage(tmp_path, ServiceBlock(root_inodes=1 << 60))


def test_an_owner_and_a_root_have_their_share() -> None:
    limits = ServiceBlock(owner_quota=2, root_quota=3)

    assert "" == crowded("/CN=a", Taken(2 * MB), Path("/s"), Taken(3 * MB), limits)
    assert "/CN=a take 3 MB, more than the 2 MB" in crowded("/CN=a", Taken(3 * MB), Path("/s"), Taken(), limits)
    assert "All jobs in /s take 4 MB" in crowded("/CN=a", Taken(), Path("/s"), Taken(4 * MB), limits)
