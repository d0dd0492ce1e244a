"""``[arex/service]``: options of arex that ARC does not have."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from arex.config.record import Record, option, record
from arex.config.values import CommandLine, JobFileLayout, WatchMode


@record
class ServiceBlock(Record):
    """Options of arex that ARC does not have. A file with this block counts as written for arex."""

    layout: JobFileLayout = option(
        default=JobFileLayout.FLAT,
        doc="Layout of the control directory: `flat` as in A-REX 6, `nested` as in A-REX 7. Change it only while the "
        "control directory is empty.",
    )
    allow_root: bool = option(default=False, doc="Whether the service may run as root. All jobs then run as root too.")
    fork_slots: int = option(
        default=0, doc="Number of jobs that the fork backend runs at the same time; 0 means one per core.", unit="jobs"
    )
    scan_period: timedelta = option(
        default=timedelta(seconds=10),
        doc="Time between polls of the batch system. Also the time between searches for new jobs if events are not "
        "used.",
        unit="s",
        least=1,
    )
    lrms_calls: int = option(
        default=30,
        doc="Largest number of queries (status, lookup, accounting) to the batch system in one minute.",
        unit="calls",
        least=2,
    )
    lrms_timeout: timedelta = option(
        default=timedelta(seconds=60),
        doc="Time limit for one command of the batch system. After it, the outcome is unknown and arex looks it up.",
        unit="s",
        least=1,
    )
    record_wait: timedelta = option(
        default=timedelta(seconds=120),
        doc="How long arex waits for the completion record of a job that left the batch system. A shared file system "
        "may "
        "show the record late.",
        unit="s",
    )
    array: bool = option(
        default=True,
        doc="Whether waiting jobs of the same shape are submitted to the batch system as one array. Each remains a "
        "separate "
        "job for its owner.",
    )
    array_most: int = option(default=1000, doc="Largest number of jobs in one array.", unit="jobs", least=2)
    array_wait: int = option(
        default=500,
        doc="How long a job in a burst waits for others of the same shape. A job that arrives alone does not wait.",
        unit="ms",
    )
    account: str = option(
        default="",
        doc="Account or project that the batch system charges.",
        example="atlas",
    )
    qos: str = option(default="", doc="Quality of service that every job requests (SLURM).", example="grid")
    clusters: str = option(
        default="",
        doc="Clusters that jobs can be submitted to, separated by commas (SLURM's `-M`).",
        example="north,south",
    )
    login_shell: bool = option(
        default=False,
        doc="Whether jobs start in a login shell, with the profile of the node and of the account. Reading the "
        "profile may "
        "take longer than a short job.",
    )
    arc_scripts: Path | None = option(
        default=None,
        doc="Directory of the scripts `submit-X-job`, `cancel-X-job` and `scan-X-job` of ARC. arex uses them for an "
        "`lrms` "
        "without a backend in arex; `lrms=arc-X` uses them in place of a backend.",
        example="/usr/share/arc",
    )
    transfers_per_host: int = option(
        default=0,
        doc="Largest number of simultaneous transfers with one server; 0 means all but a fifth of `maxdelivery`, so "
        "that a server which does not answer leaves slots for others.",
        unit="files",
    )
    credential_warning: timedelta = option(
        default=timedelta(hours=2),
        doc="How long before a job's credential expires the job's log gets a warning for its owner.",
        unit="s",
    )
    session_quota: int = option(
        default=0, doc="Largest size of the session directory of one job; 0 means no limit.", unit="MB"
    )
    session_inodes: int = option(
        default=0,
        doc="Largest number of files and directories in the session directory of one job; 0 means no limit.",
        unit="files",
    )
    owner_quota: int = option(
        default=0, doc="Largest total size of the session directories of one owner; 0 means no limit.", unit="MB"
    )
    root_quota: int = option(
        default=0, doc="Largest total size of the session directories in one session root; 0 means no limit.", unit="MB"
    )
    root_free: int = option(
        default=0,
        doc="Space to keep free on the file system of a session root. If less is free, arex prepares no new jobs "
        "there.",
        unit="MB",
    )
    root_inodes: int = option(
        default=0,
        doc="Inodes to keep free on the file system of a session root. If fewer are free, arex prepares no new jobs "
        "there.",
        unit="files",
    )
    quota_period: timedelta = option(
        default=timedelta(seconds=300),
        doc="Time between measurements of the session directories.",
        unit="s",
        least=1,
    )
    clean_rate: int = option(
        default=200,
        doc="Largest number of files that cleaning removes in one second; 0 means no limit.",
        unit="files/s",
    )
    watch: WatchMode = option(
        default=WatchMode.AUTO,
        doc="How arex detects new jobs and requests: `events` of the file system, `poll`, or `auto` for events with "
        "polling "
        "as the fallback.",
    )
    sendmail: Path | None = option(
        default=None,
        doc="Program that sends the mail for which job descriptions ask with `notify`. arex starts it with `-oi -t` "
        "and writes the message to its standard input, as for sendmail. Empty: no mail is sent.",
        example="/usr/sbin/sendmail",
    )
    notify_command: CommandLine | None = option(
        default=None,
        doc="Program, with arguments, that is run at the end of every job. It gets the facts about the job as JSON on "
        "its standard input. No shell is involved; quotes work as in a shell.",
        example="/home/me/bin/job-ended --quiet",
    )
    json_log: bool = option(
        default=False,
        doc="Whether each line of the log is a JSON object for programs. Otherwise the log is plain text.",
    )
    fsync: bool = option(
        default=True,
        doc="Whether arex flushes state to disk before it relies on it. `no` is faster, but a power failure can lose "
        "state.",
    )
