"""What the port promises, over every backend there is."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from arex.errors import BatchUnavailable
from arex.model.ids import LocalId
from arex.model.report import EndCause, Phase, Report, lrms_done
from arex.ports import Backend
from tests.contract.worlds import LIMITS, PAYLOADS, World, end_of, local_job, reaches, submitted
from tests.fakes.clock import FakeClock


def essence(report: Report) -> Report:
    """Without what differs from run to run."""
    return Report(phase=report.phase, exit_code=report.exit_code, signal=report.signal, cause=report.cause)


@pytest.mark.parametrize("payload", sorted(set(PAYLOADS) - {"wait", *LIMITS}))
async def test_the_end_of_a_job_is_reported_with_its_cause(world: World, backend: Backend, payload: str) -> None:
    job = await submitted(backend, world.submission(payload))

    assert PAYLOADS[payload][1] == essence(await end_of(backend, job, world.patience_s))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("payload", sorted(LIMITS))
async def test_a_limit_that_ends_a_job_is_its_cause(world: World, backend: Backend, payload: str) -> None:
    """By what signal it ended is the batch system's business."""
    job = await submitted(backend, world.submission(payload))

    report = await end_of(backend, job, max(180, world.patience_s))

    assert PAYLOADS[payload][1].cause == report.cause
    assert lrms_done(report)[0] != 0


async def test_many_jobs_travel_in_one_call(world: World, backend: Backend) -> None:
    batch = [world.submission() for _ in range(12)]

    answers = await backend.submit(batch)
    jobs = [local_job(each, LocalId(str(answers[each.tag]))) for each in batch]
    for job in jobs:
        await end_of(backend, job, world.patience_s)

    assert {each.localid for each in jobs} == set(await backend.status(jobs))
    assert len(batch) == len({each.localid for each in jobs})


async def test_a_tag_is_found_if_and_only_if_it_was_taken(world: World, backend: Backend) -> None:
    taken, other = world.submission("wait"), world.submission()
    job = await submitted(backend, taken)

    assert {taken.tag: job.localid} == await backend.find([taken, other])
    await backend.cancel([job])
    await end_of(backend, job, world.patience_s)


async def test_a_tag_is_found_after_its_job_has_ended(world: World, backend: Backend) -> None:
    submission = world.submission()
    job = await submitted(backend, submission)
    await end_of(backend, job, world.patience_s)

    assert {submission.tag: job.localid} == await backend.find([submission])


async def test_an_unknown_job_is_absent_from_the_answer(world: World, backend: Backend) -> None:
    """Not listed is "not listed": nothing is claimed about it."""
    unknown = local_job(world.submission(), LocalId("999999999"))

    assert await backend.status([unknown]) == {}


async def test_a_job_that_stays_missing_is_lost(world: World) -> None:
    """The backend itself decides this, after its waiting time and in more than one answer."""
    clock = FakeClock()
    backend = world.backend(clock)
    await backend.start()
    unknown = local_job(world.submission(), LocalId("999999999"))
    other = await submitted(backend, world.submission("wait"))
    await reaches(backend, other, Phase.RUNNING, world.patience_s)

    first = await backend.status([unknown, other])
    clock.advance(timedelta(hours=1))
    second = await backend.status([unknown, other])

    assert {other.localid} == set(first)
    lost = second[unknown.localid]
    assert (Phase.ENDED, EndCause.LOST) == (lost.phase, lost.cause)
    assert (-1, "the batch system no longer knows the job") == lrms_done(lost)
    assert ["not listed for 3600 s"] == [each.said for each in lost.evidence]
    assert Phase.RUNNING is second[other.localid].phase
    await backend.close()


async def test_a_cancelled_job_ends_and_says_so(world: World, backend: Backend) -> None:
    job = await submitted(backend, world.submission("wait"))
    await reaches(backend, job, Phase.RUNNING, world.patience_s)

    refusals = await backend.cancel([job])

    assert refusals == {}
    assert (await end_of(backend, job, world.patience_s)).cause == "cancelled"


async def test_to_cancel_what_has_ended_is_no_error_and_changes_nothing(world: World, backend: Backend) -> None:
    job = await submitted(backend, world.submission("exit 3"))
    before = await end_of(backend, job, world.patience_s)

    refusals = await backend.cancel([job])

    assert refusals == {}
    assert before == await end_of(backend, job, world.patience_s)


async def test_an_attempt_that_is_submitted_twice_runs_once(world: World, backend: Backend) -> None:
    """Whatever local ids the copies get: the one that runs is the one that is found."""
    submission = world.submission()

    copies = await asyncio.gather(*(submitted(backend, submission) for _ in range(2)), submitted(backend, submission))
    reports = [essence(await end_of(backend, copy, world.patience_s)) for copy in copies]
    found = await backend.find([submission])

    assert [PAYLOADS["exit 0"][1]] * len(copies) == reports
    assert found[submission.tag] in {copy.localid for copy in copies}
    assert world.runs(submission) == 1


async def test_another_attempt_of_the_same_job_runs_again(world: World, backend: Backend) -> None:
    submission = world.submission()
    again = replace(submission, tag=f"{submission.job}-rerun", rundir=submission.rundir.with_name("rerun"))  # type: ignore[arg-type]
    first = await submitted(backend, submission)
    await end_of(backend, first, world.patience_s)

    second = await submitted(backend, again)
    await end_of(backend, second, world.patience_s)

    assert first.localid != second.localid


async def test_a_new_daemon_knows_the_jobs_of_the_old_one(world: World) -> None:
    old = world.backend()
    await old.start()
    running, ended = world.submission("wait"), world.submission("exit 3")
    jobs = [await submitted(old, running), await submitted(old, ended)]
    await old.close()

    new = world.backend()
    await new.start()
    await end_of(new, jobs[1], world.patience_s)

    assert {running.tag: jobs[0].localid, ended.tag: jobs[1].localid} == await new.find([running, ended])
    await reaches(new, jobs[0], Phase.RUNNING, world.patience_s)
    await new.cancel(jobs)
    assert (await end_of(new, jobs[0], world.patience_s)).cause == "cancelled"
    await new.close()


@pytest.mark.parametrize("restart", [False, True])
async def test_the_end_of_a_job_is_told_at_once(world: World, restart: bool) -> None:
    """``watch`` knows without anybody asking, of jobs that an earlier daemon has started as well."""
    backend = world.backend()
    await backend.start()
    job = await submitted(backend, world.submission("wait"))
    if restart:
        await backend.close()
        backend = world.backend()
        await backend.start()
        await backend.status([job])
    told: asyncio.Queue[LocalId] = asyncio.Queue()
    await reaches(backend, job, Phase.RUNNING, world.patience_s)
    async with asyncio.timeout(world.patience_s), asyncio.TaskGroup() as group:
        watcher = group.create_task(backend.watch(told.put_nowait))
        await world.end(backend, job)

        assert job.localid == await told.get()
        await end_of(backend, job, world.patience_s)
        watcher.cancel()
    await backend.close()


async def test_silence_is_an_error_and_nothing_is_taken(world: World, backend: Backend) -> None:
    submission = world.submission()
    world.break_down(backend)

    with pytest.raises(BatchUnavailable):
        await backend.submit([submission])
    assert world.runs(submission) == 0


def test_every_limit_is_part_of_the_suite() -> None:
    assert set(LIMITS) == {"walltime", "cputime", "memory"}
