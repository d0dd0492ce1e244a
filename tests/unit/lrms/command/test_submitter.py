"""What becomes of a submission: refusals in the words of a site, a batch system that is away, a full disk."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Final

import pytest

from arex.errors import BatchUnavailable, SubmitLimited, SubmitRejected
from arex.ports import NotSubmitted
from lrms.command import arrays, submitter
from lrms.command.dialect import Work
from tests.unit.lrms.command.canned import Canned
from tests.unit.lrms.slurm.speech import line

REFUSAL: Final = (
    "sbatch: error: Say how long your job runs, please.\n"
    "sbatch: error: Batch job submission failed: Unspecified error\n"
)
CONFIGLESS: Final = (
    "sbatch: error: resolve_ctls_from_dns_srv: res_nsearch error: Unknown host\n"
    "sbatch: error: fetch_config: DNS SRV lookup failed\n"
    "sbatch: error: _establish_config_source: failed to fetch config\n"
    "sbatch: fatal: Could not establish a configuration source\n"
)


@pytest.fixture
def canned(tmp_path: Path) -> Canned:
    return Canned(tmp_path)


async def test_a_refusal_in_the_words_of_a_site_fails_the_job_after_a_few_tries(canned: Canned) -> None:
    canned.says("sbatch", err=REFUSAL, code=1)
    backend, job = canned.backend(), canned.submission()

    answers = [(await backend.submit([job]))[job.tag] for _ in range(3)]

    assert [NotSubmitted, NotSubmitted, SubmitRejected] == [type(each) for each in answers]
    assert all("Say how long your job runs, please." in str(each) for each in answers)


async def test_a_refused_job_holds_up_no_other(canned: Canned) -> None:
    canned.does("sbatch", f'case "$*" in *session/bad*) echo "{REFUSAL.splitlines()[0]}" >&2; exit 1 ;; esac; echo 7')
    backend, bad, good = canned.backend(), canned.submission("bad"), canned.submission("good")

    answers = await backend.submit([bad, good])

    assert "7" == answers[good.tag]
    assert isinstance(answers[bad.tag], NotSubmitted)


async def test_a_child_of_a_refused_array_is_tried_alone(canned: Canned) -> None:
    """What the site does not like may be the array, or the name of another child."""
    canned.does("sbatch", 'case "$*" in *--array*) echo "sbatch: error: no arrays here" >&2; exit 1 ;; esac; echo 7')
    backend, jobs = canned.backend(array=True), [canned.submission("a"), canned.submission("b")]

    first = await backend.submit(jobs)
    second = await backend.submit(jobs)

    assert [NotSubmitted, NotSubmitted] == [type(each) for each in first.values()]
    assert {"7"} == set(second.values())


async def test_silence_of_the_server_is_no_refusal(canned: Canned) -> None:
    """Its client says something that no rule knows, and so does a query."""
    canned.says("sbatch", err="sbatch: error: the moon is full\n", code=1)
    canned.says("squeue", err="squeue: error: the moon is full\n", code=1)
    backend, job = canned.backend(), canned.submission()

    for _ in range(5):
        with pytest.raises(BatchUnavailable):
            await backend.submit([job])


@pytest.mark.parametrize("code", [126, 127, 1])
async def test_a_client_that_does_not_run_or_has_no_configuration_is_no_refusal(canned: Canned, code: int) -> None:
    canned.says("sbatch", err=CONFIGLESS if code == 1 else "sbatch: not found\n", code=code)
    backend, job = canned.backend(), canned.submission()

    for _ in range(5):
        with pytest.raises(BatchUnavailable):
            await backend.submit([job])


async def test_a_job_that_was_accepted_in_spite_of_an_error_is_unsure(canned: Canned) -> None:
    backend, job = canned.backend(), canned.submission()
    canned.says("sbatch", err="sbatch: error: the moon is full\n", code=1)
    canned.says("squeue", line(comment=job.tag))

    assert {} == await backend.submit([job])
    assert {job.tag: "7"} == await backend.find([job])


async def test_an_uncertain_job_that_ended_without_its_run_directory_has_run(canned: Canned) -> None:
    """Its payload has removed the start marker. With a run directory, a copy that left no marker never ran."""
    backend, job = canned.backend(), canned.submission()
    canned.says("sbatch", err="sbatch: error: the moon is full\n", code=1)
    canned.says("squeue", line(comment=job.tag, state="COMPLETED"))
    await backend.submit([job])
    with_script = await backend.find([job])
    shutil.rmtree(job.rundir.parent)

    assert {} == with_script
    assert {job.tag: "7"} == await backend.find([job])


async def test_a_limit_and_a_success_are_as_before(canned: Canned) -> None:
    backend, job = canned.backend(), canned.submission()
    canned.says("sbatch", err="sbatch: error: QOSMaxSubmitJobPerUserLimit\nviolates accounting/QOS policy\n", code=1)
    limited = await backend.submit([job])
    canned.says("sbatch", "12\n")

    assert isinstance(limited[job.tag], SubmitLimited)
    assert {job.tag: "12"} == await backend.submit([job])


async def test_a_full_disk_is_certainly_no_submission(canned: Canned, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says why, and no command is run."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    backend, job = canned.backend(), canned.submission()
    monkeypatch.setattr(submitter, "lay_out", full)

    answers = await backend.submit([job])

    assert isinstance(answer := answers[job.tag], NotSubmitted)
    assert "No space left on device" in answer.why
    assert canned.calls("sbatch") == []


async def test_an_array_that_cannot_be_written_is_certainly_no_submission(
    canned: Canned, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    backend, jobs = canned.backend(array=True), [canned.submission("a"), canned.submission("b")]
    monkeypatch.setattr(arrays, "lay_out", full)

    answers = await backend.submit(jobs)

    assert {NotSubmitted} == {type(each) for each in answers.values()}
    assert canned.calls("sbatch") == []


async def test_a_text_that_no_file_can_hold_fails_its_job_only(canned: Canned) -> None:
    canned.says("sbatch", "12\n")
    bad, good = canned.submission("bad", environment=(("A", "\ud800"),)), canned.submission("good")

    answers = await canned.backend().submit([bad, good])

    assert isinstance(answers[bad.tag], SubmitRejected)
    assert "12" == answers[good.tag]


async def test_a_fault_of_arex_in_one_submission_is_no_answer_about_it_only(
    canned: Canned, monkeypatch: pytest.MonkeyPatch
) -> None:
    canned.says("sbatch", "12\n")
    backend = canned.backend()
    child = submitter._child

    def faulty(dialect: object, root: object, work: Work, index: int) -> object:
        if work.first.job == "bad":
            raise RecursionError("deep")
        return child(dialect, root, work, index)  # type: ignore[arg-type]

    monkeypatch.setattr(submitter, "_child", faulty)
    bad, good = canned.submission("bad"), canned.submission("good")

    assert {good.tag: "12"} == await backend.submit([bad, good])
