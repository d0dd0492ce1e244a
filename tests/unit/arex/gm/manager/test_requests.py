"""What owners ask of the grid manager: cancel, clean, restart."""

from __future__ import annotations

from datetime import timedelta

import pytest

from arex.controldir.layout import Mark
from arex.model.report import EndCause, Phase
from arex.model.state import State
from tests.trees import everything_below
from tests.unit.arex.gm.manager.moves import STRAIGHT, accepted, finished, inlrms, preparing
from tests.unit.arex.gm.service import TRUE, GridService, until

# --- cancel -----------------------------------------------------------------------------------------------------------

CANCELLED = "Job is canceled by external request\n"


async def test_a_cancel_before_adoption_ends_the_job_at_once(service: GridService) -> None:
    job = service.make()
    service.mark(job, Mark.CANCEL)
    await service.reaches(job, "FINISHED")

    assert CANCELLED == service.store.failure(job)
    assert ["UNDEFINED -> FINISHING", "FINISHING -> FINISHED"] == service.moves(job)
    assert not service.store.has_mark(job, Mark.CANCEL)


@pytest.mark.parametrize(
    ("arrange", "state"), [(accepted, State.ACCEPTED), (preparing, State.PREPARING), (inlrms, State.INLRMS)]
)
async def test_a_cancel_ends_a_job_where_it_is(service: GridService, arrange: object, state: State) -> None:
    assert callable(arrange)
    job = await arrange(service)
    service.mark(job, Mark.CANCEL)
    await service.reaches(job, "FINISHED")

    assert CANCELLED == service.store.failure(job)
    assert (state, "client") == (service.local(job).failedstate, service.local(job).failedcause)
    assert not service.store.has_mark(job, Mark.CANCEL)


async def test_a_cancel_in_submit_waits_for_the_batch_system(service: GridService) -> None:
    service.cluster.outage = "down"
    job = service.submit()
    await until(lambda: service.client.health.down_since)
    service.mark(job, Mark.CANCEL)
    await until(lambda: service.manager.counts == {"SUBMIT": 1})
    service.cluster.outage = ""
    service.clock.advance(timedelta(minutes=2))
    await service.reaches(job, "FINISHED")

    assert [*STRAIGHT[:4], "INLRMS -> CANCELING", "CANCELING -> FINISHING", "FINISHING -> FINISHED"] == service.moves(
        job
    )
    assert CANCELLED == service.store.failure(job)


async def test_a_cancel_of_a_finished_job_is_void(service: GridService) -> None:
    job = await finished(service)
    service.mark(job, Mark.CANCEL)
    await until(lambda: not service.store.has_mark(job, Mark.CANCEL))

    assert "FINISHED" == service.state(job)
    assert "" == service.store.failure(job)


async def test_a_cancel_that_the_batch_system_refuses_is_asked_again(service: GridService) -> None:
    job = await inlrms(service)
    service.cluster.cancel_refusals[service.localid(job)] = "not now"
    service.mark(job, Mark.CANCEL)
    await until(lambda: "refused to cancel the job: not now" in service.tell(job))

    assert "CANCELING" == service.state(job)
    service.end(job, 143, EndCause.CANCELLED)
    service.clock.advance(timedelta(hours=2))
    await service.reaches(job, "FINISHED")


# --- clean ------------------------------------------------------------------------------------------------------------


async def test_a_clean_removes_every_trace(service: GridService) -> None:
    job = await finished(service)
    service.mark(job, Mark.CLEAN)

    await until(lambda: not any(job in path.name for path in everything_below(service.root)), lambda: service.tell(job))


@pytest.mark.parametrize("arrange", [accepted, preparing, inlrms])
async def test_a_clean_mark_on_an_active_job_waits_for_its_end(service: GridService, arrange: object) -> None:
    assert callable(arrange)
    job = await arrange(service)
    service.mark(job, Mark.CLEAN)
    service.mark(job, Mark.CANCEL)
    # a file on its way from one directory to the next is in neither for the one who looks in order
    await until(lambda: not any(job in path.name for path in everything_below(service.root)), lambda: service.tell(job))

    assert [] == [path for path in everything_below(service.root) if job in path.name]


# --- restart ----------------------------------------------------------------------------------------------------------


async def test_a_restart_is_a_new_attempt(service: GridService) -> None:
    job = service.submit(f'{TRUE}(rerun="2")')
    await service.runs(job)
    first = service.localid(job)
    service.end(job, 7)
    await service.reaches(job, "FINISHED")
    service.mark(job, Mark.RESTART)
    await service.reaches(job, "INLRMS")
    await until(lambda: service.localid(job) != first)
    await service.runs(job)
    service.end(job)
    await service.reaches(job, "FINISHED")

    assert "" == service.store.failure(job)
    assert (1, None) == (service.local(job).rerun, service.local(job).failedstate)
    assert 2 == len(service.cluster.taken)


@pytest.mark.parametrize("reruns", ["0", "1"])
async def test_a_restart_that_can_not_be_granted_changes_nothing(service: GridService, reruns: str) -> None:
    """No reruns left, or nothing has failed."""
    job = service.submit(f'{TRUE}(rerun="{reruns}")')
    await service.runs(job)
    service.end(job, 0 if reruns == "1" else 3)
    await service.reaches(job, "FINISHED")
    before = service.moves(job)
    service.mark(job, Mark.RESTART)
    await until(lambda: not service.store.has_mark(job, Mark.RESTART))

    assert "FINISHED" == service.state(job)
    assert before == service.moves(job)


async def test_a_restart_without_a_description_is_refused_once(service: GridService) -> None:
    job = service.submit(f'{TRUE}(rerun="1")')
    await service.runs(job)
    service.end(job, 3)
    await service.reaches(job, "FINISHED")
    await until(lambda: service.manager.counts == {})
    service.store.put(job, "description", b"junk")
    before = service.moves(job)
    service.mark(job, Mark.RESTART)
    await until(lambda: not service.store.has_mark(job, Mark.RESTART))

    assert before == service.moves(job)
    assert "can not be restarted" in service.tell(job)


async def test_a_job_that_waits_for_a_paused_queue_can_be_cancelled(service: GridService) -> None:
    service.cluster.limits[""] = service.cluster.limits["q"] = "the queue takes 0 jobs"
    job = service.submit()
    await service.reaches(job, "SUBMIT")
    await until(lambda: service.client.health.parked, lambda: service.tell(job))
    service.mark(job, Mark.CANCEL)
    await service.reaches(job, "FINISHED")

    assert "Job is canceled by external request\n" == service.store.failure(job)
    assert 0 == sum(service.cluster.runs.values())
    service.cluster.limits.clear()
    service.clock.advance(timedelta(minutes=5))
    other = service.submit()
    await service.runs(other)
    assert 1 == sum(service.cluster.runs.values())


async def test_a_cancellation_of_an_unsure_submission_waits_for_its_answer(service: GridService) -> None:
    """Or the job would run on unseen."""
    service.cluster.lost_answers = 1
    service.cluster.invisible_for = 3
    job = service.submit()
    await service.reaches(job, "SUBMIT")
    await until(lambda: service.client.unsure, lambda: service.tell(job))
    service.mark(job, Mark.CANCEL)

    def finished_a_minute_later() -> bool:
        if not service.busy(job):  # or a turn that takes long would find that the results have become too old
            service.clock.advance(timedelta(minutes=1))
        return service.state(job) == "FINISHED"

    await until(finished_a_minute_later, lambda: service.tell(job))

    assert [Phase.ENDED] == [report.phase for report in service.cluster.reports.values()]
