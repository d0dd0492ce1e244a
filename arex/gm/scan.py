"""What lies in the control directory: for the scan that is the truth, whatever events were lost."""

from __future__ import annotations

import os
from dataclasses import dataclass

from arex.controldir.layout import Place
from arex.controldir.store import ControlDir
from arex.model.ids import JobId


@dataclass(frozen=True, slots=True)
class ScanResult:
    """Jobs by their status files, in the order in which they shall be taken up, and jobs with a mark."""

    jobs: list[JobId]
    marked: list[JobId]


def everything(store: ControlDir) -> ScanResult:
    """All active jobs: those under way first, then the new ones by age; tells the world that we live."""
    new = sorted(store.scan(Place.ACCEPTING), key=lambda found: found[1].st_ctime_ns)
    old = [job for place in (Place.PROCESSING, Place.RESTARTING) for job in store.scan_names(place)]
    marked = [job for job, _ in store.scan_marks()]
    _heartbeat(store)
    return ScanResult([*old, *(job for job, _ in new)], marked)


def accepting(store: ControlDir) -> ScanResult:
    """New jobs and marks alone: cheap enough for every few seconds where no events arrive."""
    return ScanResult(list(store.scan_names(Place.ACCEPTING)), [job for job, _ in store.scan_marks()])


def _heartbeat(store: ControlDir) -> None:
    with open(f"{store.root}/gm-heartbeat", "wb", opener=_private):
        pass


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
