"""Why a job waits, or why it ended: one value, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class ReasonKind(StrEnum):
    """What a reason is about; programs compare this word, since the text can change."""

    # --- the job waits
    SERVICE = "service"  #: no service is running
    NEW = "new"  #: the service has not read the job yet
    START_TIME = "start_time"  #: its description names a time
    HOLD = "hold"  #: archold, or a hold in the batch system
    JOB_LIMIT = "job_limit"  #: maxjobs, its first and fourth number
    SLOTS = "slots"  #: all slots are in use
    UPLOAD = "upload"  #: the client has to upload files
    TRANSFER = "transfer"  #: files are being transferred
    TRANSFER_SLOT = "transfer_slot"  #: all transfer slots are in use
    TRANSFER_RETRY = "transfer_retry"  #: a transfer has failed and is tried again
    CREDENTIAL = "credential"  #: the credential has expired or was rejected
    SPACE = "space"  #: disk space or a quota
    SUBMISSION = "submission"  #: it is being submitted, or its submission is being looked up
    QUEUE = "queue"  #: submissions to the queue are paused
    BATCH_SYSTEM = "batch_system"  #: it does not answer
    BACKEND = "backend"  #: its batch system is not configured
    QUEUED = "queued"  #: it waits in the batch system
    CANCEL = "cancel"  #: it is being canceled
    STEP = "step"  #: the service is working on it
    TROUBLE = "trouble"  #: its files cannot be processed now
    # --- the job has failed
    EXIT_CODE = "exit_code"
    SIGNAL = "signal"
    WALLTIME = "walltime"
    CPUTIME = "cputime"
    MEMORY = "memory"
    NODE_FAILURE = "node_failure"
    PREEMPTED = "preempted"
    NEVER_STARTED = "never_started"
    LOST = "lost"
    REFUSED = "refused"  #: by the batch system
    CANCELED = "canceled"
    QUOTA = "quota"  #: ended because it used too much space
    STAGING = "staging"  #: a transfer has failed for good
    DESCRIPTION = "description"
    DRY_RUN = "dry_run"
    FAILURE = "failure"  #: anything else

    @property
    def is_end(self) -> bool:
        """Whether it is why a job failed; otherwise it is why a job waits."""
        return self in _ENDS


_ENDS: Final = frozenset(list(ReasonKind)[list(ReasonKind).index(ReasonKind.EXIT_CODE) :])


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a job waits or has failed."""

    kind: ReasonKind
    text: str  #: one line, for people
    since: datetime | None = None
    next_try: datetime | None = None  #: when arex tries again by itself; None: an event ends the wait
    place: int | None = None  #: in the line of waiting jobs, from 1

    def __str__(self) -> str:
        return self.text
