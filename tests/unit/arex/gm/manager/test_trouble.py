"""Limits and trouble of the grid manager."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from arex.config.values import MaxJobs
from arex.controldir.layout import Mark, Place
from arex.gm import machine
from arex.gm.context import JobContext
from arex.gm.steps import Step
from arex.model.ids import JobId, LocalId, new_job_id
from arex.model.local import JobLocal
from arex.model.reason import ReasonKind
from arex.model.report import Phase, Report
from arex.model.state import State
from plugins.local.status import read_status
from tests.trees import everything_below
from tests.unit.arex.gm.manager.moves import inlrms
from tests.unit.arex.gm.service import TRUE, GridService, advance_until, grid_service, until

SECOND = timedelta(seconds=1)

# --- limits -----------------------------------------------------------------------------------------------------------


async def test_newcomers_beyond_the_limit_stay_outside_until_there_is_room(tmp_path: Path) -> None:
    async with grid_service(tmp_path, MaxJobs(tracked=2)) as service:
        first, second = service.submit(), service.submit()
        await service.runs(first)
        await service.runs(second)
        third = service.submit()

        await until(lambda: 1 == service.manager.waiting_outside)
        assert not service.store.exists(third, "errors")
        service.end(first)
        await service.runs(third)


async def test_jobs_beyond_the_running_limit_are_pending_in_order(tmp_path: Path) -> None:
    async with grid_service(tmp_path, MaxJobs(running=1)) as service:
        first = service.submit()
        await service.runs(first)
        second = service.submit()
        await service.reaches(second, "PENDING:PREPARING")
        urgent = service.submit(f'{TRUE}(priority="90")')
        await service.reaches(urgent, "PENDING:PREPARING")
        service.end(first)
        await service.runs(urgent)

        assert "PENDING:PREPARING" == service.state(second)
        assert "Limit of RUNNING jobs is reached" in service.tell(second)
        service.end(urgent)
        await service.runs(second)


async def test_one_owner_does_not_take_the_place_of_another(tmp_path: Path) -> None:
    async with grid_service(tmp_path, MaxJobs(per_owner=1)) as service:
        first = service.submit()
        await service.runs(first)
        second = service.submit()
        await service.reaches(second, "PENDING:ACCEPTED")
        other = service.submit(local=JobLocal(subject="/CN=other"))
        await service.runs(other)
        service.end(first)
        await service.runs(second)


# --- trouble ----------------------------------------------------------------------------------------------------------


async def test_a_file_that_can_not_be_written_makes_the_job_wait(
    service: GridService, caplog: pytest.LogCaptureFixture
) -> None:
    """And it goes on as if nothing had been, once the obstacle is gone."""
    job = await inlrms(service)
    obstacle = Path(service.store.layout.job_file(job, "output"))
    obstacle.unlink()
    (obstacle / "x").mkdir(parents=True)
    service.end(job, 3)
    await until(lambda: "cannot access the files of the job; arex retries within a minute" in caplog.text)
    (obstacle / "x").rmdir()
    obstacle.rmdir()
    service.clock.advance(timedelta(minutes=1))
    await service.reaches(job, "FINISHED")

    assert "LRMS error: (3) Job finished with wrong exit code - 3 != 0\n" == service.store.failure(job)
    assert "fault of arex" not in caplog.text


async def test_a_job_is_dropped_if_all_its_files_are_removed(service: GridService) -> None:
    job = await inlrms(service)
    await service.shown(job, "R")
    for path in everything_below(service.store.root):
        if path.name.startswith(f"job.{job}."):
            path.unlink()
    service.manager.rescan()

    await until(lambda: service.manager.counts == {})
    assert 0 == service.client.inside


async def test_a_message_about_an_unknown_job_is_forgotten(service: GridService) -> None:
    unknown = new_job_id()
    service.manager.look(unknown)
    job = service.submit()
    await service.runs(job)

    await until(lambda: service.manager.tracking.get(unknown) is None)
    assert 1 == service.manager.tracking.active


async def test_many_messages_about_unknown_jobs_use_no_memory(service: GridService) -> None:
    """Unknown ids beyond some thousands are left to the scan, which finds those that exist."""
    job = service.make()
    for _ in range(50_000):
        service.manager.heard(new_job_id())
    service.manager.heard(job)

    assert 10_000 > service.manager.tracking.queued
    await service.runs(job)


async def test_a_session_directory_that_is_not_its_own_wrecks_the_job(service: GridService, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "sub").mkdir(parents=True)
    (home / "precious").write_text("x")
    for sessiondir in (home, service.sessions, Path("/"), Path("relative")):
        job = service.submit(local=JobLocal(sessiondir=sessiondir, gmlog="log"))
        await service.reaches(job, "FINISHED")
        assert f"sessiondir={sessiondir}" in service.store.failure(job)
        service.mark(job, Mark.CLEAN)
        await until(lambda: service.state(job) == "")  # noqa: B023 - awaited at once

    assert ["precious", "sub"] == sorted(os.listdir(home))
    assert service.sessions.is_dir()


# --- jobs whose turns fail --------------------------------------------------------------------------------------------


def repairs_nothing(job: JobId) -> list[str]:
    del job
    return []


def closed(service: GridService, job: JobId) -> Path:
    """
    A directory in the place of ``.output``, which the end of a job writes: each turn fails until it is gone.

    It stands for what the service cannot remove.
    """
    service.store.repair = repairs_nothing  # type: ignore[method-assign]
    path = Path(service.store.layout.job_file(job, "output"))
    path.unlink(missing_ok=True)
    (path / "x").mkdir(parents=True)
    return path


async def turns(service: GridService, number: int, seconds: float = 61.0) -> None:
    """So many retries, whatever the pause between them; a job whose document is being written has no turn."""

    def any_is(*states: str) -> bool:
        return any(getattr(record, state) for record, _ in service.manager.tracking.adopted() for state in states)

    for _ in range(number):
        await until(lambda: not any_is("busy", "queued", "publishing"))
        service.clock.advance(timedelta(seconds=seconds))
        await until(lambda: not any_is("queued", "publishing"))


async def test_a_job_that_has_left_the_batch_system_gives_back_its_slot_whatever_its_trouble(tmp_path: Path) -> None:
    async with grid_service(tmp_path, MaxJobs(running=1)) as service:
        job = await inlrms(service)
        obstacle = closed(service, job)
        service.end(job, 3)
        await until(lambda: service.manager.troubled)
        second = service.submit()
        await service.runs(second)

        assert "INLRMS" == service.state(job)
        (obstacle / "x").rmdir()
        obstacle.rmdir()
        service.clock.advance(timedelta(minutes=1))
        await service.reaches(job, "FINISHED")
        assert {} == service.manager.troubled


async def test_trouble_that_lasts_is_told_to_the_owner_and_so_is_its_end(service: GridService) -> None:
    job = await inlrms(service)
    obstacle = closed(service, job)
    service.end(job, 3)
    await until(lambda: service.manager.troubled)
    await turns(service, 4)
    shown = read_status(service.store, job, now=service.clock.now())

    assert shown.reason is not None
    assert f"Is a directory: {obstacle}; arex tries again every minute" == shown.reason.text
    assert 1 == service.tell(job).count("cannot be processed now"), "once, not every minute"
    assert [job] == list(service.manager.troubled)
    (obstacle / "x").rmdir()
    obstacle.rmdir()
    await turns(service, 1)
    await service.reaches(job, "FINISHED")
    assert "can be processed again" in service.tell(job)
    ended = read_status(service.store, job, now=service.clock.now()).reason
    assert ended is not None
    assert ReasonKind.EXIT_CODE is ended.kind


async def test_a_job_that_only_causes_internal_errors_fails_in_the_end_and_ends_in_the_batch_system(
    service: GridService, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await service_job_with_bug(service, monkeypatch)
    localid = service.localid(job)
    await turns(service, 12)
    await service.reaches(job, "FINISHED")

    assert "Internal error: internal error of arex: RecursionError: too deep" in service.store.failure(job)
    await until(lambda: Phase.ENDED is service.cluster.reports[localid].phase, lambda: service.tell(job))
    assert 0 == service.client.inside
    assert {} == service.manager.counts
    other = service.submit()
    await service.runs(other)


async def service_job_with_bug(service: GridService, monkeypatch: pytest.MonkeyPatch) -> JobId:
    """It runs, and each of its turns raises from now on."""
    job = await inlrms(service)
    decide = machine.HANDLERS[State.INLRMS]

    def buggy(context: JobContext) -> Step:
        if context.job.id == job:
            raise RecursionError("too deep")
        return decide(context)

    monkeypatch.setattr(machine, "HANDLERS", {**machine.HANDLERS, State.INLRMS: buggy})
    service.manager.look(job)
    return job


async def test_a_restart_of_a_job_that_has_not_ended_is_refused_and_not_kept(service: GridService) -> None:
    """Else it would be granted when the job fails the next time."""
    job = service.submit(f'{TRUE}(rerun="5")')
    await service.runs(job)
    service.mark(job, Mark.RESTART)
    await until(lambda: not service.store.has_mark(job, Mark.RESTART))
    service.end(job, 1)
    await service.reaches(job, "FINISHED")

    assert 1 == sum(service.cluster.runs.values())
    assert "can not be restarted: it has not ended" in service.tell(job)


@pytest.mark.parametrize("suffix", ["local", "failed", "diag", "grami", "input", "output", "errors", "description"])
@pytest.mark.parametrize("kind", ["directory", "pipe", "link", "closed"])
async def test_what_is_in_the_place_of_a_control_file_does_not_keep_a_job_from_its_end(
    service: GridService, suffix: str, kind: str
) -> None:
    job = service.submit()
    await service.runs(job)
    path = Path(service.store.layout.job_file(job, suffix))
    if kind == "closed":
        path.touch()
        path.chmod(0)
    else:
        path.unlink(missing_ok=True)
        kinds: dict[str, Callable[[], object]] = {
            "directory": path.mkdir,
            "pipe": lambda: os.mkfifo(path),
            "link": lambda: path.symlink_to(path),
        }
        kinds[kind]()

    service.mark(job, Mark.CANCEL)
    await advance_until(service.clock, lambda: service.state(job) == "FINISHED", SECOND)
    service.mark(job, Mark.CLEAN)
    await advance_until(
        service.clock, lambda: not [path for path in everything_below(service.root) if job in path.name], SECOND
    )


async def test_a_status_file_that_was_removed_is_written_again(service: GridService) -> None:
    job = service.submit()
    await service.runs(job)
    Path(service.store.layout.status_file(Place.PROCESSING, job)).unlink()
    service.manager.rescan()

    await service.reaches(job, "INLRMS")
    service.end(job)
    await service.reaches(job, "FINISHED")


async def test_a_job_that_has_ended_gives_back_its_slot_although_its_record_cannot_be_written(tmp_path: Path) -> None:
    async with grid_service(tmp_path, MaxJobs(running=1)) as service:
        first = service.submit()
        await service.runs(first)
        second = service.submit()
        await service.reaches(second, "PENDING:PREPARING")
        localid = service.local(first).localid
        service.cluster.reports[LocalId(localid or "")] = Report(phase=Phase.EXITING, doubt="the disk is full")

        await advance_until(service.clock, lambda: service.state(second) == "INLRMS", SECOND)
