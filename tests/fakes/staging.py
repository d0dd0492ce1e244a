"""A stager that is never called, to build others on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

from arex.model.ids import JobId
from arex.model.reason import Reason
from arex.ports import Staged, Stager, Staging


class UnusedStager:
    async def stage_in(self, staging: Staging) -> Staged:
        raise AssertionError(f"nothing to fetch: {staging}")

    async def stage_out(self, staging: Staging) -> Staged:
        raise AssertionError(f"nothing to send: {staging}")

    async def cancel(self, job: JobId) -> None: ...

    async def release(self, job: JobId) -> None: ...

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None: ...

    def figures(self) -> Mapping[str, int]:
        return {}

    def reasons(self) -> Iterator[tuple[JobId, Reason]]:
        return iter(())


_: type[Stager] = UnusedStager
