"""How much one transfer has moved, and whether that is too slow."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from arex.config.values import SpeedControl


class Meter:
    """Counts the bytes of one attempt; ``look`` checks the speed about once a second."""

    __slots__ = ("_break_off", "_marks", "_moved_at", "_started", "moved", "name", "reason", "size", "skipped")

    def __init__(self, name: str, now: float, break_off: Callable[[], None]) -> None:
        self.name = name
        self.size: int | None = None
        self.moved = 0  #: bytes of this attempt
        self.skipped = 0  #: bytes of earlier attempts
        self.reason = ""  #: why it was stopped
        self._started = self._moved_at = now
        self._marks: deque[tuple[float, int]] = deque([(now, 0)])
        self._break_off = break_off

    def look(self, now: float, limits: SpeedControl) -> None:
        """Stop the attempt if it is too slow. Source: meaning of ``speedcontrol`` in arc.conf."""
        if self.moved > self._marks[-1][1]:
            self._moved_at = now
        self._marks.append((now, self.moved))
        while len(self._marks) > 2 and now - self._marks[1][0] >= limits.min_time:
            self._marks.popleft()
        if not self.reason and (reason := self._too_slow(now, limits)):
            self.reason = reason
            self._break_off()

    def _too_slow(self, now: float, limits: SpeedControl) -> str:
        if limits.max_inactivity and now - self._moved_at >= limits.max_inactivity:
            return f"no data for {limits.max_inactivity} s"
        since, before = self._marks[0]
        span = now - since
        if limits.min_speed and span >= max(1, limits.min_time) and self.moved - before < limits.min_speed * span:
            return f"less than {limits.min_speed} bytes/s for {limits.min_time} s"
        age = now - self._started
        if limits.min_average and age >= max(1, limits.min_time) and self.moved < limits.min_average * age:
            return f"less than {limits.min_average} bytes/s on average"
        return ""
