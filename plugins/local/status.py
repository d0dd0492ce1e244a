"""
The status of a job for clients. It is read only from the control directory of arex or ARC, without a daemon.

Source: the states of ARC 6.17. ARC's own plugin does not know running and failed jobs; here, the state in the batch
system comes from ``.xml``, and the failure from ``.failed``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from arex.controldir import progress as transfers
from arex.controldir.session import SessionFiles
from arex.controldir.store import ControlDir
from arex.diagnosis.accounting import Accounting, parse_accounting
from arex.errors import CorruptFile
from arex.model import labels
from arex.model.arc import CANCELLED
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.reason import Reason
from arex.model.state import State, Status
from plugins.local import reasons
from plugins.local.reading import XmlFacts, find, read_bytes, read_local, read_text
from plugins.local.reasons import ServiceView


class ClientState(StrEnum):
    """States as the clients of ARC print them."""

    ACCEPTED = "Accepted"
    PREPARING = "Preparing"
    SUBMITTING = "Submitting"
    HOLD = "Hold"
    QUEUING = "Queuing"
    RUNNING = "Running"
    FINISHING = "Finishing"
    FINISHED = "Finished"
    FAILED = "Failed"
    KILLED = "Killed"
    DELETED = "Deleted"
    OTHER = "Other"

    @property
    def final(self) -> bool:
        return self in _FINAL


_FINAL: Final = frozenset({ClientState.FINISHED, ClientState.FAILED, ClientState.KILLED, ClientState.DELETED})
_SIMPLE: Final[Mapping[State, ClientState]] = {
    State.ACCEPTED: ClientState.ACCEPTED,
    State.PREPARING: ClientState.PREPARING,
    State.SUBMIT: ClientState.SUBMITTING,
    State.CANCELING: ClientState.FINISHING,
    State.FINISHING: ClientState.FINISHING,
    State.DELETED: ClientState.DELETED,
}
#: State by letter of the phase. Before the first poll there is no letter; most jobs are queued then.
_IN_LRMS: Final[Mapping[str, ClientState]] = {
    "": ClientState.QUEUING,
    "Q": ClientState.QUEUING,
    "S": ClientState.HOLD,
    "H": ClientState.HOLD,
    "R": ClientState.RUNNING,
    "E": ClientState.RUNNING,
    "O": ClientState.RUNNING,
    "EXECUTED": ClientState.RUNNING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """Current status of a job. None or an empty text means unknown, or not known yet."""

    id: JobId
    state: ClientState
    specific: str  #: as named by the service: ``INLRMS:R``, ``PENDING:PREPARING``
    name: str = ""
    sessiondir: Path | None = None
    owner: str = ""  #: distinguished name
    lrms: str = ""
    queue: str = ""
    localid: str = ""  #: id in the batch system
    nodes: tuple[str, ...] = ()
    exit_code: int | None = None
    reason: Reason | None = None  #: why it waits, or why it failed; None while it runs, and after a success
    failure: str = ""  #: reasons of failure in ARC's words, one per line
    staging: str = ""  #: progress of longer transfers
    position: int | None = None  #: among the jobs that wait in ACCEPTED, from 1
    reruns: int = 0  #: remaining reruns
    restartable: bool = False
    submitted: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    changed: datetime | None = None  #: last change of state
    erased: datetime | None = None  #: when the results will be removed
    slots: int | None = None  #: that it has asked for
    wall_limit_s: int | None = None
    wall_s: int | None = None  #: used, after its end
    cpu_s: int | None = None
    memory_kb: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    delegationid: str = ""

    @property
    def url(self) -> str:
        """The job's name for clients: ``file://SESSIONDIR/ID``."""
        return f"file://{self.sessiondir}" if self.sessiondir else str(self.id)


#: The keys of ``.local`` that a status needs.
_SHOWN: Final = frozenset({
    "jobname", "sessiondir", "subject", "lrms", "queue", "localid", "rerun", "failedstate", "starttime", "cleanuptime",
    "delegationid", "processtime",
})  # fmt: skip
#: States after the end of the payload.
_ENDED: Final = frozenset({State.FINISHING, State.FINISHED, State.DELETED})


def read_status(
    store: ControlDir,
    job: JobId,
    *,
    now: datetime,
    roots: tuple[Path, ...] = (),
    view: ServiceView | None = None,
) -> JobStatus:
    """
    The status of one job; ``roots`` are searched for the session directory if ``.local`` does not name it.

    Without ``view``, a reason for waiting is only what the files of the job say.

    Raises:
        NoSuchJob: there is no such job.
        NotYourJob: its files belong to another user.
    """
    found = find(store, job)
    local = read_local(store, job, _SHOWN)
    failure = read_text(store, job, "failed").strip()
    facts = XmlFacts(read_text(store, job, "xml"))
    state, specific = client_state(found.status, facts.phase, failure)
    # until its end, a rerun still has the accounting of the previous run
    ended = found.status is not None and found.status.state in _ENDED
    used = parse_accounting(read_bytes(store, job, "diag")) if ended else Accounting()
    stopped = found.changed if found.status is not None and found.status.state is State.FINISHED else None
    progress = _staging(found.status, local.sessiondir)
    reason, place = None, None
    if not state.final and found.status is not None:
        view = view or ServiceView()
        reason, held = reasons.why_waiting(
            store, job, found, local=local, phase=facts.phase, progress=progress, view=view, now=now
        )
        state = ClientState.HOLD if held else state
        place = view.accepting.get(job) if found.status.state is State.ACCEPTED else None
    known = JobStatus(
        id=job,
        state=state,
        specific=specific,
        name=local.jobname or "",
        sessiondir=local.sessiondir or _session(job, roots),
        owner=local.subject or "",
        lrms=local.lrms or "",
        queue=local.queue or "",
        localid=local.localid or "",
        nodes=facts.nodes or ((used.node,) if used.node else ()),
        exit_code=(facts.exit_code if used.exit_code is None else used.exit_code) if ended else None,
        reason=reason,
        failure=failure,
        staging=progress,
        position=place,
        reruns=local.rerun or 0,
        restartable=state in {ClientState.FAILED, ClientState.KILLED}
        and local.failedstate is not None
        and (local.rerun or 0) > 0,
        submitted=local.starttime,
        started=used.started or _started(facts, state, local, found.changed),
        ended=used.ended or stopped,
        changed=found.changed,
        erased=local.cleanuptime,
        slots=facts.number("RequestedSlots"),
        wall_limit_s=facts.wall_limit_s,
        wall_s=used.wall_s,
        cpu_s=used.cpu_s,
        memory_kb=used.memory_kb,
        labels=labels.of(local),
        delegationid=local.delegationid or "",
    )
    return replace(known, reason=_why_failed(store, known)) if failure and state.final else known


def _why_failed(store: ControlDir, known: JobStatus) -> Reason | None:
    from arex.diagnosis.failed import why_failed  # noqa: PLC0415 - only for failed jobs

    used = Accounting(
        exit_code=known.exit_code, ended=known.ended,
        wall_s=known.wall_s, cpu_s=known.cpu_s, memory_kb=known.memory_kb,
    )  # fmt: skip
    session = None if known.sessiondir is None else SessionFiles(known.sessiondir)
    return why_failed(store, known.id, failure=known.failure, lrms=known.lrms, session=session, used=used)


def _started(facts: XmlFacts, state: ClientState, local: JobLocal, changed: datetime) -> datetime | None:
    """When the payload started; fork starts it when it takes the job."""
    known = facts.moment("StartTime")
    here = state is ClientState.RUNNING and (local.lrms or "").lower() == "fork"
    return known or (changed if here else None)


def client_state(status: Status | None, phase: str, failure: str) -> tuple[ClientState, str]:
    """The state for clients, and the state of the service."""
    if status is None:
        return ClientState.OTHER, "UNDEFINED"
    if status.state is State.FINISHED:
        if not failure:
            return ClientState.FINISHED, "FINISHED"
        killed = CANCELLED in failure.splitlines()
        return (ClientState.KILLED, "KILLED") if killed else (ClientState.FAILED, "FAILED")
    if status.state is State.INLRMS:
        if status.pending:
            return ClientState.RUNNING, str(status)
        return _IN_LRMS.get(phase, ClientState.RUNNING), f"INLRMS:{phase}" if phase else "INLRMS"
    return _SIMPLE[status.state], str(status)


def _session(job: JobId, roots: tuple[Path, ...]) -> Path | None:
    """
    Search the session directory in all roots; a directory that cannot be read, such as another user's, counts as
    missing.
    """
    candidates = [root / job for root in roots]
    return next((path for path in candidates if os.path.isdir(path)), candidates[0] if candidates else None)


def _staging(status: Status | None, session: Path | None) -> str:
    """Progress of the transfers of a job; the record can be half a minute old, or invalid."""
    if status is None or session is None or status.state not in {State.PREPARING, State.FINISHING}:
        return ""
    try:
        known = transfers.read(SessionFiles(session).staging)
    except (CorruptFile, OSError):
        return ""
    return "" if known is None else str(known)
