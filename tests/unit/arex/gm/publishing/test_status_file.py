"""``arex.status``: the figures of the service that ``arex status`` shows."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from arex import daemon
from arex.config.model import Configuration, QueueBlock
from arex.errors import BatchUnavailable
from arex.gm.batch.orphans import OrphanSearch
from arex.gm.publishing.status import ServiceFacts, StatusWriter
from arex.staging.engine import Engine
from tests.unit.arex.gm.service import GridService, advance_until, until


def writer(service: GridService) -> StatusWriter:
    config = replace(Configuration(), queues=(QueueBlock(name="q", maxslotsperjob=4),), source=Path("/site/arc.conf"))
    engine = Engine.from_config(config, service.clock)
    return StatusWriter(
        service.services, service.manager, service.clients, engine, lambda: ServiceFacts(config=config, wakeups="poll")
    )


async def written(service: GridService) -> daemon.Snapshot:
    """The status of a service that has just stopped, which has all that it knows."""
    await writer(service).stopped()
    snapshot = await asyncio.to_thread(daemon.read_snapshot, service.root / "ctl")
    assert snapshot is not None
    return snapshot


async def test_jobs_are_counted_by_phase_and_by_how_they_end(service: GridService) -> None:
    jobs = [await asyncio.to_thread(service.make) for _ in range(2)]
    for job in jobs:
        service.manager.look(job)
    for job in jobs:
        await service.runs(job)
    assert {"INLRMS": 2} == (await written(service)).states
    assert 2 == sum((await written(service)).phases.values())

    service.end(jobs[0])
    service.end(jobs[1], 3)
    for job in jobs:
        await service.reaches(job, "FINISHED")
    await until(lambda: service.manager.counts == {})
    snapshot = await written(service)

    assert {"finished": 1, "failed": 1} == snapshot.ended
    assert ({}, {}, 2) == (snapshot.states, snapshot.phases, snapshot.kept)
    assert {"used": 0, "total": None} == snapshot.slots


async def test_the_last_status_says_that_the_service_was_stopped(service: GridService) -> None:
    snapshot = await written(service)

    assert snapshot.stopped
    assert "/site/arc.conf" == snapshot.config


async def test_queues_have_their_limits_and_say_why_they_are_paused(service: GridService) -> None:
    assert {"fake": {"q": {"state": "open", "maxslotsperjob": 4}}} == (await written(service)).queues

    service.client.health.park("q", "a limit")
    service.client.health.park("unknown", "another")
    queues = (await written(service)).queues["fake"]

    assert ("paused", 4, "a limit") == tuple(queues["q"][name] for name in ("state", "maxslotsperjob", "reason"))
    assert "another" == queues["unknown"]["reason"]


async def test_a_search_for_orphans_that_has_no_answer_shows_that_the_batch_system_is_down(
    service: GridService,
) -> None:
    backend = service.client.backend
    answers: list[BaseException | None] = [BatchUnavailable("no configuration"), None]

    async def tagged() -> dict[object, object]:
        if (trouble := answers.pop(0)) is not None:
            raise trouble
        return {}

    backend.tagged = tagged  # type: ignore[method-assign, assignment]
    search = asyncio.create_task(
        OrphanSearch(service.store, service.clients, service.clock).run(service.manager.scanned)
    )
    await until(lambda: len(answers) == 1)
    assert "no configuration" in service.client.summary()

    await advance_until(service.clock, search.done, timedelta(seconds=60))
    assert "ok" == service.client.summary()
