"""How long jobs have been missing from the answers of their batch system."""

from __future__ import annotations

from arex.clock import Clock
from arex.model.ids import LocalId


class MissingSince:
    """When each missing job was first missing. A job that was forgotten, or seen again, starts from zero."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: dict[LocalId, float] = {}  #: monotonic seconds

    def seconds(self, localid: LocalId) -> float:
        """Note that the job is missing from an answer, and return for how long it has been."""
        now = self._clock.monotonic()
        return now - self._since.setdefault(localid, now)

    def forget(self, localid: LocalId) -> None:
        self._since.pop(localid, None)
