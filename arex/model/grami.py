"""The facts about a job that the job script needs: the variables of ``.grami``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from arex.model.ids import JobId, LocalId


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTime:
    """A runtime environment and its options, in the case of the description."""

    name: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelEnvironment:
    """All fields are empty if only a slot count was given."""

    type: str = ""
    version: str = ""
    processes_per_host: str = ""
    threads_per_process: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grami:
    """
    The content of ``.grami``: POSIX shell assignments that job scripts and batch backends read.

    ``None`` stands for an empty or absent assignment. Times are in seconds, sizes in MB, ``memory_mb`` is per slot.
    Source: ARC 6.17.
    """

    gridid: JobId
    directory: Path  #: the session directory
    controldir: Path
    args: tuple[str, ...]  #: program first; ``("./",)`` if there is none
    arg_code: int | None = None  #: exit code that counts as success, if not 0
    stdin: str = "/dev/null"
    stdout: str = "/dev/null"
    stderr: str = "/dev/null"
    environment: tuple[tuple[str, str], ...] = ()  #: the file also has four GRID_GLOBAL_* variables
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
    countpernode: int | None = None  #: -1: only a count was given; None: neither was given
    numnodes: int | None = None
    parallel: ParallelEnvironment | None = None  #: None: no slot count was given
    exclusivenode: bool = False
    runtimes: tuple[RunTime, ...] = ()
    jobname: str = ""
    queue: str = ""
    starttime: datetime | None = None
    priority: int = 50
    inputfiles: tuple[str, ...] = ()  #: each starts with "/"
    outputfiles: tuple[str, ...] = ()
    localid: LocalId | None = None  #: ``joboption_jobid``, which is appended after the submission
