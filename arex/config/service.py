"""``[arex/service]``: the options that only arex has."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from arex.config.record import Record, option, record
from arex.config.values import JobFileLayout, WatchMode


@record
class ServiceBlock(Record):
    """What only arex has. A file with this block is taken to be written for arex."""

    layout: JobFileLayout = option(
        default=JobFileLayout.FLAT,
        doc="Arrangement of job files: `flat` as A-REX 6, `nested` as A-REX 7. Only for an empty control directory.",
    )
    allow_root: bool = option(default=False, doc="Whether the service may run as root; all jobs then do.")
    fork_slots: int = option(
        default=0, doc="Jobs that the fork backend runs at one time; 0 is one per core.", unit="jobs"
    )
    scan_period: timedelta = option(
        default=timedelta(seconds=10),
        doc="Time between questions to the batch system, and between looks for new jobs where events are not used.",
        unit="s",
        least=1,
    )
    lrms_calls: int = option(
        default=30,
        doc="Most questions (status, lookup, accounting) that the batch system is asked in any minute.",
        unit="calls",
        least=2,
    )
    lrms_timeout: timedelta = option(
        default=timedelta(seconds=60),
        doc="How long one command of the batch system may take; after it, its outcome is unsure and is looked up.",
        unit="s",
        least=1,
    )
    record_wait: timedelta = option(
        default=timedelta(seconds=120),
        doc="How long the completion record of a job that left the batch system is waited for: a shared file system "
        "may show it late.",
        unit="s",
    )
    array: bool = option(
        default=True,
        doc="Whether waiting jobs of the same shape go to the batch system as one array; each stays a job of its own.",
    )
    array_most: int = option(default=1000, doc="Most jobs in one array.", unit="jobs", least=2)
    array_wait: int = option(
        default=500,
        doc="How long a job in a burst waits for others of its shape; a job that comes alone never waits.",
        unit="ms",
    )
    account: str = option(
        default="",
        doc="Account or project that the batch system charges.",
        example="atlas",
    )
    qos: str = option(default="", doc="Quality of service that every job asks for (SLURM).", example="grid")
    clusters: str = option(
        default="", doc="Clusters that jobs may go to, separated by commas (SLURM's `-M`).", example="north,south"
    )
    login_shell: bool = option(
        default=False,
        doc="Whether jobs start as a login shell does, with the profile of the node and of the account. It may take "
        "longer than a short job does.",
    )
    arc_scripts: Path | None = option(
        default=None,
        doc="Directory of `submit-X-job`, `cancel-X-job` and `scan-X-job` in ARC's convention, for an `lrms` that arex "
        "has no backend for, or with `lrms=arc-X` in its place.",
        example="/usr/share/arc",
    )
    transfers_per_host: int = option(
        default=0, doc="Most transfers with one server at one time; 0 is no limit of its own.", unit="files"
    )
    credential_warning: timedelta = option(
        default=timedelta(hours=2),
        doc="How long before a job's credential ends its owner is warned in the job's log.",
        unit="s",
    )
    session_quota: int = option(
        default=0, doc="Most space that one job's session directory may take; 0 is no limit.", unit="MB"
    )
    session_inodes: int = option(
        default=0,
        doc="Most files and directories that one job's session directory may have; 0 is no limit.",
        unit="files",
    )
    owner_quota: int = option(
        default=0, doc="Most space that all session directories of one owner may take; 0 is no limit.", unit="MB"
    )
    root_quota: int = option(
        default=0, doc="Most space that all session directories of one root may take; 0 is no limit.", unit="MB"
    )
    root_free: int = option(
        default=0,
        doc="Space that stays free on the file system of a session root: below it no new job is prepared there.",
        unit="MB",
    )
    root_inodes: int = option(
        default=0,
        doc="Inodes that stay free on the file system of a session root: below it no new job is prepared there.",
        unit="files",
    )
    quota_period: timedelta = option(
        default=timedelta(seconds=300),
        doc="Time between looks at what session directories take.",
        unit="s",
        least=1,
    )
    clean_rate: int = option(
        default=200, doc="Most files that cleaning removes in a second; 0 is no limit.", unit="files/s"
    )
    watch: WatchMode = option(
        default=WatchMode.AUTO,
        doc="How new jobs and requests are noticed: `events` of the file system, `poll`, or `auto` to try both.",
    )
    json_log: bool = option(
        default=False, doc="Whether the log has one JSON object a line, for programs, in place of text for people."
    )
    fsync: bool = option(
        default=True, doc="Whether state is forced to disk before it counts; `no` is faster and trusts the power."
    )
