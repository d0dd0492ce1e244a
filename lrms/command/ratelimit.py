"""A hard limit on the queries to a batch system in one minute, and the count of all commands."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import Final

from arex.clock import Clock

_WINDOW_S: Final = 60.0


class RateLimit:
    """Counts every command; queries wait when the limit for this minute is reached."""

    def __init__(self, most: int, clock: Clock) -> None:
        self._most = most
        self._clock = clock
        self._asked: deque[float] = deque()
        self._counts: Counter[str] = Counter()

    def count(self, command: str) -> None:
        self._counts[command] += 1

    async def query(self) -> None:
        """Returns when another query may be made."""
        while True:
            now = self._clock.monotonic()
            while self._asked and now - self._asked[0] >= _WINDOW_S:
                self._asked.popleft()
            if len(self._asked) < self._most:
                self._asked.append(now)
                return
            await self._clock.sleep(self._asked[0] + _WINDOW_S - now)

    def figures(self) -> Mapping[str, int]:
        return dict(self._counts)
