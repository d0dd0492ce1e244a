"""
``SESSION.lrms/evidence``: what the witnesses of a job said last, for ``arcstat --evidence``.

One ``key=value`` a line: ``seen`` (ISO time, UTC), ``phase``, ``cause``, ``doubt`` (a sentence, while witnesses
disagree or one is waited for), then a line for each witness: ``record=...``, ``scan=...``. It decides nothing and may
be lost. It lies beside the session and not in the control directory, which a real A-REX could not clean of it.
"""

from __future__ import annotations

import logging
import stat
from collections.abc import Iterator
from datetime import datetime

from arex.controldir import atomic, codec
from arex.controldir.session import SessionFiles
from arex.model.report import Report

log = logging.getLogger(__name__)

#: Longest text of one witness, characters.
_MOST = 500


def write(session: SessionFiles, report: Report, now: datetime) -> None:
    """Whatever a job has put in the place of the directory: its evidence is lost then, and nothing else happens."""
    data = codec.encode("".join(f"{key}={value}\n" for key, value in _lines(report, now)))
    try:
        try:
            mode = session.lrms.lstat().st_mode
        except FileNotFoundError:
            session.lrms.mkdir(mode=0o700)
            mode = stat.S_IFDIR
        if stat.S_ISDIR(mode):
            atomic.put(str(session.evidence), data)
    except OSError as exc:
        log.info("the evidence is not kept: %s", exc, extra={"event": "evidence.lost"})


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
