"""
What condor_q and condor_history say about jobs: where each is, and why it ended.

Source: job ClassAd attributes and hold reason codes in the manual of HTCondor 23.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from typing import Final

from arex.errors import UnreadableOutput
from arex.model.ids import LocalId
from arex.model.report import EndCause, Phase, Usage
from arex.process import Completed
from lrms.command.dialect import Seen, no_answer, unknown_state
from lrms.command.listings import entries
from lrms.htcondor.classads import Ad, ad_of, ads, integer, moment, number, text

#: The requested attributes of each job.
ATTRIBUTES: Final = (
    "ClusterId",
    "ProcId",
    "JobStatus",
    "ArexTag",
    "Owner",
    "ExitBySignal",
    "ExitCode",
    "ExitSignal",
    "HoldReason",
    "HoldReasonCode",
    "LastHoldReason",
    "LastHoldReasonCode",
    "RemoveReason",
    "RemoteHost",
    "LastRemoteHost",
    "JobStartDate",
    "JobCurrentStartDate",
    "CompletionDate",
    "EnteredCurrentStatus",
    "NumJobStarts",
    "NumShadowStarts",
    "RemoteWallClockTime",
    "RemoteUserCpu",
    "RemoteSysCpu",
    "ResidentSetSize_RAW",
)
_REMOVED, _COMPLETED, _HELD = 3, 4, 5
#: JobStatus to word and phase.
_STATES: Final[Mapping[int, tuple[str, Phase]]] = {
    0: ("UNEXPANDED", Phase.QUEUED),
    1: ("IDLE", Phase.QUEUED),
    2: ("RUNNING", Phase.RUNNING),
    _REMOVED: ("REMOVED", Phase.ENDED),
    _COMPLETED: ("COMPLETED", Phase.ENDED),
    _HELD: ("HELD", Phase.HELD),
    6: ("TRANSFERRING_OUTPUT", Phase.EXITING),
    7: ("SUSPENDED", Phase.SUSPENDED),
    8: ("JOB_STATUS_FAILED", Phase.EXITING),
    9: ("JOB_STATUS_BLOCKED", Phase.QUEUED),
}
#: Holds that end with a release: by hand, at submission, during a file transfer.
ASKED: Final = (1, 15, 16)
#: Holds because files were not transferred back or were too large: the results of the job are lost.
_NOT_BACK: Final = frozenset({12, 33})
#: Causes of the end of a job that HTCondor itself has put on hold, by HoldReasonCode; any other: it could not start.
_HOLDS: Final[Mapping[int, EndCause]] = {
    3: EndCause.CANCELLED_BY_LIMIT,
    5: EndCause.CANCELLED_BY_LIMIT,
    21: EndCause.CANCELLED_BY_LIMIT,
    26: EndCause.CANCELLED_BY_LIMIT,
    34: EndCause.MEMORY,
    46: EndCause.WALLTIME,
    47: EndCause.WALLTIME,
}
#: The reasons of the job's own policy for removing it.
OURS: Final = "arex: "
_REASONS: Final[Mapping[str, EndCause]] = {
    "walltime": EndCause.WALLTIME,
    "cputime": EndCause.CPUTIME,
    "memory": EndCause.MEMORY,
    "preempted": EndCause.PREEMPTED,
}
DOWN: Final = re.compile(
    r"failed to (connect|fetch ads|end transaction)|can't (find address|connect)|unable to (locate|connect)|"
    r"SECMAN|AUTHENTICATE|\btimed? ?out\b|communication error|extra info:|: \(null\)|"
    r"CONDOR_CONFIG|configuration (source|file)",
    re.IGNORECASE,
)


def listed(done: Completed, user: str = "") -> Mapping[LocalId, Seen]:
    """
    Every job of this account in the answer, which has those of all accounts if ours is a super user of the queue.

    Jobs of other owners are left out if any job belongs to ``user``: otherwise HTCondor has another name for us.

    Raises:
        BatchUnavailable: there is no answer, or it is invalid.
    """
    if done.code != 0 or DOWN.search(done.err):
        raise no_answer(done, DOWN)
    found = ads(done)
    owners = [_owner(element) for element in found]
    if user and user in owners:
        found = [element for element, owner in zip(found, owners, strict=True) if owner in {user, ""}]
    seen = entries.listed("HTCondor", found, _ids, lambda element: _seen(ad_of(element)))
    if found and not seen:
        raise UnreadableOutput(done.argv, done.code, done.out)
    return seen


def _ids(element: ET.Element) -> Iterator[LocalId]:
    """The id of a job, from its two attributes: another one may be unreadable."""
    values = {each.get("n"): each.findtext("i", "") for each in element.findall("a")}
    yield LocalId(f"{int(values['ClusterId'])}.{int(values['ProcId'])}")


def _owner(element: ET.Element) -> str:
    return next((each.findtext("s", "") for each in element.findall("a") if each.get("n") == "Owner"), "")


def _seen(ad: Ad) -> Seen:
    if (status := integer(ad, "JobStatus")) is None:
        raise ValueError("an ad without JobStatus")
    word, phase = _STATES.get(status, (f"JobStatus {status}", Phase.OTHER))
    if phase is Phase.OTHER:
        unknown_state("HTCondor", str(status))
    cause, why = None, ""
    if status == _COMPLETED or (status == _REMOVED and moment(ad, "CompletionDate")):
        cause, why = _completed(ad)
    elif status == _REMOVED and ad.get("RemoteHost"):
        phase, why = Phase.EXITING, text(ad, "RemoveReason")  # it is about to end
    elif status == _REMOVED:
        cause, why = _removed(ad)
    elif status == _HELD:
        why = text(ad, "HoldReason")
        if integer(ad, "HoldReasonCode") not in ASKED:
            phase, cause = Phase.ENDED, _held(ad, "HoldReasonCode")
    ended = phase is Phase.ENDED
    return Seen(
        phase=phase,
        word=f"{word} ({why})" if why else word,
        tag=text(ad, "ArexTag"),
        cause=cause,
        exit_code=integer(ad, "ExitCode") if cause is EndCause.EXIT_CODE else None,
        signal=integer(ad, "ExitSignal") if ended and ad.get("ExitBySignal") is True else None,
        nodes=_nodes(ad),
        started=moment(ad, "JobCurrentStartDate", "JobStartDate"),
        ended=moment(ad, "CompletionDate", "EnteredCurrentStatus") if ended else None,
        usage=_usage(ad) if ended else Usage(),
        lingers=ended and status == _HELD,
        message=f"waits: {why}" if phase is Phase.HELD and why else "",
    )


def _completed(ad: Ad) -> tuple[EndCause | None, str]:
    """The end of a completed job. A second copy of a script ends at once, with an exit code that does not count."""
    if (integer(ad, "NumJobStarts") or 0) > 1:
        return EndCause.PREEMPTED, "started again"
    if (integer(ad, "NumShadowStarts") or 0) > 1:
        return None, "handed to a node more than once"
    return (EndCause.SIGNAL if ad.get("ExitBySignal") is True else EndCause.EXIT_CODE), ""


def _removed(ad: Ad) -> tuple[EndCause, str]:
    reason = text(ad, "RemoveReason")
    if reason.startswith(OURS):
        ours = reason.removeprefix(OURS)
        return (_REASONS[ours] if ours in _REASONS else _held(ad, "LastHoldReasonCode")), ours
    if "SYSTEM_PERIODIC_REMOVE" in reason or "PeriodicRemove" in reason:
        return EndCause.CANCELLED_BY_LIMIT, reason
    by_owner = f"(by user {ad.get('Owner')})" in reason
    return (EndCause.CANCELLED if by_owner else EndCause.CANCELLED_BY_ADMIN), reason


def _held(ad: Ad, name: str) -> EndCause:
    code = integer(ad, name) or 0
    if code in _NOT_BACK and (integer(ad, "NumJobStarts") or 0) > 0:
        return EndCause.LOST
    return _HOLDS.get(code, EndCause.NEVER_STARTED)


def _nodes(ad: Ad) -> tuple[str, ...]:
    """``slot1_2@node``."""
    slot = text(ad, "RemoteHost") or text(ad, "LastRemoteHost")
    return (slot.rpartition("@")[2],) if slot else ()


def _usage(ad: Ad) -> Usage:
    return Usage(
        wall_s=number(ad, "RemoteWallClockTime"),
        user_s=number(ad, "RemoteUserCpu"),
        system_s=number(ad, "RemoteSysCpu"),
        max_rss_kb=integer(ad, "ResidentSetSize_RAW"),
    )
