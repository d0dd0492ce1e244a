"""Reading states: entries about other jobs do not count, and ids have their cluster everywhere."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from arex.errors import BatchUnavailable
from arex.model.report import EndCause, Phase, lrms_done
from lrms.command.dialect import Seen
from lrms.command.verdict import is_about
from lrms.slurm import answers
from tests.unit.lrms.command.canned import SUBMITTED, Canned
from tests.unit.lrms.slurm.speech import line

pytestmark = pytest.mark.usefixtures("utc")
END: Final = SUBMITTED + timedelta(minutes=5)


@pytest.fixture
def canned(tmp_path: Path) -> Canned:
    return Canned(tmp_path)


def record(localid: str = "12", end: str = "2026-11-20T10:05:00") -> str:
    return f"{localid}|COMPLETED|0:0|2026-11-20T10:00:00|{end}|n9|None\n"


@pytest.mark.parametrize("end", ["2019-01-01T10:05:00", "2026-11-20T09:50:00"])
async def test_an_old_record_of_the_same_number_is_not_about_the_job(canned: Canned, end: str) -> None:
    canned.says("sacct", record(end=end))
    backend, job = canned.backend(), canned.started("job1", "12", mark="12")

    first = await backend.status([job])
    canned.clock.advance(timedelta(minutes=3))
    second = await backend.status([job])

    assert {} == first
    assert (Phase.ENDED, EndCause.LOST) == (second[job.localid].phase, second[job.localid].cause)
    assert -1 == lrms_done(second[job.localid])[0]


async def test_a_record_that_ended_later_is_about_the_job(canned: Canned) -> None:
    canned.says("sacct", record())
    backend, job = canned.backend(), canned.started("job1", "12", mark="12")

    await backend.status([job])
    canned.clock.advance(timedelta(minutes=3))

    assert EndCause.EXIT_CODE is (await backend.status([job]))[job.localid].cause


async def test_a_listed_job_with_the_tag_of_another_attempt_is_another_job(canned: Canned) -> None:
    """The batch system has begun to count anew."""
    canned.says("squeue", line(id="12", comment="other-01234567"))
    backend, job = canned.backend(), canned.started("job1", "12")

    assert {} == await backend.status([job])


async def test_a_comment_that_someone_has_changed_does_not_make_it_another_job(canned: Canned) -> None:
    canned.says("squeue", line(id="12", comment="please be quick"))
    backend, job = canned.backend(), canned.started("job1", "12")

    assert Phase.RUNNING is (await backend.status([job]))[job.localid].phase


async def test_a_running_job_of_another_cluster_is_cancelled_once_and_there(canned: Canned) -> None:
    """Its script knows its number only, if an earlier version of arex has written it."""
    backend, job = canned.backend(clusters="north"), canned.started("job1", "20@north", mark="20")

    assert {} == await backend.cancel([job])
    assert ["--clusters=north 20"] == canned.calls("scancel")


async def test_the_end_of_a_job_of_another_cluster_is_found(canned: Canned) -> None:
    canned.says("squeue", "CLUSTER: north\n" + line(id="20", state="NODE_FAIL", reason="NodeDown", cluster="north"))
    backend, job = canned.backend(clusters="north", accounting=False), canned.started("job1", "20@north", mark="20")

    await backend.status([job])
    canned.clock.advance(timedelta(minutes=3))
    report = (await backend.status([job]))[job.localid]

    assert EndCause.NODE_FAILURE is report.cause
    assert "Node fail: node failure" in lrms_done(report)[1]


async def test_the_accounting_is_asked_on_the_cluster_of_the_job(canned: Canned) -> None:
    canned.says("sacct", record("20"))
    backend, job = canned.backend(clusters="north,south"), canned.started("job1", "20@south", mark="20@south")

    await backend.status([job])
    canned.clock.advance(timedelta(minutes=3))

    assert EndCause.EXIT_CODE is (await backend.status([job]))[job.localid].cause
    assert all("--clusters=south" in call for call in canned.calls("sacct"))


async def test_a_mark_without_a_cluster_is_found_on_the_only_one(canned: Canned) -> None:
    canned.started("job1", "", mark="20")
    submission = canned.submission("job1")

    assert {submission.tag: "20@north"} == await canned.backend(clusters="north").find([submission])


async def test_a_fault_in_parsing_one_entry_does_not_matter_to_the_others(
    canned: Canned, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    listed = answers.listed

    def faulty(fields: dict[str, str]) -> object:
        if fields["JobArrayID"] == "12":
            raise ZeroDivisionError("a fault of arex")
        return listed(fields)

    monkeypatch.setattr(answers, "listed", faulty)
    canned.says("squeue", line(id="12") + line(id="13"))
    backend, jobs = canned.backend(), [canned.started("job1", "12"), canned.started("job2", "13")]

    answers_given = [await backend.status(jobs) for _ in range(3)]

    assert [Phase.OTHER, Phase.RUNNING] == [answers_given[-1][job.localid].phase for job in jobs]
    assert 1 == sum("a fault of arex" in each.getMessage() for each in caplog.records)


async def test_a_fault_in_parsing_an_answer_is_no_answer(
    canned: Canned, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty(_: str) -> None:
        raise RecursionError("deep")

    monkeypatch.setattr(answers, "entries", faulty)
    backend, job = canned.backend(), canned.started("job1", "12")

    with pytest.raises(BatchUnavailable), caplog.at_level(logging.ERROR):
        await backend.status([job])
    assert "RecursionError" in caplog.text


async def test_files_that_cannot_be_read_are_no_answer(canned: Canned, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("lrms.command.arrays.memberships", faulty)

    with pytest.raises(BatchUnavailable, match="Input/output error"):
        await canned.backend().find([canned.submission()])


# --- whether an entry is about the job --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "ended", "about"),
    [
        ("", None, True),
        ("job1-0badcafe", END, True),
        ("arex-0123456789abcdef", END, True),
        ("a text of the owner", END, True),
        ("job2-0badcafe", END, False),
        ("job1-0badcafe", SUBMITTED - timedelta(minutes=6), False),
        ("", SUBMITTED - timedelta(minutes=6), False),
        ("", SUBMITTED - timedelta(minutes=4), True),
    ],
)
def test_an_entry_is_about_an_attempt_if_tag_and_time_fit(tag: str, ended: datetime | None, about: bool) -> None:
    seen = Seen(phase=Phase.ENDED, word="COMPLETED", tag=tag, ended=ended)

    assert about is is_about(seen, "job1-0badcafe", SUBMITTED)


def test_without_a_tag_and_a_time_of_its_own_any_entry_is_about_a_job() -> None:
    """Another service has submitted it."""
    assert is_about(Seen(phase=Phase.ENDED, word="COMPLETED", tag="job2-0badcafe", ended=END), None)
    assert not is_about(None, None)
