"""The file transfers of jobs: a task for each job, whose result wakes the job."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from arex.gm.steps import AskStage, StagingEnded
from arex.gm.turns.tracking import Tracked
from arex.model.ids import JobId
from arex.ports import Staged, Stager
from arex.taskkeeper import TaskKeeper

log = logging.getLogger(__name__)

#: Seconds until staging that is neither complete nor failed is requested again.
_AGAIN_S: Final = 1.0


class Transfers:
    """Asks the stager for the grid manager. Event loop only."""

    def __init__(
        self,
        stager: Stager,
        keeper: TaskKeeper,
        wake: Callable[[Tracked], None],
        after: Callable[[Tracked, float], None],
    ) -> None:
        """``wake`` drives a job now, ``after`` drives it after some seconds."""
        self._stager = stager
        self._keeper = keeper
        self._wake = wake
        self._after = after
        self._ended: asyncio.Queue[JobId] = asyncio.Queue()  #: the stager can remove what it keeps for these jobs

    def begin(self, record: Tracked, ask: AskStage, tasks: asyncio.TaskGroup) -> None:
        """Transfer the files of a job, unless its transfers are active or have ended during its turn."""
        if isinstance(record.answer, StagingEnded):
            if record.answer.out == ask.out:
                return  # the next turn uses the answer
            record.answer = None
        if record.staging is None:
            record.asked = ask
            record.staging = tasks.create_task(self._run(record, ask), name=f"stage {record.id}")

    def stop(self, record: Tracked) -> None:
        """Stop the transfers of a job that was cancelled or has moved on."""
        if record.staging is not None:
            record.staging.cancel()
            record.staging = record.asked = None

    async def _run(self, record: Tracked, ask: AskStage) -> None:
        call = self._stager.stage_out if ask.out else self._stager.stage_in
        try:
            staged: Staged = await call(ask.staging)
        except asyncio.CancelledError:
            if record.staging is asyncio.current_task():
                record.staging = record.asked = None
            await self._stopped(record.id)
            raise
        except Exception as exc:
            log.exception(
                "staging failed because of an internal error of arex", extra={"event": "stage.bug", "job": record.id}
            )
            staged = Staged(done=False, failure=f"Internal error: {exc}")
        record.staging = record.asked = None
        if staged.done or staged.failure or staged.waits:
            record.answer = StagingEnded(staged, ask.out)
            self._wake(record)
        else:
            self._after(record, _AGAIN_S)

    async def _stopped(self, job: JobId) -> None:
        try:
            await self._stager.cancel(job)
        except Exception as exc:  # noqa: BLE001 - it is logged and counted
            self._keeper.note("staging", exc, job)

    # --- ended jobs ---

    def ended(self, job: JobId) -> None:
        """The job has ended: the stager releases what it kept for it."""
        self._ended.put_nowait(job)

    async def releasing(self) -> None:
        """
        Let the stager release what it kept for ended jobs; the next cleaning of the cache finds anything that is
        missed.
        """
        while True:
            job = await self._ended.get()
            try:
                await self._stager.release(job)
            except Exception as exc:  # noqa: BLE001 - it is logged and counted
                self._keeper.note("staging", exc, job)
