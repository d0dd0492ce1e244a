"""Why no transfer of a job is active now."""

from __future__ import annotations

import asyncio

from arex.aio import cancel_and_wait
from arex.model.files import FileEntry
from arex.model.ids import JobId
from arex.model.reason import ReasonKind
from tests.staging.conftest import Site
from tests.staging.servers import Nginx


async def test_a_transfer_that_is_tried_again_says_how_often_and_when(site: Site) -> None:
    site.clock.pace = 1
    engine = site.engine()
    staging = site.staging(FileEntry("/a", "http://127.0.0.1:1/nothing"))
    task = asyncio.create_task(engine.stage_in(staging))
    async with asyncio.timeout(60):
        while not (reasons := dict(engine.reasons())) or "try 2 " not in reasons[staging.job].text:
            await asyncio.sleep(0.01)
    await cancel_and_wait(task)

    reason = reasons[staging.job]
    assert ReasonKind.TRANSFER_RETRY is reason.kind
    assert reason.text.startswith(f"try 2 of {site.config.staging.maxtransfertries}: http://127.0.0.1:1/nothing: ")
    assert reason.since is not None
    assert reason.next_try is not None
    assert {} == dict(engine.reasons())


async def test_a_transfer_that_waits_for_a_slot_says_so(site: Site, nginx: Nginx) -> None:
    (nginx.files / "long").write_bytes(bytes(10_000_000))
    engine = site.engine(maxdelivery=1, maxemergency=0)
    first = site.staging(FileEntry("/a", nginx.http("/slow/long")), job="first")
    second = site.staging(FileEntry("/b", nginx.http("/files/long")), job="second")
    tasks = [asyncio.create_task(engine.stage_in(first))]
    async with asyncio.timeout(60):
        while not engine.figures()["transfers_under_way"]:
            await asyncio.sleep(0.01)
        tasks.append(asyncio.create_task(engine.stage_in(second)))
        while not (reasons := dict(engine.reasons())).get(JobId("second")):
            await asyncio.sleep(0.01)
    for task in tasks:
        await cancel_and_wait(task)

    reason = reasons[JobId("second")]
    text = "1 transfer waits for a transfer slot; 1 transfer is under way"
    assert (ReasonKind.TRANSFER_SLOT, text) == (reason.kind, reason.text)
