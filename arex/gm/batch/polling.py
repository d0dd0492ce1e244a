"""The polling policy of a batch system."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PollingPolicy:
    """How often to query a batch system, and how many jobs to put into one call. Times are in seconds."""

    poll_s: float = 10.0  #: between polls of all jobs
    gap_s: float = 0.0  #: minimum time between two queries
    first_look_s: float | None = 1.0  #: first poll after a submission; None: the next regular poll
    absence_s: float = 15.0  #: how long two jobs may have the same local id before the newer one is lost
    batch: int = 200  #: jobs in one call to submit or cancel
    gather_s: float = 0.0  #: longest time to wait for more submissions in a burst
    #: the pause before the next query is at least the duration of the last one times this number
    patience: float = 20.0
