"""The status file of a daemon, ``arex.status`` in the control directory, which ``arex status`` shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from arex.controldir import atomic
from arex.errors import CorruptFile, ServiceError

STATUS: Final = "arex.status"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Status of a running daemon, written every few seconds if it has changed."""

    pid: int
    started: str
    updated: str
    version: str
    controldir: str
    wakeups: str  #: how arex detects changes, and why it uses this method
    states: Mapping[str, int]
    complete: bool = True  #: False: the jobs in the control directory have not been read yet
    waiting: int  #: new jobs that wait because of maxjobs
    lrms: Mapping[str, str]  #: batch system to "ok" or "down since ...: why"
    calls: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  #: commands run since the start
    unsure: Mapping[str, int] = field(default_factory=dict)  #: submissions that are being looked up
    staging: Mapping[str, int] = field(default_factory=dict)  #: counters of transfers since the start
    faults: Mapping[str, Mapping[str, str | int | bool]] = field(default_factory=dict)
    """Work of the service in which errors occurred: ``count``, and ``at`` and ``message`` of the last; ``recent``."""
    troubled: Mapping[str, str] = field(default_factory=dict)  #: jobs that cannot be processed now, at most ten: why
    troubled_count: int = 0  #: number of these jobs
    log_trouble: str = ""  #: why the log cannot be written
    strays: int = 0  #: orphans at start: batch jobs with a tag of arex that belonged to no job in the control directory
    config: str = ""  #: the configuration file; empty: none, all options have their defaults
    served: Mapping[str, object] = field(default_factory=dict)  #: see ``arex.daemon.served``
    code: str = ""  #: fingerprint of the program files at the start
    phases: Mapping[str, int] = field(default_factory=dict)  #: jobs in INLRMS by the letter of their phase
    ended: Mapping[str, int] = field(default_factory=dict)  #: since the start: ``finished`` and ``failed``
    kept: int = 0  #: ended jobs that are still in the control directory
    slots: Mapping[str, int | None] = field(default_factory=dict)
    """``used`` and ``total`` of this service, where jobs wait for slots in PREPARING; ``total`` may be None."""
    queues: Mapping[str, Mapping[str, Mapping[str, int | str | None]]] = field(default_factory=dict)
    """Batch system to queues: ``state`` (open, paused), limits, and of a paused one ``since, reason, next_try``."""
    answered: Mapping[str, str] = field(default_factory=dict)  #: batch system to the ISO time of its last answer
    reload: Mapping[str, object] = field(default_factory=dict)
    """The last reload: ``count`` since the start, ``at``, ``accepted``, ``faults`` or ``warnings``, ``later``."""
    stopped: bool = False  #: the service has stopped as it should; otherwise, it was killed or the machine was


def write_snapshot(controldir: Path, snapshot: Snapshot) -> None:
    facts = {name: getattr(snapshot, name) for name in Snapshot.__slots__}
    atomic.put(str(controldir / STATUS), json.dumps(facts).encode())


def read_snapshot(controldir: Path) -> Snapshot | None:
    """The last status that a daemon wrote, which may have exited since; None if no daemon ever ran here."""
    try:
        data = atomic.read(str(controldir / STATUS))
        if data is None:
            return None
        facts: dict[str, Any] = json.loads(data)
        return Snapshot(**{name: facts[name] for name in Snapshot.__slots__ if name in facts})
    except (ValueError, KeyError, TypeError, CorruptFile) as exc:
        raise ServiceError(f"{controldir / STATUS} cannot be parsed: {exc}; a running daemon rewrites it") from exc
