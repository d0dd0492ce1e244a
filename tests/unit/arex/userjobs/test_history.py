from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arex.userjobs import history
from arex.userjobs.history import JobHistory, JobHistoryError, PastJob, path_beside

NOW = datetime(2026, 11, 20, 8, 49, tzinfo=UTC)


def past(number: int, name: str = "sim", **more: str) -> PastJob:
    return PastJob(
        id=f"job{number}abcdef", name=name, value={"state": "Finished"}, action="fetched",
        at=NOW + timedelta(seconds=number), **more,
    )  # fmt: skip


@pytest.fixture
def jobs(tmp_path: Path) -> JobHistory:
    return JobHistory(path_beside(tmp_path / ".arc" / "jobs.dat"))


def test_jobs_are_found_by_id_name_url_and_beginning(jobs: JobHistory) -> None:
    first, second = past(1, results="/r"), past(2)
    jobs.add([first, second])

    assert [first] == jobs.find(first.id) == jobs.find(f"file:///s/{first.id}") == jobs.find("job1a")
    assert [first, second] == jobs.find("sim") == jobs.all()
    assert [] == jobs.find("job") == jobs.find("nosuch")


def test_a_pattern_is_not_a_beginning(jobs: JobHistory) -> None:
    jobs.add([past(1)])

    assert [] == jobs.find("%%%%") == jobs.find("job_1abc") == jobs.find("'; DROP TABLE jobs")


def test_only_the_owner_reads_it(jobs: JobHistory) -> None:
    jobs.add([past(1)])

    assert 0o600 == stat.S_IMODE(jobs.path.stat().st_mode)


def test_the_newest_are_kept(jobs: JobHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "KEPT", 3)
    monkeypatch.setattr(history, "_SLACK", 1)

    for number in range(6):
        jobs.add([past(number)])

    assert 3 <= len(jobs.all()) <= 4
    assert past(5) == jobs.all()[-1]


def test_a_job_that_was_fetched_twice_is_one(jobs: JobHistory) -> None:
    jobs.add([past(1)])
    jobs.add([past(1, results="/again")])

    assert ["/again"] == [job.results for job in jobs.all()]


def test_without_a_file_there_are_no_jobs(jobs: JobHistory) -> None:
    assert [] == jobs.all() == jobs.find("job1abc")
    assert not jobs.path.exists()


def test_a_file_that_is_no_database_is_said_with_its_cure(jobs: JobHistory) -> None:
    jobs.path.parent.mkdir()
    jobs.path.write_text("x" * 2000)

    with pytest.raises(JobHistoryError, match=r"jobs\.dat\.history cannot be used: .*; move it away"):
        jobs.add([past(1)])
