"""Values that options have: enumerations and small records, each read and written by ``arex.config.codec``."""

from __future__ import annotations

from datetime import timedelta
from enum import IntEnum, StrEnum
from pathlib import Path

from arex.config.record import Record, record

#: Options without a type, as written and in order.
Pairs = tuple[tuple[str, str], ...]
#: A timedelta whose text has a unit: ``30d``.
Period = timedelta


class LogLevel(IntEnum):
    """ARC's six levels."""

    FATAL = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4
    DEBUG = 5


class FixDirectories(StrEnum):
    """What happens to directories of the control directory at start-up."""

    YES = "yes"
    MISSING = "missing"
    NO = "no"


class JobFileLayout(StrEnum):
    """Where the files of a job lie: ``job.ID.name`` (A-REX 6) or split in threes (A-REX 7)."""

    FLAT = "flat"
    NESTED = "nested"


class WatchMode(StrEnum):
    """How changes in the control directory are noticed."""

    AUTO = "auto"
    EVENTS = "events"
    POLL = "poll"


class SpaceMethod(StrEnum):
    """What ``cachesize`` is a percentage of."""

    FILESYSTEM = "filesystem"
    CACHEDIR = "cachedir"


@record
class MaxJobs(Record):
    """The five limits of ``maxjobs``; None is no limit (-1 in the file)."""

    tracked: int | None = None  #: ACCEPTED to FINISHING
    running: int | None = None  #: SUBMIT and INLRMS
    per_owner: int | None = None  #: PREPARING to FINISHING, of one subject
    total: int | None = None  #: everything in the control directory
    scripts: int | None = None  #: submissions and cancellations under way at one time


@record
class DefaultTtl(Record):
    """How long a finished job keeps its session directory, and how long it is remembered after that."""

    ttl: timedelta
    ttr: timedelta


@record
class SessionDir(Record):
    """A root of session directories; a draining one gets no new jobs."""

    path: Path
    drain: bool = False


@record
class CacheDir(Record):
    """A cache; ``link`` is where worker nodes see it, ``.`` to copy files instead of linking them."""

    path: Path
    link: str = ""
    drain: bool = False  #: no new files go in
    readonly: bool = False  #: neither new files nor links

    def __str__(self) -> str:
        word = "drain" if self.drain else "readonly" if self.readonly else self.link
        return f"{self.path} {word}".rstrip()


@record
class CacheSize(Record):
    """Percent of the space: cleaning begins above ``high`` and ends below ``low``."""

    high: float = 100.0
    low: float = 100.0

    def __str__(self) -> str:
        return f"{self.high:g} {self.low:g}"


@record
class SpeedControl(Record):
    """What counts as too slow: bytes a second, seconds, bytes a second, seconds; 0 is no limit."""

    min_speed: int = 0  #: below it for ``min_time``, a transfer is broken off
    min_time: int = 300
    min_average: int = 0  #: of the whole transfer so far
    max_inactivity: int = 300  #: without a single byte

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
    """A URL with this beginning is reached with another: ``copyurl``; or as a file to link to: ``linkurl``."""

    url: str
    replacement: str
    node_path: str = ""  #: linkurl: the path on worker nodes

    def __str__(self) -> str:
        return f"{self.url} {self.replacement} {self.node_path}".rstrip()


@record
class LrmsChoice(Record):
    """The batch system, and the queue of jobs that name none."""

    name: str
    queue: str | None = None
