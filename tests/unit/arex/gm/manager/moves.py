"""The grid manager as a whole, in this process."""

from __future__ import annotations

from datetime import timedelta

from arex.model.ids import JobId
from tests.unit.arex.gm.service import TRUE, GridService, until

STRAIGHT = [
    "UNDEFINED -> ACCEPTED", "ACCEPTED -> PREPARING", "PREPARING -> SUBMIT", "SUBMIT -> INLRMS",
    "INLRMS -> FINISHING", "FINISHING -> FINISHED",
]  # fmt: skip


async def accepted(service: GridService) -> JobId:
    later = service.clock.now() + timedelta(days=1)
    job = service.submit(f'{TRUE}(starttime="{later:%Y%m%d%H%M%S}Z")')
    await until(lambda: service.manager.counts == {"ACCEPTED": 1})
    return job


async def preparing(service: GridService) -> JobId:
    job = service.submit(f'{TRUE}(inputfiles=("later" ""))')
    await service.reaches(job, "PREPARING")
    return job


async def inlrms(service: GridService) -> JobId:
    job = service.submit()
    await service.runs(job)
    return job


async def finished(service: GridService) -> JobId:
    job = await inlrms(service)
    service.end(job)
    await service.reaches(job, "FINISHED")
    await until(lambda: service.manager.counts == {})
    return job
