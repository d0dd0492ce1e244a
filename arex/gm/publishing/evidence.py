"""
``SESSION.lrms/evidence``: the latest evidence about the end of a job, for ``arcstat --evidence``.

Each line is ``key=value``: ``seen`` (ISO time, UTC), ``phase``, ``cause``, ``doubt`` (a sentence, while the evidence is
contradictory or incomplete), then one line for each source: ``record=...``, ``scan=...``. No decision depends on the
file. It is beside the session directory, because a real A-REX would not remove it from the control directory.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime

from arex.controldir import atomic, codec, confined_fs
from arex.controldir.session import SessionFiles
from arex.errors import UnsafePath
from arex.model.report import Report

log = logging.getLogger(__name__)

#: Longest text of one source, characters.
_MOST = 500


def write(session: SessionFiles, report: Report, now: datetime) -> None:
    """Write the file; if the job has replaced the directory by something else, nothing is written."""
    data = codec.encode("".join(f"{key}={value}\n" for key, value in _lines(report, now)))
    try:
        # a job that has closed it is ended: what it did must stay visible
        with confined_fs.own_directory(session.lrms, need=0) as lrms:
            atomic.put(str(lrms / session.evidence.name), data)
    except (OSError, UnsafePath) as exc:
        log.info("cannot write the evidence: %s", exc, extra={"event": "evidence.lost"})


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
        yield each.source, _flat(each.said)


def _flat(text: str) -> str:
    return " ".join(text.split())[:_MOST]
