"""A backend that another distribution brings: every job has ended well as soon as it is taken."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Self

from arex.config.model import Configuration
from arex.errors import SubmitLimited, SubmitRejected
from arex.model.ids import JobId, LocalId, Tag
from arex.model.report import EndCause, Phase, Report
from arex.ports import Backend, Capacity, LocalJob, Submission


class AtOnce:
    """A batch system without a queue, without nodes, and without a memory: the run directory has it."""

    name = "atonce"

    def __init__(self, host: str) -> None:
        self._host = host

    @classmethod
    def from_config(cls, config: Configuration) -> Self:
        return cls(config.common.hostname)

    async def start(self) -> None:
        """Nothing to make ready."""

    async def close(self) -> None:
        """Nothing to let go."""

    def capacity(self) -> Capacity:
        return Capacity()

    def figures(self) -> Mapping[str, int]:
        return {}

    async def submit(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId | SubmitRejected | SubmitLimited]:
        for each in batch:
            (each.rundir / "taken").touch()
        return {each.tag: LocalId(each.tag) for each in batch}

    async def find(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId]:
        return {each.tag: LocalId(each.tag) for each in batch if (each.rundir / "taken").exists()}

    async def tagged(self) -> Mapping[LocalId, JobId]:
        return {}

    async def recorded(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        return await self.status(jobs)

    async def status(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        ended = Report(phase=Phase.ENDED, exit_code=0, cause=EndCause.EXIT_CODE, nodes=(self._host,))
        return {each.localid: ended for each in jobs}

    async def cancel(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        return {each.localid: "it has ended" for each in jobs}

    async def hold(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        return {each.localid: "it has ended" for each in jobs}

    async def release(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        return {each.localid: "it has ended" for each in jobs}

    async def watch(self, ended: Callable[[LocalId], None]) -> None:
        """It can't tell."""


_: type[Backend] = AtOnce
