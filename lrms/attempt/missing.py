"""How long jobs have been missing from the answers of their batch system."""

from __future__ import annotations

from arex.clock import Clock
from arex.model.ids import LocalId


class MissingSince:
    """Of each job that is missing: since when. A job that is forgotten, or present again, starts anew."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: dict[LocalId, float] = {}  #: monotonic seconds

    def seconds(self, localid: LocalId) -> float:
        """The job is missing from an answer: for how long now."""
        now = self._clock.monotonic()
        return now - self._since.setdefault(localid, now)

    def forget(self, localid: LocalId) -> None:
        self._since.pop(localid, None)
