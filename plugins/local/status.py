"""
The status of a job for clients. It is read only from the control directory of arex or ARC, without a daemon.

Source: the states of ARC 6.17. ARC's own plugin does not know running and failed jobs; here, the state in the batch
system comes from ``.xml``, and the failure from ``.failed``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from arex.controldir import codec, progress
from arex.controldir.layout import Place
from arex.controldir.session import SessionFiles
from arex.controldir.store import ControlDir, Found
from arex.errors import CorruptFile, NoSuchJob, NotYourJob
from arex.model.arc import CANCELLED
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.state import State, Status

#: Reason of failure of a job that its owner cancelled. Source: ARC 6.17.
_TAIL: Final = 65536


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
    failure: str = ""  #: reasons, one per line
    waiting: str = ""  #: why the job waits
    staging: str = ""  #: progress of longer transfers
    position: int | None = None  #: among the jobs that wait in ACCEPTED, from 1
    reruns: int = 0  #: remaining reruns
    restartable: bool = False
    submitted: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    changed: datetime | None = None  #: last change of state
    erased: datetime | None = None  #: when the results will be removed
    wall_s: int | None = None
    cpu_s: int | None = None
    memory_kb: int | None = None
    delegationid: str = ""

    @property
    def url(self) -> str:
        """The job's name for clients: ``file://SESSIONDIR/ID``."""
        return f"file://{self.sessiondir}" if self.sessiondir else str(self.id)


#: States after the end of the payload.
_ENDED: Final = frozenset({State.FINISHING, State.FINISHED, State.DELETED})


def read_status(store: ControlDir, job: JobId, *, now: datetime, roots: tuple[Path, ...] = ()) -> JobStatus:
    """
    The status of one job; ``roots`` are searched for the session directory if ``.local`` does not name it.

    Raises:
        NoSuchJob: there is no such job.
        NotYourJob: its files belong to another user.
    """
    found = find(store, job)
    local = read_local(store, job)
    failure = _text(store, job, "failed").strip()
    facts = _Xml(_text(store, job, "xml"))
    state, specific = client_state(found.status, facts.phase, failure)
    # until its end, a rerun still has the accounting of the previous run
    ended = found.status is not None and found.status.state in _ENDED
    diag = dict(codec.parse_diag(_bytes(store, job, "diag"))) if ended else {}
    stopped = found.changed if found.status is not None and found.status.state is State.FINISHED else None
    return JobStatus(
        id=job,
        state=state,
        specific=specific,
        name=local.jobname or "",
        sessiondir=local.sessiondir or _session(job, roots),
        owner=local.subject or "",
        lrms=local.lrms or "",
        queue=local.queue or "",
        localid=local.localid or "",
        nodes=facts.nodes or ((diag["nodename"],) if diag.get("nodename") else ()),
        exit_code=_exit_code(diag, facts) if ended else None,
        failure=failure,
        waiting=_waiting(store, job, found.status, local, now),
        staging=_staging(found.status, local.sessiondir),
        reruns=local.rerun or 0,
        restartable=state in {ClientState.FAILED, ClientState.KILLED}
        and local.failedstate is not None
        and (local.rerun or 0) > 0,
        submitted=local.starttime,
        started=_moment(diag.get("lrmsstarttime", "")) or facts.moment("StartTime"),
        ended=_moment(diag.get("lrmsendtime", "")) or stopped,
        changed=found.changed,
        erased=local.cleanuptime,
        wall_s=codec.diag_number(diag.get("walltime", "")),
        cpu_s=_sum(codec.diag_number(diag.get("usertime", "")), codec.diag_number(diag.get("kerneltime", ""))),
        memory_kb=codec.diag_number(diag.get("maxresidentmemory", "")),
        delegationid=local.delegationid or "",
    )


def find(store: ControlDir, job: JobId) -> Found:
    """
    The status file of a job of this user.

    Raises:
        NoSuchJob, NotYourJob
    """
    found = store.read_status(job)
    if found is not None:
        return found
    for place in Place:
        path = Path(store.layout.status_file(place, job))
        if path.is_symlink() or path.exists():
            raise NotYourJob(f"job {job} belongs to another user")
    raise NoSuchJob(f"no job {job} in {store.root}")


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


class _Xml:
    """The elements of ``.xml`` that no other file has; an XML parser would double the start-up time of clients."""

    def __init__(self, text: str) -> None:
        self._text = text

    def _all(self, name: str) -> list[str]:
        return re.findall(rf"<{name}>([^<]*)</{name}>", self._text)

    @property
    def phase(self) -> str:
        """The letter after ``INLRMS:``; empty before the first poll."""
        words = (state.removeprefix("nordugrid:INLRMS:") for state in self._all("State")
                 if state.startswith("nordugrid:INLRMS:"))  # fmt: skip
        return next(words, "").partition(":")[0]

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(self._all("ExecutionNode"))

    @property
    def exit_code(self) -> int | None:
        texts = [text for text in self._all("ExitCode") if re.fullmatch(r"-?[0-9]{1,9}", text)]
        return int(texts[0]) if texts else None

    def moment(self, name: str) -> datetime | None:
        try:
            return next((datetime.fromisoformat(text) for text in self._all(name)), None)
        except ValueError:
            return None  # a file of another user


def _bytes(store: ControlDir, job: JobId, suffix: str) -> bytes:
    """A file that may be missing, or changed by the payload."""
    try:
        return store.read(job, suffix) or b""
    except (CorruptFile, PermissionError):
        return b""


def _text(store: ControlDir, job: JobId, suffix: str) -> str:
    return _bytes(store, job, suffix).decode("utf-8", "replace")


def read_local(store: ControlDir, job: JobId) -> JobLocal:
    """The facts in ``.local``; all fields are empty if the file does not exist."""
    try:
        return store.read_local(job) or JobLocal()
    except BlockingIOError:  # a real A-REX is rewriting it: read it without the lock
        return codec.parse_local(_bytes(store, job, "local"))


def _session(job: JobId, roots: tuple[Path, ...]) -> Path | None:
    """
    Search the session directory in all roots; a directory that cannot be read, such as another user's, counts as
    missing.
    """
    candidates = [root / job for root in roots]
    return next((path for path in candidates if os.path.isdir(path)), candidates[0] if candidates else None)


def _exit_code(diag: Mapping[str, str], facts: _Xml) -> int | None:
    text = diag.get("exitcode", "").strip()
    return int(text) if re.fullmatch(r"-?[0-9]{1,9}", text) else facts.exit_code


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None and other is None else (one or 0) + (other or 0)


def _moment(text: str) -> datetime | None:
    try:
        return codec.parse_mds(text) if text else None
    except ValueError:
        return None  # the payload can write into its diag file


def _waiting(store: ControlDir, job: JobId, status: Status | None, local: JobLocal, now: datetime) -> str:
    if status is None or status.state is State.FINISHED:
        return ""
    if status.state is State.ACCEPTED and local.processtime is not None and local.processtime > now:
        return f"It starts at {codec.iso_time(local.processtime)}, as its description asks"
    return _last_reason(store, job, pending=status.pending)


def _staging(status: Status | None, session: Path | None) -> str:
    """Progress of the transfers of a job; the record can be half a minute old, or invalid."""
    if status is None or session is None or status.state not in {State.PREPARING, State.FINISHING}:
        return ""
    try:
        known = progress.read(SessionFiles(session).staging)
    except (CorruptFile, OSError):
        return ""
    return "" if known is None else str(known)


def _last_reason(store: ControlDir, job: JobId, *, pending: bool) -> str:
    """
    Why the job waits, from the last line of ``.errors`` about it: a change of state, or trouble with its files.

    The reason of a change of state is one only if the job is PENDING.
    """
    for line in reversed(_text(store, job, "errors")[-_TAIL:].splitlines()):
        if (trouble := codec.parse_trouble(line)) is not None:
            return trouble
        if " Job state change " in line:
            return line.partition("Reason: ")[2] if pending else ""
    return ""
