"""
Notices that the clock of this host was set, since lifetimes of results cannot be compared with such a clock.

It may also have been set while the service did not run, which looks like a long time without a service, or a negative
one.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from arex.clock import Clock

log = logging.getLogger(__name__)

#: A larger difference between the clocks of this host is a clock that was set, and not one that drifts.
_JUMP: Final = timedelta(minutes=10)
#: How long results are kept after the clock was set, since it may be wrong now, or have been wrong before, seconds.
_GRACE_S: Final = 3600.0


class ClockCheck:
    """
    Compares the time with the monotonic clock. Any thread may use it.

    Ask also when the end of a lifetime is computed: the clock may be wrong only for a moment.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = clock.now() - timedelta(seconds=clock.monotonic())
        self._wait_until = float("-inf")  #: monotonic seconds

    def resume(self, seen: datetime | None) -> None:
        """Compare with the last time of the service that ran before; None: unknown."""
        away = timedelta(0) if seen is None else self._clock.now() - seen
        if abs(away) > _JUMP:
            log.info(
                "the service did not run for %s, or the clock of this host was set; no results are removed during the "
                "next hour",
                _signed(away),
                extra={"event": "clock.resumed"},
            )
            self._wait_until = self._clock.monotonic() + _GRACE_S

    def was_set(self) -> bool:
        """Whether the clock of this host was set during the last hour."""
        monotonic = self._clock.monotonic()
        offset = self._clock.now() - timedelta(seconds=monotonic)
        if abs(offset - self._offset) > _JUMP:
            log.warning(
                "the clock of this host was set by %s; no results are removed during the next hour",
                _signed(offset - self._offset),
                extra={"event": "clock.set"},
            )
            self._offset, self._wait_until = offset, monotonic + _GRACE_S
        return monotonic < self._wait_until


def _signed(difference: timedelta) -> str:
    """Whole seconds; ``-1 day, 23:59:00`` would be hard to read."""
    size = timedelta(seconds=round(abs(difference).total_seconds()))
    return f"-{size}" if difference < timedelta(0) else f"{size}"
