"""
The state or end of a job, from all evidence. Pure functions: facts in, a report out, without guesses.

The completion record of the job script comes first, the listing of the batch system second, its accounting third. A
record with a plain exit code decides alone. A record with a signal means that something ended the job, and the batch
system knows what and why. If the batch system has ended a job without a record, arex waits for the record: a shared
file system shows new files late.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from arex.model.report import EndCause, Evidence, EvidenceSource, Phase, Report
from lrms.attempt.record import Done, StartMarker, failure
from lrms.command.dialect import Seen, is_array_tag, is_tag

#: Ends that the batch system caused: its answer takes precedence over the script's.
_IMPOSED: Final = frozenset(EndCause) - {EndCause.EXIT_CODE, EndCause.SIGNAL, EndCause.LOST}
#: How long to wait until the batch system tells why a job got a signal, and until the script has written so, seconds.
SETTLE_S: Final = 10.0
#: Largest difference between the clocks of the batch system and of the file server.
_SKEW: Final = timedelta(minutes=5)
#: After an accepted cancellation, how long a job that never started must be missing, seconds.
_GONE_S: Final = 1.0
#: ARC's words for ``lrms_done``. Source: ``docs/developers/control-directory.md``.
_WORDS: Final[Mapping[EndCause, str]] = {
    EndCause.WALLTIME: "Job timeout",
    EndCause.NODE_FAILURE: "Node fail",
    EndCause.CANCELLED: "Job was cancelled",
    EndCause.CANCELLED_BY_ADMIN: "Job was cancelled",
    EndCause.CANCELLED_BY_LIMIT: "Job was cancelled",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What the batch system wrote into the output of a job when it ended it."""

    cause: EndCause
    line: str


def said_in(output: str, patterns: Sequence[tuple[str, EndCause]]) -> Said | None:
    """The last line in which the batch system says why it ended the job; the first matching pattern decides."""
    for line in reversed(output.splitlines()):
        for pattern, cause in patterns:
            if re.search(pattern, line, re.IGNORECASE):
                return Said(cause, line.strip())
    return None


def is_about(seen: Seen | None, tag: str | None, submitted: datetime | None = None) -> bool:
    """
    Whether an entry with the local id of an attempt is about this attempt: a batch system may use its ids again.

    It is not if it has the tag of another attempt, or if its job had ended before this one was submitted. The tag of an
    array stands for all its children, and a text of another kind is not a tag: owners can change it.

    Args:
        seen: the entry.
        tag: of the attempt; None: another service has submitted it.
        submitted: not before this time; None: unknown.
    """
    if seen is None:
        return False
    if tag is not None and seen.tag != tag and is_tag(seen.tag) and not is_array_tag(seen.tag):
        return False
    return submitted is None or seen.ended is None or seen.ended >= submitted - _SKEW


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known about one job now."""

    system: str  #: name of the batch system
    done: Done | None = None
    mark: StartMarker | None = None
    seen: Seen | None = None  #: in the scan; None: not listed
    account: Seen | None = None  #: in the accounting; None: not there, or there is none
    said: Said | None = None  #: in the script's output, by the batch system
    ours: bool = True  #: our job script runs it; without that, there is no start marker and no record
    diag_code: int | None = None  #: of a job that a script of another program ran: in ``SESSION.diag``
    cancel_asked: bool = False  #: by us
    removed: bool = False  #: the payload has removed its run directory, and the start marker with it
    sandbox: bool = False  #: the batch system brings the files of the job back, and the record with them
    waited_s: float = 0.0  #: since it was first not alive, in all answers since then
    record_wait_s: float = 120.0

    @property
    def alive(self) -> bool:
        return self.seen is not None and self.seen.phase is not Phase.ENDED

    @property
    def verdict(self) -> Seen | None:
        """The answer of the batch system about the end, if there is one."""
        seen = None if self.alive else self.seen
        if self.account is not None and self.account.phase is Phase.ENDED:  # it may lag behind
            return self.account if seen is None or seen.vague or seen.cause is None else seen
        return seen


def is_clear(done: Done) -> bool:
    """Whether the record needs no other evidence."""
    return done.signal is None and done.cause in {EndCause.EXIT_CODE, EndCause.NEVER_STARTED, EndCause.MEMORY}


def report_of(facts: Facts) -> Report | None:
    """The report; None: nothing is known about the job, and it is too early to call it lost."""
    if facts.done is not None:
        return _recorded(facts, facts.done)
    if facts.alive and facts.seen is not None:
        return _living(facts, facts.seen)
    if facts.verdict is None:
        return _never_listed(facts) or _recovered(facts) or missing(facts.waited_s, facts.record_wait_s)
    return _unrecorded(facts, facts.verdict)


def missing(missing_s: float, patience_s: float) -> Report | None:
    """
    The report of a job that its batch system does not know, in every answer for ``missing_s`` seconds.

    None as long as this may have another reason: a listing can lag behind, a record can appear late. Only this function
    calls a job lost because it is missing.
    """
    if missing_s < patience_s:
        return None
    said = (Evidence(EvidenceSource.SCAN, f"not listed for {missing_s:.0f} s"),)
    message = "the batch system no longer knows the job"
    return Report(phase=Phase.ENDED, cause=EndCause.LOST, message=message, evidence=said)


def _living(facts: Facts, seen: Seen) -> Report:
    return Report(
        phase=seen.phase, message=seen.message, nodes=seen.nodes, started=seen.started, evidence=_evidence(facts)
    )


def _recorded(facts: Facts, done: Done) -> Report:
    verdict = facts.verdict
    if not is_clear(done) and (facts.alive or _undecided(verdict)) and facts.waited_s < SETTLE_S:
        return _waiting(facts, "a signal ended the job; the batch system has not reported the reason yet")
    cause = done.cause
    if not is_clear(done):
        cause = _cause(facts, verdict) or (EndCause.CANCELLED if facts.cancel_asked else done.cause)
    return Report(
        phase=Phase.ENDED,
        exit_code=done.exit_code,
        signal=done.signal,
        cause=cause,
        message=_message(facts, cause, verdict),
        nodes=done.nodes,
        started=done.start,
        ended=done.end,
        usage=done.usage,
        evidence=_evidence(facts),
        doubt=_contradiction(facts, done, verdict),
    )


def _undecided(verdict: Seen | None) -> bool:
    """Whether the batch system has not told the cause yet, while its accounting may still do so."""
    return verdict is None or (verdict.vague and verdict.cause is None)


def _cause(facts: Facts, verdict: Seen | None) -> EndCause | None:
    """The cause if the batch system ended the job; otherwise None."""
    if verdict is None or verdict.cause not in _IMPOSED:
        ended = verdict is not None or not facts.alive
        return facts.said.cause if facts.said is not None and ended else None
    if verdict.cause is EndCause.CANCELLED_BY_ADMIN and facts.cancel_asked:
        return EndCause.CANCELLED
    return verdict.cause


def _contradiction(facts: Facts, done: Done, verdict: Seen | None) -> str:
    if verdict is None or verdict.phase is not Phase.ENDED or not is_clear(done):
        return ""
    differs = verdict.exit_code is not None and done.exit_code is not None and verdict.exit_code != done.exit_code
    if not differs and verdict.cause not in _IMPOSED:
        return ""
    return f"the job script says {_said(done)}, {facts.system} says {verdict.word}"


def _unrecorded(facts: Facts, verdict: Seen) -> Report:
    """The report of a job that the batch system has ended, without a record (yet)."""
    imposed = _cause(facts, verdict) or (EndCause.CANCELLED if facts.cancel_asked else None)
    if facts.diag_code is not None:  # a script of another program, which keeps no record
        return _concluded(facts, verdict, facts.diag_code, imposed or EndCause.EXIT_CODE)
    patience = SETTLE_S if imposed is not None else facts.record_wait_s
    unmarked = facts.ours and facts.mark is None and not facts.removed
    never_ran = unmarked and (facts.cancel_asked or imposed is EndCause.NEVER_STARTED)
    if facts.waited_s < patience and not never_ran:
        return _waiting(facts, f"{facts.system} says {verdict.word}; the completion record of the job is not there yet")
    code, cause = 256 + verdict.signal if verdict.signal else verdict.exit_code, imposed
    if cause is None and unmarked:
        code, cause = None, EndCause.NEVER_STARTED
    elif cause is None:
        cause = verdict.cause or (EndCause.LOST if code is None else EndCause.EXIT_CODE)
    report = _concluded(facts, verdict, code, cause, "" if imposed else "the job left no completion record")
    if facts.sandbox and facts.ours and cause is EndCause.EXIT_CODE:
        # an exit code without a record comes from a script whose files are missing: this is never a success
        message = "Job failed: lost (the files of the job were not returned)"
        return replace(report, exit_code=None, cause=EndCause.LOST, message=message)
    return report


def _concluded(facts: Facts, verdict: Seen, code: int | None, cause: EndCause, doubt: str = "") -> Report:
    return Report(
        phase=Phase.ENDED,
        exit_code=code,
        signal=verdict.signal or None,
        cause=cause,
        message=_message(facts, cause, verdict),
        nodes=verdict.nodes,
        started=verdict.started,
        ended=verdict.ended,
        usage=verdict.usage,
        evidence=_evidence(facts),
        doubt=doubt,
    )


def _never_listed(facts: Facts) -> Report | None:
    """A child of an array that was cancelled before SLURM made it a job: it disappears without a trace."""
    if not facts.cancel_asked or facts.mark is not None or facts.waited_s < _GONE_S:
        return None
    return Report(
        phase=Phase.ENDED,
        cause=EndCause.CANCELLED,
        message=_message(facts, EndCause.CANCELLED, None),
        evidence=_evidence(facts),
    )


def _recovered(facts: Facts) -> Report | None:
    """The report of another program's job that the batch system has forgotten."""
    if facts.diag_code is None:
        return None
    message = f"Job missing from {facts.system}, exitcode recovered from session directory"
    return Report(
        phase=Phase.ENDED,
        exit_code=facts.diag_code,
        cause=EndCause.EXIT_CODE,
        message=message if facts.diag_code else "",
        evidence=_evidence(facts),
    )


def _waiting(facts: Facts, doubt: str) -> Report:
    return Report(phase=Phase.EXITING, evidence=_evidence(facts), doubt=doubt)


def _message(facts: Facts, cause: EndCause, verdict: Seen | None) -> str:
    """The message of ``lrms_done``; empty if its code is enough."""
    if cause in {EndCause.EXIT_CODE, EndCause.SIGNAL}:
        return "" if facts.done is None else failure(facts.done)
    own = [facts.done.message] if facts.done is not None and facts.done.message else []
    more = own if verdict is None else [f"{facts.system}: {verdict.word}", *filter(None, [verdict.message])]
    reason = f" ({', '.join(more)})" if more else ""
    return f"{_WORDS.get(cause, 'Job failed')}: {cause}{reason}"


def _evidence(facts: Facts) -> tuple[Evidence, ...]:
    return tuple(Evidence(source, said) for source, said in _pieces(facts))


def _pieces(facts: Facts) -> Iterator[tuple[EvidenceSource, str]]:
    if facts.done is not None:
        yield EvidenceSource.RECORD, _said(facts.done)
    if facts.mark is not None:
        yield EvidenceSource.MARK, f"started as {facts.mark.localid}" if facts.mark.localid else "kept from starting"
    if facts.seen is not None:
        yield EvidenceSource.SCAN, facts.seen.word
    elif facts.done is None:
        yield EvidenceSource.SCAN, "not listed"
    if facts.account is not None:
        yield EvidenceSource.ACCOUNTING, facts.account.word
    if facts.diag_code is not None:
        yield EvidenceSource.SESSION, f"exitcode={facts.diag_code}"
    if facts.said is not None:
        yield EvidenceSource.SESSION, facts.said.line


def _said(done: Done) -> str:
    what = [f"exit code {done.exit_code}"] if done.exit_code is not None and done.signal is None else []
    what += [f"signal {done.signal}"] if done.signal is not None else []
    what += [done.cause] if done.cause not in {EndCause.EXIT_CODE, EndCause.SIGNAL} else []
    return f"{', '.join(what)}, ended {done.end:%Y-%m-%dT%H:%M:%SZ}"
