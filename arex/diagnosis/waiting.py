"""Why a job waits: a pure function of its files, and of what the service has published about waiting jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from arex.controldir import codec
from arex.diagnosis.facts import BatchFacts, Outage, WaitingFacts
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.reason import Reason, ReasonKind
from arex.model.state import State, Status

#: A-REX's reasons of PENDING jobs. Source: ARC 6.17.
SLOTS: Final = "Limit of RUNNING jobs is reached"
OWNER_LIMIT: Final = "Jobs per DN limit is reached"
#: Those of arex.
HELD: Final = "Request to hold job"
CREDENTIAL: Final = "The credential of the job expired at "
_LAST_KNOWN: Final = "no service is running, so this is its last known state; start it with 'arex start'"
_RUNNING_PHASES: Final = frozenset({"R", "E", "O", "EXECUTED"})
_HELD_PHASES: Final = frozenset({"H", "S"})
_MOST_NAMES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingJob:
    """What the files say about a job that has not ended."""

    id: JobId
    status: Status
    changed: datetime
    local: JobLocal
    controldir: Path
    phase: str = ""  #: letter of its phase in the batch system
    held_since: datetime | None = None  #: time of the mark of ``archold``, unless the job has been released
    log: str = ""  #: the end of ``.errors``
    progress: str = ""  #: of its transfers
    missing: tuple[str, ...] = ()  #: input files that the client has not uploaded
    place: int | None = None  #: in ``accepting/``, from 1
    served: bool = True  #: a service runs

    @property
    def batch_system(self) -> str:
        return self.local.lrms or "the batch system"

    @property
    def is_held(self) -> bool:
        """Whether ``archold`` keeps it from starting."""
        return self.held_since is not None and self.status.state in {State.ACCEPTED, State.PREPARING}


def why_waiting(job: WaitingJob, facts: WaitingFacts | None, now: datetime) -> Reason | None:
    """The reason; None if the job is running."""
    if (trouble := _trouble(job.log)) is not None:
        return trouble
    if job.status.state is State.INLRMS and not job.status.pending and job.phase in _RUNNING_PHASES:
        return None if job.served else Reason(ReasonKind.SERVICE, _LAST_KNOWN)
    if job.is_held:
        return Reason(ReasonKind.HOLD, f"held with archold; to release it: arcrelease {job.id}", job.held_since)
    if not job.served:
        text = f"no service is running for {job.controldir}; start it with 'arex start'"
        return Reason(ReasonKind.SERVICE, text)
    plan = None if facts is None else facts.jobs.get(job.id)
    return _BY_STATE[job.status.state](_Case(job, facts, plan, now))


@dataclass(frozen=True, slots=True)
class _Case:
    job: WaitingJob
    facts: WaitingFacts | None
    plan: Reason | None  #: what the service says about this job; perhaps only when it is tried next
    now: datetime
    batch: BatchFacts = field(init=False)

    def __post_init__(self) -> None:
        batch: Mapping[str, BatchFacts] = {} if self.facts is None else self.facts.batch
        object.__setattr__(self, "batch", batch.get((self.job.local.lrms or "").lower(), BatchFacts()))

    @property
    def known(self) -> Reason | None:
        return self.plan if self.plan is not None and self.plan.text else None

    @property
    def next_try(self) -> datetime | None:
        return None if self.plan is None else self.plan.next_try


# --- from the log of the job -----------------------------------------------------------------------------------


def _trouble(log: str) -> Reason | None:
    """The trouble with the files of a job that the service has reported last, unless it is over."""
    for line in reversed(log.splitlines()):
        if (text := codec.parse_trouble(line)) is not None:
            if not text:
                return None
            return Reason(ReasonKind.TROUBLE, f"{text}; arex tries again every minute", _time_of(line))
        if " Job state change " in line:
            return None
    return None


def _pending(job: WaitingJob) -> Reason | None:
    """The reason with which the service has made the job PENDING, in the words of its log."""
    if not job.status.pending:
        return None
    for line in reversed(job.log.splitlines()):
        if " Job state change " in line and (text := line.partition("Reason: ")[2].strip()):
            kind = ReasonKind.CREDENTIAL if text.startswith(CREDENTIAL) else ReasonKind.SPACE
            kind = {SLOTS: ReasonKind.SLOTS, OWNER_LIMIT: ReasonKind.JOB_LIMIT}.get(text, kind)
            return Reason(kind, text, _time_of(line) or job.changed)
    return None


def _time_of(line: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(line.partition(" ")[0])
    except ValueError:
        return None
    return moment if moment.tzinfo else None


# --- states ----------------------------------------------------------------------------------------------------


def _accepted(case: _Case) -> Reason:
    job, facts = case.job, case.facts
    start = job.local.processtime
    if start is not None and start > case.now:
        return Reason(
            ReasonKind.START_TIME, f"it starts at {_shown(start)}, as its description asks", job.local.starttime, start
        )
    if (pending := _pending(job)) is not None and pending.kind is ReasonKind.JOB_LIMIT:
        limit = "the limit of jobs for one owner"
        if facts is not None and facts.owner_limit is not None:
            limit = f"the limit of {facts.owner_limit} jobs for one owner (maxjobs)"
        place = None if facts is None else facts.owner_line.get(job.id)
        return _in_line(Reason(ReasonKind.JOB_LIMIT, f"{limit} is reached", pending.since), place)
    if facts is not None and facts.outside and facts.most_jobs is not None:
        text = f"the limit of {facts.most_jobs} jobs (maxjobs) is reached"
        return _in_line(Reason(ReasonKind.JOB_LIMIT, text, job.changed), job.place)
    return case.known or pending or Reason(ReasonKind.NEW, "the service has not read it yet", job.changed)


def _in_line(reason: Reason, place: int | None) -> Reason:
    """With the place first, as the end of a text does not fit into a table."""
    if place is None:
        return reason
    where = "next in line" if place == 1 else f"place {place} in line"
    return replace(reason, text=f"{where}: {reason.text}", place=place)


def _preparing(case: _Case) -> Reason:
    job = case.job
    pending = _pending(job)
    if pending is not None and pending.kind is ReasonKind.SLOTS:
        return _slots(case, pending)
    if pending is not None and pending.text != HELD:
        return replace(pending, next_try=case.next_try)
    if case.known is not None:
        return case.known
    if job.progress:
        return Reason(ReasonKind.TRANSFER, f"downloading input files: {job.progress}", job.changed)
    if job.missing:
        more = len(job.missing) - _MOST_NAMES
        names = ", ".join(job.missing[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
        return Reason(ReasonKind.UPLOAD, f"the client has not uploaded {names} yet", job.changed)
    return Reason(ReasonKind.STEP, "preparing its session directory and input files", job.changed)


def _slots(case: _Case, pending: Reason) -> Reason:
    facts = case.facts
    if facts is None or facts.slots is None:
        return replace(pending, text="all slots are in use")
    text = f"{facts.slots_used} of {facts.slots} {facts.limit} are in use"
    return _in_line(replace(pending, text=text), facts.line.get(case.job.id))


def _submit(case: _Case) -> Reason:
    job = case.job
    if case.known is not None and case.known.kind is ReasonKind.BACKEND:
        return case.known
    paused = case.batch.paused.get(job.local.queue or "") or case.batch.paused.get("")
    if paused is not None:
        queue = f"queue {job.local.queue}" if job.local.queue else "the default queue"
        return _of_outage(ReasonKind.QUEUE, f"submissions to {queue} of {job.batch_system} are paused", paused)
    if case.batch.down is not None:
        return _of_outage(ReasonKind.BATCH_SYSTEM, f"{job.batch_system} does not answer", case.batch.down)
    return case.known or Reason(ReasonKind.SUBMISSION, f"being submitted to {job.batch_system}", job.changed)


def _of_outage(kind: ReasonKind, what: str, outage: Outage) -> Reason:
    return Reason(kind, f"{what}: {outage.why}", outage.since, outage.next_try)


def _inlrms(case: _Case) -> Reason:
    job = case.job
    if job.status.pending:
        return Reason(ReasonKind.STEP, "its results are being collected", job.changed)
    if case.known is not None and case.known.kind is ReasonKind.BACKEND:
        return case.known
    if case.batch.down is not None:
        what = f"it is in {job.batch_system}, which does not answer"
        return _of_outage(ReasonKind.BATCH_SYSTEM, what, case.batch.down)
    where = f"{job.batch_system} as job {job.local.localid}" if job.local.localid else job.batch_system
    if job.phase in _HELD_PHASES:
        word = "held" if job.phase == "H" else "suspended"
        return Reason(ReasonKind.HOLD, f"{word} in {where}", job.changed)
    queue = f", queue {job.local.queue}" if job.local.queue else ""
    more = f": {case.known.text}" if case.known is not None else ""
    return Reason(ReasonKind.QUEUED, f"queued in {where}{queue}{more}", job.changed)


def _canceling(case: _Case) -> Reason:
    job = case.job
    if case.batch.down is not None:
        what = f"it is canceled as soon as {job.batch_system} answers again"
        return _of_outage(ReasonKind.BATCH_SYSTEM, what, case.batch.down)
    return Reason(ReasonKind.CANCEL, f"being canceled in {job.batch_system}", job.changed)


def _finishing(case: _Case) -> Reason:
    job = case.job
    if (pending := _pending(job)) is not None:
        return replace(pending, next_try=case.next_try)
    if case.known is not None:
        return case.known
    if job.progress:
        return Reason(ReasonKind.TRANSFER, f"uploading output files: {job.progress}", job.changed)
    return Reason(ReasonKind.STEP, "its results are being stored", job.changed)


def _undefined(case: _Case) -> Reason:
    return Reason(ReasonKind.TROUBLE, "its status file cannot be parsed", case.job.changed)


_BY_STATE: Final = {
    State.UNDEFINED: _undefined,
    State.ACCEPTED: _accepted,
    State.PREPARING: _preparing,
    State.SUBMIT: _submit,
    State.INLRMS: _inlrms,
    State.CANCELING: _canceling,
    State.FINISHING: _finishing,
}


def _shown(moment: datetime) -> str:
    """A time for people, in their time zone."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
