"""A real SLURM with jobs of others in its queue, rules of the site, and a controller that is away."""

from __future__ import annotations

import os
import pwd
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from arex.errors import BatchUnavailable, SubmitRejected
from arex.model.report import EndCause, Phase
from arex.ports import NotSubmitted
from lrms.command.backend import CommandBackend
from tests.clusters.site import ACCOUNT, Cluster
from tests.contract.programs import SlurmWorld
from tests.contract.worlds import cleaned_up, end_of, local_job, reaches, submitted
from tests.unit.lrms.slurm.speech import line

#: Up to what SLURM takes as a comment.
COMMENTS: Final = (
    "plot A|plot B",
    "one\ntwo|three\n\n",
    "'\"`$x`\\",
    "\t\v\f\r",
    "ü\u2028" * 100,
    "x" * 1000,
    "1|1|N/A|COMPLETED|0|None|n1|N/A|N/A|arex|x|\n" * 5,
)


@pytest.fixture
async def world(slurm: Cluster, tmp_path: Path) -> AsyncIterator[SlurmWorld]:
    assert slurm.setting("JobSubmitPlugins") == "lua", "start it with SLURM_JOB_SUBMIT=lua"
    async with cleaned_up(SlurmWorld(tmp_path)) as world:
        yield world


def sbatch(comment: str, user: str) -> str:
    words = ["sbatch", "--parsable", f"--comment={comment}", "--output=/dev/null", "--wrap=sleep 600"]
    who = pwd.getpwnam(user)
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd="/", user=who.pw_uid, group=who.pw_gid)
    return done.stdout.strip()


@pytest.fixture
def others(slurm: Cluster) -> Iterator[list[str]]:
    ids = [sbatch(comment, user) for comment in COMMENTS for user in ("root", ACCOUNT)]
    yield ids
    slurm.run("scancel", *ids)


async def test_comments_of_other_jobs_spoil_nothing(
    world: SlurmWorld, backend: CommandBackend, others: list[str]
) -> None:
    job = await submitted(backend, submission := world.submission("wait"))
    others.append(sbatch(f"\n{line(id=job.localid, state='COMPLETED')}"[:1000], "root"))
    others.append(sbatch(f"\n{job.localid}|{job.localid}|N/A|COMPLETED|0|None|n1|N/A|N/A|arex|x|\n", "root"))

    await reaches(backend, job, Phase.RUNNING, world.patience_s)
    assert {submission.tag: job.localid} == await backend.find([submission])
    assert {job.localid: job.job} == await backend.tagged()
    await backend.cancel([job])
    assert EndCause.CANCELLED is (await end_of(backend, job, world.patience_s)).cause


async def test_a_refusal_of_job_submit_lua_fails_its_job_only(world: SlurmWorld, backend: CommandBackend) -> None:
    # two slots: jobs of one shape would be an array, with the beginning of their names as its name
    unwanted, other = world.submission(jobname="unwanted", count=2), world.submission()

    first = await backend.submit([unwanted, other])
    answers = [first, *[await backend.submit([unwanted]) for _ in range(2)]]

    assert isinstance(first[other.tag], str)
    assert [NotSubmitted, NotSubmitted, SubmitRejected] == [type(each[unwanted.tag]) for each in answers]
    assert "Say how long your job runs, please." in str(answers[-1][unwanted.tag])


@pytest.mark.parametrize("server", ["", "127.0.0.1:1"])
async def test_a_configless_controller_that_is_away_is_no_refusal(
    world: SlurmWorld, backend: CommandBackend, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    """The client has no configuration then, and says so in words about unknown hosts."""
    submission = world.submission()
    with monkeypatch.context() as patched:
        patched.delenv("SLURM_CONF")
        if server:
            patched.setenv("SLURM_CONF_SERVER", server)
        for _ in range(4):
            with pytest.raises(BatchUnavailable):
                await backend.submit([submission])
        with pytest.raises(BatchUnavailable):
            await backend.find([submission])

    assert {} == await backend.find([submission])
    await end_of(backend, await submitted(backend, submission), world.patience_s)


async def test_carriage_returns_in_values_are_no_reason_to_refuse_a_job(
    world: SlurmWorld, backend: CommandBackend
) -> None:
    submission = world.submission(environment=(("NOTE", "a\r\nb\r\n"),), args=("/usr/bin/printenv", "NOTE"))

    report = await end_of(backend, await submitted(backend, submission), world.patience_s)

    assert 0 == report.exit_code
    assert b"a\r\nb\r\n\n" == (submission.grami.directory / "out.txt").read_bytes()


async def test_a_script_with_windows_line_ends_ends_at_once(world: SlurmWorld, backend: CommandBackend) -> None:
    submission = world.submission()
    (submission.grami.directory / "program").write_text("#!/bin/bash\necho hello\n", newline="\r\n")

    report = await end_of(backend, await submitted(backend, submission), world.patience_s)

    assert (EndCause.NEVER_STARTED, None) == (report.cause, report.exit_code)
    assert "/bin/bash^M: not found" in report.message


async def test_a_limit_that_rounds_to_nothing_is_a_minute(
    world: SlurmWorld, backend: CommandBackend, slurm: Cluster
) -> None:
    job = await submitted(backend, world.submission("wait", cputime_s=1, count=4))

    assert "00:01:00" == slurm.shows(job.localid)["TimeLimit"]
    await backend.cancel([job])
    await end_of(backend, job, world.patience_s)


async def test_a_start_in_the_hour_that_occurs_twice_is_exact(
    world: SlurmWorld, backend: CommandBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of summer time in a coming year, in the time zone of the client."""
    year = datetime.now(UTC).year + 1
    days = [datetime(year, 10, day, 0, 30, tzinfo=UTC) for day in range(25, 32)]
    [first] = [day for day in days if day.weekday() == 6]
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    jobs = [
        await submitted(backend, world.submission("wait", starttime=when))
        for when in (first, first.replace(hour=1), first.replace(hour=2))
    ]
    monkeypatch.undo()
    time.tzset()
    words = ["squeue", "-h", "-o", "%S", "-j", ",".join(job.localid for job in jobs), "-S", "i"]
    done = subprocess.run(
        words, env={**os.environ, "SLURM_TIME_FORMAT": "%s"}, capture_output=True, text=True, check=True
    )

    assert [int(first.timestamp()) + 3600 * n for n in range(3)] == [int(each) for each in done.stdout.split()]
    await backend.cancel(jobs)


async def test_nothing_in_a_path_is_expanded(slurm: Cluster, tmp_path: Path) -> None:
    del slurm
    root = tmp_path / "100%u %j%%a"
    root.mkdir()
    world = SlurmWorld(root)
    backend = world.backend()
    await backend.start()
    batch = [world.submission(script="echo said >&2; exit 0") for _ in range(3)]

    answers = await backend.submit(batch)
    for each in batch:
        job = answers[each.tag]
        assert isinstance(job, str)
        assert 0 == (await end_of(backend, local_job(each, job), world.patience_s)).exit_code
        assert each.comment.exists()
    assert ["100%u %j%%a"] == [path.name for path in tmp_path.iterdir()]
    await backend.close()
