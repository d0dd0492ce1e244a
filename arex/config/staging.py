"""Blocks of ``arc.conf`` about files of jobs: transfers and cache. Source: facts on names and defaults, ARC 6.17."""

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
    """Files that jobs fetched, kept for the next job; without a directory there is no cache."""

    cachedir: tuple[CacheDir, ...] = option(
        default=(),
        doc="Cache directory, then the path under which worker nodes see it if that differs (`.` has files copied "
        "instead of linked), or `drain` to fill it no more, or `readonly` to only read it. Several lines spread the "
        "files.",
        example="/data/cache",
    )
    other: Pairs = ()


@record
class CacheCleanerBlock(Record):
    """When the cache is cleaned; what a live job uses always stays."""

    cachesize: CacheSize = option(
        default=CacheSize(),
        doc="Fill levels at which cleaning begins, and to which it cleans; the files not used for longest go first.",
        unit="% %",
    )
    calculatesize: SpaceMethod = option(
        default=SpaceMethod.FILESYSTEM,
        doc="What the percentages count: the use of the whole `filesystem`, or of `cachedir` alone.",
    )
    cachelifetime: Period | None = option(
        default=None, doc="Files not used for so long go, whatever the fill level.", unit="s", example="30d"
    )
    cachecleantimeout: timedelta = option(
        default=timedelta(hours=1), doc="How long one round of cleaning may take.", unit="s", least=1
    )
    other: Pairs = ()


@record
class StorageUrl(Record):
    """A scheme; or the beginning of URLs, with the host and perhaps a directory."""

    scheme: str
    authority: str = ""  #: empty: any
    path: str = "/"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}" if self.authority else self.scheme


@record
class DataStagingBlock(Record):
    """Transfers of input and output files."""

    maxdelivery: int = option(default=10, doc="Most files on their way at one time.", unit="files", least=1)
    maxprocessor: int = option(
        default=10, doc="Most files being looked up, checked or linked at one time.", unit="files", least=1
    )
    maxemergency: int = option(default=1, doc="Further transfers for shares that have none under way.", unit="files")
    maxprepared: int = option(
        default=200, doc="Most files of one share that are ready or on their way.", unit="files", least=1
    )
    maxtransfertries: int = option(
        default=10, doc="How often a transfer is tried that fails for a reason that may pass.", unit="times", least=1
    )
    speedcontrol: SpeedControl = option(
        default=SpeedControl(),
        doc="Transfers that are too slow are broken off and tried again: least speed, the time over which it counts, "
        "least average speed, longest time without a byte. 0 is no limit.",
        unit="bytes/s s bytes/s s",
    )
    sharepolicy: str = option(
        default="",
        doc="What makes a share: `dn` gives each owner one; nothing puts all jobs into `_default`.",
        example="dn",
    )
    sharepriority: tuple[SharePriority, ...] = option(
        default=(), doc="A share and its priority from 1 to 100; others have 50.", example="_default 80"
    )
    preferredpattern: str = option(
        default="",
        doc="Order of a file's replicas: parts of host names, the best first, `|` between them.",
        example="example.org|.eu$",
    )
    copyurl: tuple[CopyUrl, ...] = option(
        default=(),
        doc="URLs that begin with the first word are fetched from the second in its place.",
        example="https://se.example.org/ file:/mnt/se/",
    )
    linkurl: tuple[CopyUrl, ...] = option(
        default=(),
        doc="URLs that begin with the first word become symbolic links to the second, a local path, or to the third "
        "on worker nodes.",
        example="https://se.example.org/ /mnt/se/ /net/se/",
    )
    fsspec: tuple[StorageUrl, ...] = option(
        default=(),
        doc="What is reached by fsspec: the beginning of URLs with host and directory, or a scheme alone for any host. "
        "Credentials are the service's, so every job can read and write there.",
        example="ftp://ftp.example.org/pub/",
    )
    fsspec_options: Path | None = option(
        default=None,
        doc="What fsspec is given for each line of `fsspec` that has a host, passwords among it: JSON, for the eyes of "
        "the service only.",
        example="/etc/arex/fsspec.json",
    )
    httpgetpartial: bool = option(
        default=False, doc="Whether large files come over http in ranges of 32 MB and not in one piece."
    )
    statefile: Path | None = option(
        default=None,
        doc="List of all transfers and their state; without it, `dtr.state` in the control directory.",
        example="/var/spool/arc/jobstatus/dtr.state",
    )
    other: Pairs = ()
