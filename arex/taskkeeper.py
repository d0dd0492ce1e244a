"""
Keeps the work alive that lasts as long as the service: an exception is logged and counted, and the work begins again.

Only ``ServiceLost`` passes, since nothing useful can be done without the control directory or its lock.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from arex.backoff import OUTAGE_S, backoff_s
from arex.clock import Clock
from arex.errors import ServiceLost

log = logging.getLogger(__name__)

#: Seconds after which an error is history: the pause is short again, and the health check succeeds.
_RECENT_S: Final = 600.0


@dataclass(slots=True)
class Faults:
    """The errors of one piece of work since the start of the service."""

    count: int = 0
    message: str = ""  #: the last error
    at: str = ""  #: its ISO time
    _last: float = float("-inf")  #: monotonic seconds
    _in_a_row: int = 0

    def add(self, exc: BaseException, now: float, stamp: str) -> float:
        """Count an error; returns the pause in seconds before the next attempt."""
        self._in_a_row = self._in_a_row + 1 if now - self._last < _RECENT_S else 0
        self.count += 1
        self.message, self.at, self._last = f"{type(exc).__name__}: {exc}", stamp, now
        return backoff_s(self._in_a_row, OUTAGE_S)

    def is_recent(self, now: float) -> bool:
        return now - self._last < _RECENT_S


class TaskKeeper:
    """Runs the long-lived work of a service, and counts what goes wrong in it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._faults: dict[str, Faults] = {}

    async def keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """
        Run the work until it returns; after an exception, run it again after a growing pause.

        Raises:
            ServiceLost: the work says that the service cannot continue.
        """
        while True:
            try:
                return await work()
            except ServiceLost:
                raise
            except Exception as exc:  # noqa: BLE001 - it is logged, counted and shown, and the service goes on
                await self._clock.sleep(self.note(name, exc))

    def note(self, name: str, exc: Exception, job: str = "") -> float:
        """Log and count an error in this work; returns the pause in seconds before the next attempt."""
        facts = {"event": "service.fault", "job": job}
        log.error("internal error in %s, which goes on: %s", name, exc, exc_info=exc, extra=facts)
        return self.count(name, exc)

    def count(self, name: str, exc: Exception) -> float:
        """Count an error that has been logged; returns the pause in seconds before the next attempt."""
        stamp = f"{self._clock.now():%Y-%m-%dT%H:%M:%SZ}"
        return self._faults.setdefault(name, Faults()).add(exc, self._clock.monotonic(), stamp)

    @property
    def faults(self) -> Mapping[str, Faults]:
        """All work in which errors occurred since the start, by its name."""
        return MappingProxyType(self._faults)

    def recent(self) -> list[str]:
        """The names of the work in which an error occurred during the last ten minutes."""
        now = self._clock.monotonic()
        return [name for name, faults in self._faults.items() if faults.is_recent(now)]
