"""What the job script needs to know of a job: the variables of ``.grami``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from arex.model.ids import JobId, LocalId


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTime:
    """A runtime environment and its options, original case."""

    name: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelEnvironment:
    """All empty when only a slot count was given."""

    type: str = ""
    version: str = ""
    processes_per_host: str = ""
    threads_per_process: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grami:
    """
    One ``.grami`` file: POSIX shell assignments read by job scripts and batch backends.

    ``None`` is an empty or absent assignment. Times in seconds, sizes in MB, ``memory_mb`` per slot.
    Source: ARC 6.17.
    """

    gridid: JobId
    directory: Path  #: the session directory
    controldir: Path
    args: tuple[str, ...]  #: executable first; ``("./",)`` when there is none
    arg_code: int | None = None  #: exit code that counts as success, when not 0
    stdin: str = "/dev/null"
    stdout: str = "/dev/null"
    stderr: str = "/dev/null"
    environment: tuple[tuple[str, str], ...] = ()  #: of the description; the GRID_GLOBAL_* four are added on writing
    globalid: str = ""  #: ``GRID_GLOBAL_JOBID``
    joburl: str = ""
    interface: str = ""
    jobhost: str = ""
    cputime_s: int | None = None
    walltime_s: int | None = None
    memory_mb: int | None = None
    virtualmemory_mb: int | None = None
    disk_mb: int | None = None
    count: int = 1
    countpernode: int | None = None  #: -1 when only a count was given, None when neither
    numnodes: int | None = None
    parallel: ParallelEnvironment | None = None  #: None when no slot count was given
    exclusivenode: bool = False
    runtimes: tuple[RunTime, ...] = ()
    jobname: str = ""
    queue: str = ""
    starttime: datetime | None = None
    priority: int = 50
    inputfiles: tuple[str, ...] = ()  #: each starts with "/"
    outputfiles: tuple[str, ...] = ()
    localid: LocalId | None = None  #: ``joboption_jobid`` as appended after submission
