"""The published facts about a computing element, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A queue. Times are in seconds; None means no limit."""

    name: str
    comment: str = ""
    max_walltime_s: int | None = None
    max_cputime_s: int | None = None
    max_slots: int | None = None
    max_memory_mb: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """The machines that run jobs."""

    architecture: str
    cpu_model: str
    cores: int
    memory_mb: int
    os_family: str
    os_name: str
    os_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One computing element at one moment."""

    hostname: str
    domain: str
    lrms: str
    created: datetime
    shares: tuple[Share, ...]
    nodes: Nodes
    slots: int  #: slots for jobs
    free_gb: int | None  #: in the session directories
    lifetime_s: int  #: of a finished job's session directory
    states: Mapping[str, int] = field(default_factory=dict)  #: jobs by state
    runtimes: tuple[tuple[str, str], ...] = ()  #: runtime environments that jobs can request: name, version
    accepts: bool = True

    def jobs(self, *states: str) -> int:
        return sum(self.states.get(state, 0) for state in states)
