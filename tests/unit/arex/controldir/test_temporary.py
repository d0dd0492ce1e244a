from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from arex.controldir.temporary import (
    WriterProcess,
    directories_below,
    process_exists,
    sweep,
    temporary_name,
    writer_of,
)
from tests.processes import NO_PROCESS

HOST = os.uname().nodename
NOW = 1_800_000_000.0


@pytest.fixture
def alive() -> Iterator[int]:
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    yield process.pid
    process.kill()
    process.communicate()


def make(directory: Path, name: str, age_s: float = 0.0) -> Path:
    path = directory / name
    path.touch()
    os.utime(path, (NOW - age_s, NOW - age_s))
    return path


@pytest.mark.parametrize(
    ("name", "writer"),
    [
        ("job.x.local.~12.3.node1.example.org", WriterProcess(12, "node1.example.org")),
        ("job.x.local.~12.3", WriterProcess(12, "")),
        ("a.~7", WriterProcess(7, "")),
        ("job.x.local", None),
        ("a.~x.1.node1", None),
        ("a.~.1.node1", None),
        ("a.~1²", None),
    ],
)
def test_the_name_of_a_temporary_file_contains_its_writer(name: str, writer: WriterProcess | None) -> None:
    assert writer == writer_of(name)


def test_each_name_is_new_and_contains_this_process() -> None:
    names = {temporary_name("/ctl/job.x.local") for _ in range(3)}

    assert 3 == len(names)
    assert {WriterProcess(os.getpid(), HOST)} == {writer_of(Path(name).name) for name in names}


@pytest.mark.parametrize(("pid", "exists"), [(1, True), (10**12, False), (10**30, False)])
def test_a_pid_that_no_process_can_have_is_no_error(pid: int, exists: bool) -> None:
    assert exists is process_exists(pid)


def test_temporary_files_of_dead_processes_of_this_host_are_removed_at_once(tmp_path: Path, alive: int) -> None:
    gone = make(tmp_path, f"job.x.local.~{NO_PROCESS}.1.{HOST}")
    at_work = make(tmp_path, f"job.x.local.~{alive}.1.{HOST}", 60)
    ours = make(tmp_path, Path(temporary_name("job.x.local")).name, 60)
    finished = make(tmp_path, "job.x.local", 5000)

    assert 1 == sweep(tmp_path, NOW)
    assert not gone.exists()
    assert all(path.exists() for path in (at_work, ours, finished))


@pytest.mark.parametrize("tail", ["1.elsewhere.example.org", "1", "2.elsewhere"])
def test_temporary_files_of_other_hosts_are_removed_after_an_hour(tmp_path: Path, tail: str) -> None:
    path = make(tmp_path, f"job.x.local.~{NO_PROCESS}.{tail}", 3500)
    assert 0 == sweep(tmp_path, NOW)
    assert 1 == sweep(tmp_path, NOW + 200)
    assert not path.exists()


def test_a_process_that_stands_still_for_an_hour_loses_its_file(tmp_path: Path, alive: int) -> None:
    """Its pid may also belong to another process by now."""
    make(tmp_path, f"job.x.local.~{alive}.1.{HOST}", 3700)

    assert 1 == sweep(tmp_path, NOW)


def test_links_are_not_followed_below_a_directory(tmp_path: Path) -> None:
    (tmp_path / "jobs" / "abc" / "def").mkdir(parents=True)
    (tmp_path / "precious" / "below").mkdir(parents=True)
    (tmp_path / "jobs" / "link").symlink_to(tmp_path / "precious")

    found = {path.relative_to(tmp_path).as_posix() for path in directories_below(tmp_path / "jobs")}

    assert {"jobs", "jobs/abc", "jobs/abc/def"} == found
    assert [] == list(directories_below(tmp_path / "missing"))
