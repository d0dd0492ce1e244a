"""What is reported about a job that has entered a state."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from arex.controldir.session import SessionFiles
from arex.controldir.store import ControlDir
from arex.diagnosis.accounting import Accounting, parse_accounting
from arex.diagnosis.failed import why_failed
from arex.errors import CorruptFile
from arex.model.arc import CANCELLED
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.reason import Reason, ReasonKind
from arex.model.state import State

log = logging.getLogger(__name__)

#: Longest name of a job in mail and variables, characters.
_LONGEST: Final = 200


class EndState(StrEnum):
    """How a job has ended, in the words of ``arcstat``."""

    FINISHED = "Finished"
    FAILED = "Failed"
    KILLED = "Killed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """A job has entered a state; everything here was known then, and nothing was read for it."""

    job: JobId
    state: State
    at: datetime
    local: JobLocal
    failure: str  #: in ARC's words; only for FINISHED
    session: Path

    @property
    def name(self) -> str:
        """The name of the job, or its id if it has none; one line of printable characters."""
        return one_line(self.local.jobname or "")[:_LONGEST] or self.job

    @property
    def outcome(self) -> EndState:
        """How the job has ended, if it has."""
        if not self.failure:
            return EndState.FINISHED
        return EndState.KILLED if CANCELLED in self.failure.splitlines() else EndState.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFacts:
    """What the files of the job add; empty if the job was removed meanwhile."""

    used: Accounting = field(default_factory=Accounting)
    reason: Reason | None = None


def one_line(text: str) -> str:
    """The text as one line of printable characters: it can neither begin a header nor change a terminal."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def read_facts(store: ControlDir, entered: Entered) -> JobFacts:
    """
    Read the files of a job that has ended; for other states, there is nothing to read.

    Raises:
        OSError: they cannot be read now.
    """
    if entered.state is not State.FINISHED:
        return JobFacts()
    try:
        used = parse_accounting(store.read(entered.job, "diag") or b"")
    except CorruptFile as exc:
        log.debug("no accounting: %s", exc, extra={"event": "notice.accounting", "job": entered.job})
        used = Accounting()
    session = SessionFiles(entered.session)
    usable = None if session.objection(entered.job) else session
    reason = why_failed(
        store, entered.job, failure=entered.failure, lrms=entered.local.lrms or "", session=usable, used=used
    )
    return JobFacts(used=used, reason=reason or _unexplained(entered))


def _unexplained(entered: Entered) -> Reason | None:
    return Reason(ReasonKind.FAILURE, entered.failure) if entered.failure else None
