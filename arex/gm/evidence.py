"""
``job.ID.evidence``: what the witnesses of a job said last, for ``arcstat --evidence``.

One ``key=value`` a line: ``seen`` (ISO time, UTC), ``phase``, ``cause``, ``doubt`` (a sentence, while witnesses
disagree or one is waited for), then a line for each witness: ``record=...``, ``scan=...``. It decides nothing and
may be lost; a real A-REX ignores and removes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from arex.controldir import codec
from arex.controldir.store import ControlDir
from arex.model.ids import JobId
from arex.model.report import Report

#: Longest text of one witness, characters.
_MOST = 500


def write(store: ControlDir, job: JobId, report: Report, now: datetime) -> None:
    """Raises OSError."""
    store.put(job, "evidence", codec.encode("".join(f"{key}={value}\n" for key, value in _lines(report, now))))


def _lines(report: Report, now: datetime) -> Iterator[tuple[str, str]]:
    yield "seen", codec.iso_time(now)
    yield "phase", report.phase
    if report.cause is not None:
        yield "cause", report.cause
    if report.doubt:
        yield "doubt", _flat(report.doubt)
    if report.message:
        yield "message", _flat(report.message)
    for each in report.evidence:
        yield each.witness, _flat(each.said)


def _flat(text: str) -> str:
    return " ".join(text.split())[:_MOST]
