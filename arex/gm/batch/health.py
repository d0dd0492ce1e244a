"""Whether a batch system answers, and which of its queues are parked; shown by ``arex status``."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from arex.backoff import backoff_s
from arex.clock import Clock, time_of_day
from arex.diagnosis.facts import BatchFacts, Outage
from arex.errors import BatchUnavailable

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Parked:
    """A queue into which arex submits nothing for some time, because of a limit of the batch system."""

    since: str  #: ISO time
    why: str
    until: float  #: monotonic seconds
    failures: int = 0


class Health:
    """The health of one batch system."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.down_since: str | None = None  #: ISO time and reason, while the batch system does not answer
        self.last_answer = ""  #: ISO time; empty: it has not been asked yet, or has not answered yet
        self.silence = ""  #: why it does not answer
        self.silent_since: datetime | None = None
        self.parked: Final[dict[str, Parked]] = {}
        self._name = name
        self._clock = clock

    def no_answer(self, exc: BatchUnavailable) -> None:
        self.silence = str(exc)
        if self.down_since is None:
            self.silent_since = self._clock.now()
            self.down_since = f"{self._stamp()}: {exc}"
            log.warning("%s does not answer: %s", self._name, exc, extra={"event": "lrms.down"})

    def answered(self) -> None:
        self.last_answer = self._stamp()
        if self.down_since is not None:
            log.warning("%s answers again", self._name, extra={"event": "lrms.up"})
            self.down_since = self.silent_since = None
            self.silence = ""

    def park(self, queue: str, why: str) -> None:
        """Stop submissions to this queue for some time, which grows with every repetition."""
        known = self.parked.get(queue)
        if known is None:
            known = self.parked[queue] = Parked(self._stamp(), why, 0.0)
            log.warning(
                "submissions to queue %s are paused: %s", queue or "(default)", why, extra={"event": "lane.parked"}
            )
        else:
            known.failures += 1
        known.why, known.until = why, self._clock.monotonic() + backoff_s(known.failures)

    def unpark(self, queue: str) -> None:
        if self.parked.pop(queue, None) is not None:
            log.warning("submissions to queue %s continue", queue or "(default)", extra={"event": "lane.open"})

    def closed_s(self, queue: str) -> float:
        """Seconds until the next submission to this queue is allowed."""
        known = self.parked.get(queue)
        return 0.0 if known is None else max(0.0, known.until - self._clock.monotonic())

    def summary(self) -> str:
        """``ok``, ``not asked yet``, or what is wrong and since when."""
        if self.down_since:
            return f"down since {self.down_since}"
        queues = "; ".join(
            f"queue {queue or '(default)'} paused since {each.since}: {each.why}" for queue, each in self.parked.items()
        )
        return queues or ("ok" if self.last_answer else "not asked yet")

    def facts(self, next_poll: float) -> BatchFacts:
        """Whether the batch system answers, and which queues are paused; ``next_poll`` is in monotonic seconds."""
        down = None
        if self.down_since is not None:
            down = Outage(why=self.silence, since=self.silent_since, next_try=time_of_day(self._clock, next_poll))
        paused = {
            queue: Outage(
                why=each.why, since=datetime.fromisoformat(each.since), next_try=time_of_day(self._clock, each.until)
            )
            for queue, each in self.parked.items()
        }
        return BatchFacts(down=down, paused=paused)

    def _stamp(self) -> str:
        return f"{self._clock.now():%Y-%m-%dT%H:%M:%SZ}"
