"""
Ends jobs, and remembers which jobs are being ended and why, and other facts that a look at the job does not tell.

All of it is in memory: a new daemon notices the same things again.
"""

from __future__ import annotations

import logging
import os
import signal
from dataclasses import dataclass
from typing import Final

from arex.clock import Clock
from arex.model.ids import LocalId
from arex.ports import LocalJob
from lrms.fork import signals
from lrms.fork.supervisors import Supervisor, tree_of
from lrms.processes import ProcessIdentity

log = logging.getLogger(__name__)

#: How long a supervisor may need for the end of a job beyond the time between TERM and KILL; then it is killed itself.
_PATIENCE_S: Final = 20.0
#: After so many answers in a row in which a supervisor was stopped, although it was continued, its job is ended.
_MOST_STOPS: Final = 3


@dataclass(slots=True)
class Enforcement:
    """What is known about one job."""

    cancelled: bool = False  #: by us
    why: str = ""  #: why we end it, without a request
    stops: int = 0  #: answers in a row in which its supervisor was stopped
    deadline: float | None = None  #: monotonic seconds; all that is left then is killed
    trouble: int = 0  #: the last error number of its record that was logged
    tree: tuple[ProcessIdentity, ...] = ()  #: its processes as they were seen last, if no forkserver of ours has it


class Enforcer:
    """Ends jobs through their supervisors, and if need be without them."""

    def __init__(self, clock: Clock, grace_s: float) -> None:
        self._clock = clock
        self._grace_s = grace_s
        self._jobs: dict[LocalId, Enforcement] = {}

    def get(self, localid: LocalId) -> Enforcement:
        """What is known; nothing, if the job is not known."""
        return self._jobs.get(localid) or Enforcement()

    def note(self, localid: LocalId) -> Enforcement:
        """What is known, to be changed."""
        return self._jobs.setdefault(localid, Enforcement())

    def forget(self, localid: LocalId) -> None:
        """Forget a job whose end is reported."""
        self._jobs.pop(localid, None)

    def end(self, job: LocalJob, supervisor: Supervisor | None, why: str = "") -> None:
        """
        End a job through its supervisor; without ``why``, because that was asked for.

        Raises:
            PermissionError: the supervisor belongs to another user.
        """
        known = self.note(job.localid)
        known.cancelled |= not why
        if why and known.deadline is not None:
            return  # a second TERM tells a supervisor to give its record up
        if why:
            known.why = why
            log.warning("job %s is ended: %s", job.job, why, extra={"event": "job.tampered"})
        if known.deadline is None:
            known.deadline = self._clock.monotonic() + self._grace_s + _PATIENCE_S
        if supervisor is not None:
            signals.send(supervisor.identity, signal.SIGTERM)
            signals.send(supervisor.identity, signal.SIGCONT)

    def keep(self, job: LocalJob, trouble: int) -> str:
        """Note that a record cannot be written; returns a sentence about it."""
        known = self.note(job.localid)
        why = f"the job has ended; its completion record cannot be written: {os.strerror(trouble)}"
        if known.trouble != trouble:
            known.trouble = trouble
            log.warning("job %s: %s", job.job, why, extra={"event": "record.kept", "job": job.job})
        return why

    def enforce(self, job: LocalJob, supervisor: Supervisor) -> None:
        """Continue a stopped supervisor; kill everything if the job should have ended long ago."""
        known = self.get(job.localid)
        if supervisor.stopped:
            known = self.note(job.localid)
            known.stops += 1
            signals.send(supervisor.identity, signal.SIGCONT)
            if known.stops >= _MOST_STOPS:
                self.end(job, supervisor, "its supervisor was stopped again and again")
        else:
            known.stops = 0
        if known.deadline is not None and self._clock.monotonic() >= known.deadline:
            # the supervisor first, or it might write a record meanwhile
            signals.kill((supervisor.identity, *tree_of(supervisor.identity)))
