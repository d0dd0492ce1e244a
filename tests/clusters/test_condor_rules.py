"""A real HTCondor with a rule of the site, with strange texts in its queue, and without its schedd; as its account."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from arex.errors import BatchUnavailable, SubmitRejected
from arex.model.report import Phase
from arex.ports import NotSubmitted
from lrms.command.backend import CommandBackend
from tests.contract.clusters_worlds import CondorWorld
from tests.contract.worlds import cleaned_up, end_of, reaches, submitted


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[CondorWorld]:
    async with cleaned_up(CondorWorld(tmp_path)) as world:
        yield world


async def test_a_refusal_of_a_submit_requirement_fails_its_job_only(
    world: CondorWorld, backend: CommandBackend
) -> None:
    # with a limit: jobs of one shape would be a cluster, with the beginning of their names as its name
    unwanted, other = world.submission(jobname="unwanted", walltime_s=900), world.submission(jobname="other")

    answers = [await backend.submit([unwanted, other]), *[await backend.submit([unwanted]) for _ in range(2)]]
    last = next(each for each in (answer[unwanted.tag] for answer in answers) if not isinstance(each, NotSubmitted))

    assert isinstance(answers[0][other.tag], str)
    assert isinstance(last, SubmitRejected)
    assert "Say how long your job runs, please." in str(last)


async def test_a_schedd_that_is_away_is_no_refusal(
    world: CondorWorld, backend: CommandBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = world.submission()
    with monkeypatch.context() as patched:
        patched.setenv("_CONDOR_SCHEDD_ADDRESS_FILE", "/nonexistent")
        patched.setenv("_CONDOR_SCHEDD_DAEMON_AD_FILE", "/nonexistent")
        patched.setenv("_CONDOR_SCHEDD_HOST", "nowhere")
        patched.setenv("_CONDOR_COLLECTOR_HOST", "127.0.0.1:1")
        for _ in range(4):
            with pytest.raises(BatchUnavailable):
                await backend.submit([submission])
        with pytest.raises(BatchUnavailable):
            await backend.find([submission])

    await end_of(backend, await submitted(backend, submission), world.patience_s)


async def test_texts_of_other_jobs_spoil_nothing(world: CondorWorld, backend: CommandBackend) -> None:
    for text in ("a<b", "a&b", "</s></a></c>", "ü" * 100, "x" * 10_000, "'`$x`|\\\\n"):
        lines = f'executable = /bin/sleep\narguments = 600\ntransfer_executable = false\nMy.ArexTag = "{text}"\nqueue\n'
        subprocess.run(["condor_submit"], input=lines.encode(), capture_output=True, check=True, cwd=world.root)
    job = await submitted(backend, submission := world.submission("wait"))

    await reaches(backend, job, Phase.RUNNING, world.patience_s)
    assert {submission.tag: job.localid} == await backend.find([submission])
    subprocess.run(["condor_rm", "-all"], capture_output=True, check=True)
    await end_of(backend, job, world.patience_s)
