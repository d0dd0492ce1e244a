"""Scans of the control directory, which find what events have missed."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

from arex.controldir.layout import Place
from arex.controldir.store import ControlDir
from arex.model.ids import JobId

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ScanResult:
    """Jobs with a status file, in the order in which they are adopted, and jobs with a mark."""

    jobs: list[JobId]
    marked: list[JobId]


def everything(store: ControlDir) -> ScanResult:
    """All active jobs, then new jobs, the oldest first; also updates the heartbeat."""
    new = sorted(store.scan(Place.ACCEPTING), key=lambda found: found[1].st_ctime_ns)
    old = [job for place in (Place.PROCESSING, Place.RESTARTING) for job in store.scan_names(place)]
    marked = [job for job, _ in store.scan_marks()]
    _heartbeat(store)
    return ScanResult([*old, *(job for job, _ in new)], marked)


def accepting(store: ControlDir) -> ScanResult:
    """Only new jobs and marks. This scan is cheap, so it can run every few seconds where events do not arrive."""
    return ScanResult(list(store.scan_names(Place.ACCEPTING)), [job for job, _ in store.scan_marks()])


def _heartbeat(store: ControlDir) -> None:
    try:
        with open(f"{store.root}/gm-heartbeat", "wb", opener=_private):
            pass
    except OSError as exc:
        log.warning("cannot write the heartbeat: %s", exc, extra={"event": "heartbeat.failed"})


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
