"""
Moves the files that HTCondor has transferred back to their place, job by job in the background. Detects ends from
HTCondor's logs, because a node that does not see the session directory cannot leave an end notice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from arex.aio import in_thread, settled
from arex.clock import Clock
from arex.model.ids import LocalId
from arex.ports import LocalJob
from lrms.htcondor import files

log = logging.getLogger(__name__)

#: How long a query waits for files that are being moved, seconds; a large session takes longer.
_WAIT_S: Final = 2.0
#: How long complete files must be there before they count although HTCondor's log has no entry, seconds.
_CERTAIN_S: Final = 60.0
_SIDE_BY_SIDE: Final = 2
#: Seconds between checks of the logs.
_LOOK_S: Final = 1.0


@dataclass(slots=True)
class _Received:
    """A job, and how much of its log has been read."""

    localid: LocalId
    log: Path | None = None
    size: int = 0


def _ended(watched: Mapping[Path, _Received]) -> list[LocalId]:
    """The jobs whose logs have grown, up to their end."""
    ended = []
    for rundir, each in watched.items():
        try:
            each.log = each.log or files.log_file(rundir)
            if (size := each.log.stat().st_size) == each.size:
                continue
            each.size = size
            if files.summary_of(rundir).over:
                ended.append(each.localid)
        except OSError:  # not there yet, or already removed: a poll will find the end
            continue
    return ended


class OutputCollector:
    """Runs one task for each session directory that has arrived and is not in its place yet."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: dict[Path, asyncio.Task[bool]] = {}
        self._since: dict[Path, float] = {}  #: when it was first seen, monotonic seconds
        self._watched: dict[Path, _Received] = {}  #: jobs inside
        self._hands = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def close(self) -> None:
        """Wait for running tasks: after reading, each does only a few renames."""
        await settled(asyncio.gather(*self._tasks.values(), return_exceptions=True))

    def note(self, rundir: Path, localid: LocalId) -> None:
        """Note that the job is in HTCondor, and watch for its end."""
        self._watched.setdefault(rundir, _Received(localid))

    def forget(self, rundir: Path) -> None:
        self._watched.pop(rundir, None)
        self._since.pop(rundir, None)

    async def listen(self, ended: Callable[[LocalId], None]) -> None:
        """Report jobs whose logs say that they have ended; until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            for localid in await asyncio.to_thread(_ended, dict(self._watched)):
                ended(localid)

    async def take_in(self, jobs: Collection[LocalJob]) -> frozenset[LocalId]:
        """The jobs whose files have arrived and are not in their place yet: their end cannot be reported yet."""
        self._sweep()
        places = {job.rundir: job for job in jobs if job.rundir is not None}
        came = await asyncio.to_thread(lambda: [rundir for rundir in places if files.is_open(rundir)])
        for rundir in came:
            if rundir not in self._tasks:
                task = asyncio.create_task(self._take(rundir, places[rundir].session), name=f"arrival-{rundir.name}")
                self._tasks[rundir] = task
        if came:
            await asyncio.wait([self._tasks[rundir] for rundir in came], timeout=_WAIT_S)
        return frozenset(places[rundir].localid for rundir in came if self._busy(rundir))

    def _sweep(self) -> None:
        """Remove the tasks that have ended since the last query."""
        for rundir in [rundir for rundir, task in self._tasks.items() if task.done()]:
            self._busy(rundir)

    async def _take(self, rundir: Path, session: Path) -> bool:
        now = self._clock.monotonic()
        certain = now - self._since.setdefault(rundir, now) >= _CERTAIN_S
        async with self._hands:
            return await in_thread(files.take_in, rundir, session, certain=certain)

    def _busy(self, rundir: Path) -> bool:
        """Whether the files of the job are being moved, or were until now: the next query finds the record."""
        task = self._tasks.get(rundir)
        if task is None or not task.done():
            return True
        del self._tasks[rundir]
        if (exc := task.exception()) is None:
            return False
        if isinstance(exc, OSError):
            facts = {"event": "arrival.disk"}
            log.warning(
                "cannot move the files of %s into the session directory; will retry: %s", rundir.name, exc, extra=facts
            )
        else:
            log.error(
                "internal error while moving the files of %s; will retry",
                rundir.name,
                exc_info=exc,
                extra={"event": "job.bug"},
            )
        return True
