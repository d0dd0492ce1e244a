"""What the service writes about waiting jobs, as a client shows it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from arex.config.values import MaxJobs
from arex.controldir.layout import Mark
from arex.diagnosis import facts
from arex.diagnosis.facts import WaitingFacts
from arex.gm import attempt
from arex.gm.publishing.waiting import WaitingWriter
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.reason import Reason, ReasonKind
from arex.model.report import Phase, Report
from plugins.local.reasons import ServiceView
from plugins.local.status import ClientState, JobStatus, read_status
from tests.fakes.staging import UnusedStager
from tests.unit.arex.gm.manager.moves import inlrms
from tests.unit.arex.gm.service import TRUE, GridService, advance_until, grid_service, until


@pytest.fixture(autouse=True)
def detector() -> None:
    """These tests look into control files themselves, on the loop: that blocks."""


def writer(service: GridService) -> WaitingWriter:
    return WaitingWriter(service.services, service.manager, service.clients, UnusedStager())


def status(service: GridService, job: JobId) -> JobStatus:
    known = writer(service).facts()
    facts.write(service.store.root, known)
    now = service.clock.now()
    view = ServiceView(facts=lambda: facts.read(service.store.root, now))
    return read_status(service.store, job, now=now, view=view)


def why(service: GridService, job: JobId) -> Reason:
    reason = status(service, job).reason
    assert reason is not None
    return reason


async def test_jobs_that_wait_for_slots_know_their_places(tmp_path: Path) -> None:
    async with grid_service(tmp_path, MaxJobs(running=1)) as service:
        await inlrms(service)
        waiting = [service.submit(), service.submit()]
        for job in waiting:
            await service.reaches(job, "PENDING:PREPARING")

        reasons = [why(service, job) for job in waiting]

    assert [ReasonKind.SLOTS] * 2 == [reason.kind for reason in reasons]
    assert {1, 2} == {reason.place for reason in reasons}
    assert all(reason.text.endswith(" in line: 1 of 1 running jobs (maxjobs) are in use") for reason in reasons)


async def test_jobs_beyond_the_limit_of_their_owner_say_so(tmp_path: Path) -> None:
    async with grid_service(tmp_path, MaxJobs(per_owner=1)) as service:
        await inlrms(service)
        job = service.submit()
        await service.reaches(job, "PENDING:ACCEPTED")

        reason = why(service, job)

    assert "next in line: the limit of 1 jobs for one owner (maxjobs) is reached" == reason.text


async def test_a_paused_queue_is_the_reason_with_its_next_try(service: GridService) -> None:
    service.cluster.limits["q"] = "the queue is closed"
    job = service.submit()
    await until(lambda: service.client.health.parked)

    reason = why(service, job)

    assert (ReasonKind.QUEUE, service.clock.now()) == (reason.kind, reason.since)
    assert "submissions to queue q of fake are paused: the queue is closed" == reason.text
    assert reason.next_try is not None
    assert reason.next_try > service.clock.now()


async def test_a_batch_system_that_is_down_is_the_reason(service: GridService) -> None:
    service.cluster.outage = "Unable to contact controller"
    job = service.submit()
    await until(lambda: service.client.health.down_since)

    reason = why(service, job)

    assert (ReasonKind.BATCH_SYSTEM, "fake does not answer: Unable to contact controller") == (reason.kind, reason.text)
    service.cluster.outage = ""
    service.clock.advance(timedelta(seconds=5))
    await service.runs(job)
    assert status(service, job).state is not ClientState.SUBMITTING


async def test_a_lost_answer_is_looked_up_and_said(service: GridService) -> None:
    service.cluster.lost_answers, service.cluster.invisible_for = 1, 5
    job = service.submit()
    await until(lambda: service.client.unsure)

    reason = why(service, job)

    assert ReasonKind.SUBMISSION is reason.kind
    assert "arex looks for it in the batch system before it submits it again" in reason.text
    assert reason.next_try is not None


async def test_an_attempt_that_could_not_be_prepared_says_why(service: GridService) -> None:
    service.cluster.limits["q"] = "the queue is closed"
    job = service.submit()
    await until(lambda: service.client.health.parked)
    known = attempt.read(service.store, job)
    assert known is not None
    service.cluster.full_disk[known.tag] = "No space left on device"
    service.cluster.limits.clear()
    service.clock.advance(timedelta(seconds=2))
    await until(lambda: [*service.client.reasons()])
    service.client.health.unpark("q")

    reason = why(service, job)

    assert "it could not be submitted (try 1): No space left on device" == reason.text
    assert reason.next_try is not None


async def test_a_batch_system_that_is_not_configured_is_the_reason(service: GridService) -> None:
    job = service.submit(TRUE, JobLocal(globalid="x", subject="/CN=me", lrms="slurm"))
    await service.reaches(job, "SUBMIT")

    reason = why(service, job)

    assert (ReasonKind.BACKEND, "its batch system 'slurm' is not configured here; this service submits to fake") == (
        reason.kind, reason.text,
    )  # fmt: skip


async def test_a_held_job_is_shown_as_held(service: GridService) -> None:
    job = service.make()
    service.store.set_mark(job, Mark.HOLD)
    service.manager.look(job)
    await service.reaches(job, "PENDING:PREPARING")

    held = status(service, job)
    assert held.reason is not None
    assert (ClientState.HOLD, ReasonKind.HOLD) == (held.state, held.reason.kind)

    service.mark(job, Mark.RELEASE)
    await service.runs(job)
    assert ClientState.HOLD is not status(service, job).state


async def test_a_wait_with_a_timer_names_the_next_try(service: GridService) -> None:
    service.services.room = lambda _root, _owner: "/s has 3 MB left; new jobs wait until there are 100 MB"
    job = service.submit()
    await service.reaches(job, "PENDING:PREPARING")
    await until(lambda: [*service.manager.reasons()])

    reason = why(service, job)

    assert "/s has 3 MB left; new jobs wait until there are 100 MB" == reason.text
    assert service.clock.now() + timedelta(seconds=30) == reason.next_try


async def test_the_words_of_the_batch_system_about_a_queued_job_are_passed_on(service: GridService) -> None:
    job = await inlrms(service)
    service.cluster.reports[service.localid(job)] = Report(phase=Phase.QUEUED, message="waits: QOSMaxJobsPerUserLimit")
    service.clock.advance(timedelta(seconds=1))
    await service.shown(job, "Q")

    assert f"queued in fake as job {service.localid(job)}, queue q: QOSMaxJobsPerUserLimit" == why(service, job).text


async def test_the_file_is_written_after_a_change_and_once_a_minute(
    service: GridService, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[WaitingFacts] = []
    monkeypatch.setattr(facts, "write", lambda _root, known: written.append(known))
    task = asyncio.create_task(writer(service).run())
    await until(lambda: written)

    began = service.clock.now()
    await advance_until(service.clock, lambda: len(written) > 1, timedelta(seconds=1))
    assert written[1].updated - began >= timedelta(seconds=60)
    service.cluster.limits["q"] = "the queue is closed"
    service.submit()
    await until(lambda: service.client.health.parked)
    before = service.clock.now()
    await advance_until(service.clock, lambda: len(written) > 2, timedelta(seconds=1))
    assert written[2].updated - before < timedelta(seconds=60)
    assert "q" in written[2].batch["fake"].paused
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
