"""
Blocks of ``arc.conf`` for transfers and the cache.

Source: names and defaults of ``arc.conf.reference``, ARC 6.17.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from arex.config.record import Record, option, record
from arex.config.values import (
    CacheDir,
    CacheSize,
    CopyUrl,
    Pairs,
    Period,
    SharePriority,
    SpaceMethod,
    SpeedControl,
)


@record
class CacheBlock(Record):
    """The cache keeps downloaded input files for later jobs. Without a directory, there is no cache."""

    cachedir: tuple[CacheDir, ...] = option(
        default=(),
        doc="Cache directory. A second word is optional: the path under which worker nodes see it, if that differs; "
        "`.` to "
        "copy files instead of linking them; `drain` to add no new files; `readonly` to write nothing. With several "
        "lines, "
        "files are spread over the directories.",
        example="/data/cache",
    )
    other: Pairs = ()


@record
class CacheCleanerBlock(Record):
    """When the cache is cleaned. Files that unfinished jobs use are never removed."""

    cachesize: CacheSize = option(
        default=CacheSize(),
        doc="Fill levels at which cleaning starts and stops. Least recently used files are removed first.",
        unit="% %",
    )
    calculatesize: SpaceMethod = option(
        default=SpaceMethod.FILESYSTEM,
        doc="What the percentages of `cachesize` measure: the use of the whole `filesystem`, or of `cachedir` alone.",
    )
    cachelifetime: Period | None = option(
        default=None,
        doc="Files that were not used for this time are removed at any fill level.",
        unit="s",
        example="30d",
    )
    cachecleantimeout: timedelta = option(
        default=timedelta(hours=1), doc="Time limit for one round of cleaning.", unit="s", least=1
    )
    other: Pairs = ()


@record
class StorageUrl(Record):
    """A scheme, or a URL prefix with a host and optionally a directory."""

    scheme: str
    authority: str = ""  #: empty: any host
    path: str = "/"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}" if self.authority else self.scheme


@record
class DataStagingBlock(Record):
    """Transfers of input and output files."""

    maxdelivery: int = option(default=10, doc="Largest number of simultaneous transfers.", unit="files", least=1)
    maxprocessor: int = option(
        default=10,
        doc="Largest number of files that are looked up, checked or linked at the same time.",
        unit="files",
        least=1,
    )
    maxemergency: int = option(
        default=1, doc="Additional transfers for shares that have no active transfer.", unit="files"
    )
    maxprepared: int = option(
        default=200, doc="Largest number of files of one share that are ready or in transfer.", unit="files", least=1
    )
    maxtransfertries: int = option(
        default=10, doc="Number of attempts for a transfer that fails with a temporary error.", unit="times", least=1
    )
    speedcontrol: SpeedControl = option(
        default=SpeedControl(),
        doc="Limits below which a transfer is too slow; it is then stopped and retried. Minimum speed, the time over "
        "which "
        "it is measured, minimum average speed, longest time without data. 0 means no limit.",
        unit="bytes/s s bytes/s s",
    )
    sharepolicy: str = option(
        default="",
        doc="How jobs are grouped into shares. `dn`: one share for each owner. Without a value, all jobs are in the "
        "share "
        "`_default`.",
        example="dn",
    )
    sharepriority: tuple[SharePriority, ...] = option(
        default=(),
        doc="Name of a share and its priority from 1 to 100. Other shares have priority 50.",
        example="_default 80",
    )
    preferredpattern: str = option(
        default="",
        doc="Preferred order of the replicas of a file: parts of host names, best first, separated by `|`.",
        example="example.org|.eu$",
    )
    copyurl: tuple[CopyUrl, ...] = option(
        default=(),
        doc="URL prefix and its replacement. arex downloads URLs with this prefix from the replacement.",
        example="https://se.example.org/ file:/mnt/se/",
    )
    linkurl: tuple[CopyUrl, ...] = option(
        default=(),
        doc="URL prefix, local path, and optionally the path on worker nodes. Inputs with this prefix are not "
        "downloaded but "
        "become symbolic links to the path.",
        example="https://se.example.org/ /mnt/se/ /net/se/",
    )
    fsspec: tuple[StorageUrl, ...] = option(
        default=(),
        doc="URLs to access through fsspec: a URL prefix with host and directory, or a scheme alone for any host. "
        "arex uses "
        "the credentials of the service, so every job can read and write there.",
        example="ftp://ftp.example.org/pub/",
    )
    fsspec_options: Path | None = option(
        default=None,
        doc="JSON file with the parameters, such as passwords, for each line of `fsspec` that has a host. Only the "
        "service "
        "may be able to read it.",
        example="/etc/arex/fsspec.json",
    )
    httpgetpartial: bool = option(
        default=False, doc="Whether large files are downloaded over http in ranges of 32 MB instead of in one request."
    )
    statefile: Path | None = option(
        default=None,
        doc="File with the list of all transfers and their state. Default: `dtr.state` in the control directory.",
        example="/var/spool/arc/jobstatus/dtr.state",
    )
    other: Pairs = ()
