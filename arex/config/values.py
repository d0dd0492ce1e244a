"""Types of option values: enumerations and small records, which ``arex.config.codec`` parses and formats."""

from __future__ import annotations

from datetime import timedelta
from enum import IntEnum, StrEnum
from pathlib import Path

from arex.config.record import Record, record

#: Options that are kept as text, in file order.
Pairs = tuple[tuple[str, str], ...]
#: A time with a unit in the file, for example ``30d``.
Period = timedelta


class LogLevel(IntEnum):
    """ARC's six log levels."""

    FATAL = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4
    DEBUG = 5


class FixDirectories(StrEnum):
    """How to treat the directories in the control directory at start."""

    YES = "yes"
    MISSING = "missing"
    NO = "no"


class JobFileLayout(StrEnum):
    """Layout of the control files of a job: ``job.ID.name`` (A-REX 6), or nested directories (A-REX 7)."""

    FLAT = "flat"
    NESTED = "nested"


class WatchMode(StrEnum):
    """How to detect changes in the control directory."""

    AUTO = "auto"
    EVENTS = "events"
    POLL = "poll"


class SpaceMethod(StrEnum):
    """What the percentages of ``cachesize`` refer to."""

    FILESYSTEM = "filesystem"
    CACHEDIR = "cachedir"


@record
class MaxJobs(Record):
    """The five limits of ``maxjobs``; None is no limit (-1 in the file)."""

    tracked: int | None = None  #: jobs from ACCEPTED to FINISHING
    running: int | None = None  #: jobs in SUBMIT and INLRMS
    per_owner: int | None = None  #: jobs of one owner from PREPARING to FINISHING
    total: int | None = None  #: all jobs in the control directory
    scripts: int | None = None  #: concurrent submissions and cancellations


@record
class DefaultTtl(Record):
    """How long a finished job keeps its session directory, and how long its trace is kept after that."""

    ttl: timedelta
    ttr: timedelta


@record
class SessionDir(Record):
    """A root of session directories; a draining one gets no new jobs."""

    path: Path
    drain: bool = False


@record
class CacheDir(Record):
    """A cache directory. ``link`` is its path on worker nodes; with ``.``, files are copied instead of linked."""

    path: Path
    link: str = ""
    drain: bool = False  #: no new files are added
    readonly: bool = False  #: neither new files nor new links are added

    def __str__(self) -> str:
        word = "drain" if self.drain else "readonly" if self.readonly else self.link
        return f"{self.path} {word}".rstrip()


@record
class CacheSize(Record):
    """Percentages of the space: cleaning starts above ``high`` and stops below ``low``."""

    high: float = 100.0
    low: float = 100.0

    def __str__(self) -> str:
        return f"{self.high:g} {self.low:g}"


@record
class SpeedControl(Record):
    """Limits below which a transfer is aborted: speeds in bytes per second, times in seconds; 0 is no limit."""

    min_speed: int = 0  #: minimum speed, measured over ``min_time``
    min_time: int = 300
    min_average: int = 0  #: minimum average speed of the whole transfer
    max_inactivity: int = 300  #: longest time without any data

    def __str__(self) -> str:
        return f"{self.min_speed} {self.min_time} {self.min_average} {self.max_inactivity}"


@record
class SharePriority(Record):
    """Priority of a share, 1 to 100."""

    share: str
    priority: int

    def __str__(self) -> str:
        return f"{self.share} {self.priority}"


@record
class CopyUrl(Record):
    """Replaces a URL prefix by another URL (``copyurl``), or by a path of files to link to (``linkurl``)."""

    url: str
    replacement: str
    node_path: str = ""  #: for linkurl: the path on worker nodes

    def __str__(self) -> str:
        return f"{self.url} {self.replacement} {self.node_path}".rstrip()


@record
class CommandLine(Record):
    """A program with its arguments; no shell is involved."""

    argv: tuple[str, ...]

    def __str__(self) -> str:
        import shlex  # noqa: PLC0415 - few configurations have a command

        return shlex.join(self.argv)


@record
class LrmsChoice(Record):
    """The batch system, and the queue for jobs that do not name one."""

    name: str
    queue: str | None = None
