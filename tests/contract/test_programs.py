"""What the port promises when the programs of a batch system fail, lie, hang, or take many jobs at once."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from arex.errors import BatchUnavailable, SubmitLimited, SubmitRejected
from arex.model.ids import LocalId, Tag
from arex.model.report import EndCause, Phase
from arex.ports import Submission
from lrms.command import arrays
from lrms.command.backend import CommandBackend
from lrms.command.dialect import Work
from tests.contract.programs import ProgramWorld
from tests.contract.table import WORLDS, chosen
from tests.contract.worlds import end_of, local_job, reaches, started, submitted

#: Faults after which no one knows whether the job was taken; those in the second were.
BEFORE: Final = ("fail-before", "hang")
AFTER: Final = ("fail-after", "hang-after", "garbage")

pytestmark = pytest.mark.timeout(300)


#: Worlds that differ from another one in what the first suite sees.
_LIKE_ANOTHER: Final = {"fake-slurm-alone", "fake-slurm-23"}


@pytest.fixture(
    params=[name for name in chosen() if issubclass(WORLDS[name], ProgramWorld) and name not in _LIKE_ANOTHER]
)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ProgramWorld]:
    world = WORLDS[request.param](tmp_path)
    assert isinstance(world, ProgramWorld)
    yield world
    await world.clean_up()


@pytest.fixture
async def backend(world: ProgramWorld) -> AsyncIterator[CommandBackend]:
    async with started(world.backend()) as backend:
        yield backend


@pytest.fixture
async def impatient(world: ProgramWorld) -> AsyncIterator[CommandBackend]:
    """Another daemon for commands that may hang: any command may take it too long."""
    async with started(world.backend(timeout_s=3.0)) as backend:
        yield backend


async def settled(backend: CommandBackend, batch: list[Submission], attempts: int = 40) -> dict[Tag, LocalId]:
    """As the grid manager does it: submit, and look up what is unsure before submitting again."""
    found: dict[Tag, LocalId] = {}
    for attempt in range(attempts):
        left = [each for each in batch if each.tag not in found]
        try:
            if attempt:
                found |= await backend.find(left)
            left = [each for each in batch if each.tag not in found]
            if not left:
                return found
            answers = await backend.submit(left)
            found |= {tag: answer for tag, answer in answers.items() if isinstance(answer, str)}
        except BatchUnavailable:
            await asyncio.sleep(0.1)
    raise AssertionError(f"{len(batch) - len(found)} jobs are not settled")


@pytest.mark.parametrize("kind", [*BEFORE, *AFTER])
async def test_a_doubtful_submission_runs_once(
    world: ProgramWorld, backend: CommandBackend, impatient: CommandBackend, kind: str
) -> None:
    submission = world.submission()
    world.fault(world.submit_command, kind)

    found = await settled(impatient, [submission])
    report = await end_of(backend, local_job(submission, found[submission.tag]), world.patience_s)

    assert (0, EndCause.EXIT_CODE) == (report.exit_code, report.cause)
    assert world.runs(submission) == 1


@pytest.mark.parametrize("kind", [*BEFORE, *AFTER])
async def test_a_doubtful_array_runs_each_child_once(
    world: ProgramWorld, backend: CommandBackend, impatient: CommandBackend, kind: str
) -> None:
    batch = [world.submission() for _ in range(6)]
    world.fault(world.submit_command, kind)

    found = await settled(impatient, batch)
    for each in batch:
        await end_of(backend, local_job(each, found[each.tag]), world.patience_s)

    assert [1] * len(batch) == [world.runs(each) for each in batch]
    assert len(batch) == len(set(found.values()))


async def test_an_array_without_room_on_disk_is_submitted_later(
    world: ProgramWorld, backend: CommandBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = [world.submission() for _ in range(3)]
    lay_out = arrays.lay_out
    failures = iter([OSError(errno.ENOSPC, "No space left on device")])

    def on_a_full_disk(*args: Any) -> Work:
        for failure in failures:
            raise failure
        return lay_out(*args)

    monkeypatch.setattr(arrays, "lay_out", on_a_full_disk)
    found = await settled(backend, batch)
    for each in batch:
        await end_of(backend, local_job(each, found[each.tag]), world.patience_s)

    assert [1] * len(batch) == [world.runs(each) for each in batch]


async def test_a_lost_answer_is_found_by_its_tag(world: ProgramWorld, backend: CommandBackend) -> None:
    """While the job waits or runs, and after it has ended."""
    submission = world.submission("wait")
    world.fault(world.submit_command, "fail-after")
    with pytest.raises(BatchUnavailable):
        await backend.submit([submission])

    found = await backend.find([submission])
    job = local_job(submission, found[submission.tag])
    await backend.cancel([job])
    await end_of(backend, job, world.patience_s)

    assert (await backend.find([submission])).get(submission.tag, job.localid) == job.localid


@pytest.mark.parametrize("kind", ["fail-before", "hang", "garbage", "truncate", "down"])
async def test_a_scan_that_fails_says_nothing_about_any_job(
    world: ProgramWorld, backend: CommandBackend, impatient: CommandBackend, kind: str
) -> None:
    """It is no answer, or one in which the job is not gone."""
    job = await submitted(backend, world.submission("wait"))
    await reaches(backend, job, Phase.RUNNING, world.patience_s)
    world.fault("*", kind, "always")

    try:
        reports = await impatient.status([job])
    except BatchUnavailable:
        reports = {}
    finally:
        world.mend()

    assert all(report.phase is not Phase.ENDED for report in reports.values())
    await reaches(backend, job, Phase.RUNNING, world.patience_s)


async def test_a_late_answer_is_an_answer(world: ProgramWorld, backend: CommandBackend) -> None:
    submission = world.submission()
    world.fault(world.submit_command, "late" if "real" in world.kinds else "late 1")

    job = await submitted(backend, submission)
    await end_of(backend, job, world.patience_s)

    assert world.runs(submission) == 1


async def test_many_jobs_of_one_shape_are_one_call(world: ProgramWorld, backend: CommandBackend) -> None:
    batch = [world.submission("exit 3") for _ in range(12)]

    answers = await backend.submit(batch)
    jobs = [local_job(each, LocalId(str(answers[each.tag]))) for each in batch]
    reports = [await end_of(backend, job, world.patience_s) for job in jobs]

    assert world.calls()[world.submit_command] == 1
    assert len(jobs) == len({job.localid for job in jobs})
    assert [3] * len(jobs) == [report.exit_code for report in reports]


async def test_jobs_of_other_shapes_go_by_themselves(world: ProgramWorld, backend: CommandBackend) -> None:
    batch = [world.submission(), world.submission(), world.submission(count=2), world.submission(walltime_s=600)]

    answers = await backend.submit(batch)
    for each in batch:
        await end_of(backend, local_job(each, LocalId(str(answers[each.tag]))), world.patience_s)

    assert world.calls()[world.submit_command] == 3


async def test_children_of_an_array_keep_their_own_files_and_ends(world: ProgramWorld, backend: CommandBackend) -> None:
    batch = [world.submission(script=f"echo child {n}; exit {n}") for n in range(3)]

    answers = await backend.submit(batch)
    jobs = [local_job(each, LocalId(str(answers[each.tag]))) for each in batch]
    reports = [await end_of(backend, job, world.patience_s) for job in jobs]

    assert [0, 1, 2] == [report.exit_code for report in reports]
    assert ["child 0\n", "child 1\n", "child 2\n"] == [(each.grami.directory / "out.txt").read_text() for each in batch]


async def test_one_child_of_an_array_is_cancelled_and_the_others_go_on(
    world: ProgramWorld, backend: CommandBackend
) -> None:
    batch = [world.submission("wait") for _ in range(3)]
    answers = await backend.submit(batch)
    jobs = [local_job(each, LocalId(str(answers[each.tag]))) for each in batch]
    for job in jobs:
        await reaches(backend, job, Phase.RUNNING, world.patience_s)

    assert await backend.cancel(jobs[1:2]) == {}
    report = await end_of(backend, jobs[1], world.patience_s)
    others = await backend.status([jobs[0], jobs[2]])

    assert report.cause == EndCause.CANCELLED
    assert [Phase.RUNNING] * 2 == [report.phase for report in others.values()]


async def test_a_held_job_does_not_start_until_it_is_released(world: ProgramWorld, backend: CommandBackend) -> None:
    """The queue is full of jobs that wait for a time to come, so that this one is still queued."""
    later = await submitted(backend, world.later())

    assert await backend.hold([later]) == {}
    held = await reaches(backend, later, Phase.HELD, world.patience_s)
    assert await backend.release([later]) == {}
    await reaches(backend, later, Phase.QUEUED, world.patience_s)

    assert held.phase is Phase.HELD


async def test_a_queued_job_is_cancelled_without_having_run(world: ProgramWorld, backend: CommandBackend) -> None:
    submission = world.later()
    job = await submitted(backend, submission)

    assert await backend.cancel([job]) == {}
    report = await end_of(backend, job, world.patience_s)

    assert report.cause == EndCause.CANCELLED
    assert world.runs(submission) == 0
    assert (submission.rundir / "started").exists(), "a late copy could still start"


async def test_a_queued_child_of_an_array_is_cancelled_alone(world: ProgramWorld, backend: CommandBackend) -> None:
    """SLURM forgets such a child at once; its end is known all the same."""
    batch = [world.later() for _ in range(3)]
    answers = await backend.submit(batch)
    jobs = [local_job(each, LocalId(str(answers[each.tag]))) for each in batch]

    assert await backend.cancel(jobs[:1]) == {}
    report = await end_of(backend, jobs[0], world.patience_s)
    others = await backend.status(jobs[1:])

    assert report.cause == EndCause.CANCELLED
    assert [Phase.QUEUED] * 2 == [report.phase for report in others.values()]


async def test_a_limit_is_told_as_a_limit_and_nothing_is_taken(world: ProgramWorld, backend: CommandBackend) -> None:
    batch = [world.submission() for _ in range(4)]
    world.full()

    answers = await backend.submit(batch)

    assert [SubmitLimited] * len(batch) == [type(answers[each.tag]) for each in batch]
    world.mend()
    assert await backend.find(batch) == {}


async def test_a_refusal_for_good_is_told_with_the_words_of_the_batch_system(
    world: ProgramWorld, backend: CommandBackend
) -> None:
    submission = world.hopeless()

    answer = (await backend.submit([submission]))[submission.tag]

    assert isinstance(answer, SubmitRejected), answer
    assert str(answer)


@pytest.mark.parametrize("name", ["a b", "semi;colon", "$(touch /tmp/x)", "new\nline", "'quote\"", "#SBATCH -H", ""])
async def test_a_hostile_name_is_a_name(world: ProgramWorld, backend: CommandBackend, name: str) -> None:
    submission = world.submission()
    named = replace(submission, grami=replace(submission.grami, jobname=name))

    job = await submitted(backend, named)
    report = await end_of(backend, job, world.patience_s)

    assert (0, 1) == (report.exit_code, world.runs(submission))


async def test_asking_costs_one_call_however_many_jobs_there_are(world: ProgramWorld, backend: CommandBackend) -> None:
    batch = [world.submission("wait") for _ in range(10)]
    answers = await backend.submit(batch)
    jobs = [local_job(each, LocalId(str(answers[each.tag]))) for each in batch]
    before = sum(world.calls().values())

    await backend.status(jobs)

    assert before + 1 == sum(world.calls().values())
