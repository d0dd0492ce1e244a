"""Jobs that are ready for a turn, in the order in which the workers take them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from arex.model.ids import JobId

#: New jobs that are taken before an adopted job has its turn.
_NEW_IN_A_ROW: Final = 3


class ReadyQueue:
    """
    While there are new and adopted jobs, takes three new ones, then an adopted one; each kind in order of arrival.

    So a burst of new jobs reaches the batch system soon, even if earlier jobs of the burst already end, and running or
    ending jobs do not wait for a thousand adoptions. Use it on the event loop only.
    """

    def __init__(self) -> None:
        self._new: deque[JobId] = deque()
        self._adopted: deque[JobId] = deque()
        self._filled = asyncio.Event()
        self._new_in_a_row = 0

    def __len__(self) -> int:
        return len(self._new) + len(self._adopted)

    def put(self, job: JobId, *, new: bool) -> None:
        (self._new if new else self._adopted).append(job)
        self._filled.set()

    async def take(self, *, shared_by: int, most: int) -> list[JobId]:
        """
        The next jobs: a fraction 1 / ``shared_by`` of the queue, at least one job and at most ``most``.

        Waits if the queue is empty.
        """
        while not len(self):
            self._filled.clear()
            await self._filled.wait()
        return [self._pop() for _ in range(min(most, 1 + (len(self) - 1) // shared_by))]

    def _pop(self) -> JobId:
        from_new = bool(self._new) and (self._new_in_a_row < _NEW_IN_A_ROW or not self._adopted)
        self._new_in_a_row = self._new_in_a_row + 1 if from_new else 0
        return (self._new if from_new else self._adopted).popleft()
