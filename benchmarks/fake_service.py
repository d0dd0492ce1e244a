"""
The real service over a batch system that costs nothing: jobs whose local id starts with ``live`` run without end,
all others end as soon as they are submitted. Started by ``scale.py`` with a configuration file.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from arex import logs
from arex.app import Service
from arex.config.load import load
from arex.errors import SubmitLimited, SubmitRejected
from arex.model.ids import JobId, LocalId, Tag
from arex.model.report import EndCause, Phase, Report
from arex.ports import Backend, Capacity, LocalJob, Submission

RUNNING = Report(phase=Phase.RUNNING)
DONE = Report(phase=Phase.ENDED, exit_code=0, cause=EndCause.EXIT_CODE)


class CheapBackend:
    name = "fork"

    async def start(self) -> None:
        self._ended: asyncio.Queue[LocalId] = asyncio.Queue()
        self._count = 0

    async def close(self) -> None:
        return

    def capacity(self) -> Capacity:
        return Capacity()

    async def submit(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId | SubmitRejected | SubmitLimited]:
        answers: dict[Tag, LocalId | SubmitRejected] = {}
        for one in batch:
            self._count += 1
            localid = LocalId(f"short{self._count}")
            answers[one.tag] = localid
            self._ended.put_nowait(localid)
        return answers

    async def find(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId]:
        del batch
        return {}

    async def status(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        return {job.localid: RUNNING if job.localid.startswith("live") else DONE for job in jobs}

    async def cancel(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        del jobs
        return {}

    async def recorded(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        del jobs
        return {}

    async def tagged(self) -> Mapping[LocalId, JobId]:
        return {}

    def figures(self) -> Mapping[str, int]:
        return {}

    async def hold(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        del jobs
        return {}

    async def release(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        del jobs
        return {}

    async def watch(self, ended: Callable[[LocalId], None]) -> None:
        while True:
            ended(await self._ended.get())


_: type[Backend] = CheapBackend


def main() -> None:
    config, _warnings = load(Path(sys.argv[1]), os.environ)
    logs.set_up(int(config.arex.loglevel), config.arex.logfile)
    sys.setswitchinterval(0.001)
    asyncio.run(Service(config, backends={"fork": CheapBackend()}).run())


if __name__ == "__main__":
    main()
