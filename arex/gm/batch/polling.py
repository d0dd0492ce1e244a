"""How often and how much a batch system is asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PollingPolicy:
    """Seconds, and jobs in one call."""

    poll_s: float = 10.0  #: between questions about all jobs
    gap_s: float = 0.0  #: smallest time between two questions, whatever the reason
    first_look_s: float | None = 1.0  #: after submission, to tell running from queued; None: the next poll will
    absence_s: float = 15.0  #: how long another job may have the local id of a job, before that one is lost
    batch: int = 200  #: jobs in one call to submit or cancel
    gather_s: float = 0.0  #: how long a burst of submissions is gathered at most
    #: the time that an answer takes, times this, passes before the next question: a slow controller is asked less often
    patience: float = 20.0
