"""
The configuration model: one immutable record for each block of ``arc.conf``, one field for each option.

A field has the name of its option. Options of ARC without a field are kept as text in ``other``, blocks without a
record in ``Configuration.foreign``, so that ARC's own tools still get the complete configuration of a site.
Source: names and defaults of ``arc.conf.reference``, ARC 6.17.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import timedelta
from pathlib import Path
from typing import Final

from arex.config.record import Record, option, record
from arex.config.service import ServiceBlock
from arex.config.staging import CacheBlock, CacheCleanerBlock, DataStagingBlock
from arex.config.values import (
    DefaultTtl,
    FixDirectories,
    LogLevel,
    LrmsChoice,
    MaxJobs,
    Pairs,
    SessionDir,
)


@record
class CommonBlock(Record):
    """Options that all components share."""

    hostname: str = option(
        default="localhost",
        doc="Name of this machine in job records and published information. Without it, arex uses the host name that "
        "the "
        "kernel reports.",
        example="ce.example.org",
    )
    x509_cert_dir: Path = option(
        default=Path("/etc/grid-security/certificates"),
        doc="Directory with the certificates of the trusted authorities, used to verify servers and proxies. If it "
        "does not "
        "exist, arex uses the authorities of the operating system.",
    )
    http_proxy: str = option(
        default="", doc="HTTP proxy server for transfers over http.", example="http://squid.example.org:3128"
    )
    other: Pairs = ()


@record
class RuleBlock(Record):
    """The ordered rules of ``[mapping]`` or of one ``[authgroup:NAME]``; the name of a rule includes its sign."""

    name: str = ""  #: name of the group
    rules: Pairs = ()


@record
class LrmsBlock(Record):
    """The batch system that runs the jobs."""

    lrms: LrmsChoice = option(
        default=LrmsChoice(name="fork"),
        doc="Name of the batch system, and optionally the default queue, for jobs that request none. Without the "
        "second "
        "word, the first `[queue:NAME]` block is the default queue.",
    )
    benchmark: str = option(
        default="HEPSPEC:1.0", doc="Benchmark written to usage records of jobs that do not report one."
    )
    defaultmemory: int | None = option(
        default=None,
        doc="Memory request of jobs that do not request any. A `[queue:NAME]` block can override it.",
        unit="MB",
        example="2000",
        least=1,
    )
    nodename: str | None = option(
        default=None,
        doc="Command that prints the name of a worker node, used if the batch system does not report it.",
        example="hostname -f",
    )
    gnu_time: str = option(
        default="/usr/bin/time",
        doc="Path of GNU time on the worker nodes. Job scripts of ARC need it; those of arex do not.",
        honoured=False,
    )
    movetool: str = option(
        default="mv",
        doc="Command that moves files between the session directory and the scratch directory on worker nodes. Its "
        "arguments are the sources and the target.",
    )
    slurm_bin_path: Path | None = option(
        default=None, doc="Directory of SLURM's commands, if they are not on PATH.", example="/opt/slurm/bin"
    )
    slurm_wakeupperiod: timedelta | None = option(
        default=None, doc="Time between polls of SLURM; overrides `scan_period`.", unit="s", example="30", least=1
    )
    slurm_use_sacct: bool = option(
        default=True,
        doc="Whether arex queries `sacct` about jobs that left the queue without a completion record. This needs "
        "slurmdbd.",
    )
    slurm_requirements: str = option(
        default="",
        doc="Options of sbatch for every job, written as on its command line or as in `#SBATCH` lines.",
        example="-C haswell --qos=grid",
    )
    slurm_query_retries: int = option(
        default=1, doc="Number of times that ARC's scripts retry sacct.", unit="times", honoured=False
    )
    sge_bin_path: Path | None = option(
        default=None,
        doc="Directory of Grid Engine's commands, if they are not on PATH.",
        example="/opt/sge/bin/lx-amd64",
    )
    sge_root: Path | None = option(
        default=None, doc="Value of SGE_ROOT, if the environment of the service does not set it.", example="/opt/sge"
    )
    sge_cell: str | None = option(
        default=None, doc="Value of SGE_CELL, if the environment of the service does not set it.", example="default"
    )
    sge_qmaster_port: int | None = option(
        default=None, doc="Value of SGE_QMASTER_PORT, if it is not the default port.", example="6444"
    )
    sge_execd_port: int | None = option(
        default=None, doc="Value of SGE_EXECD_PORT, if it is not the default port.", example="6445"
    )
    sge_jobopts: str = option(default="", doc="Options of qsub for every job.", example="-P atlas -r yes")
    condor_bin_path: Path | None = option(
        default=None, doc="Directory of HTCondor's commands, if they are not on PATH.", example="/opt/condor/bin"
    )
    condor_config: Path | None = option(
        default=None,
        doc="Value of CONDOR_CONFIG, if the environment of the service does not set it.",
        example="/etc/condor/condor_config",
    )
    condor_rank: str = option(default="", doc="Rank of every job, a ClassAd expression.", example="KFlops")
    condor_requirements: str = option(
        default="", doc="Requirements of every job, a ClassAd expression.", example='OpSys == "LINUX"'
    )
    pbs_bin_path: Path | None = option(
        default=None, doc="Directory of PBS's commands, if they are not on PATH.", example="/opt/pbs/bin"
    )
    lsf_bin_path: Path | None = option(
        default=None, doc="Directory of LSF's commands, if they are not on PATH.", example="/opt/lsf/bin"
    )
    lsf_architecture: str = option(default="", doc="CPU type that every job requests.", example="X86_64")
    other: Pairs = ()


@record
class ArexBlock(Record):
    """The service itself: its directories, limits and logs."""

    controldir: Path = option(
        default=Path("/var/spool/arc/jobstatus"),
        doc="Control directory. It holds a few small files for each job. Use a local disk; worker nodes do not need "
        "it.",
    )
    sessiondir: tuple[SessionDir, ...] = option(
        default=(SessionDir(path=Path("/var/spool/arc/sessiondir")),),
        doc="Session root: the directory that contains the session directories of jobs. Worker nodes must see it "
        "under the "
        "same path. With several lines, new jobs are spread over the session roots. Add the word `drain` to stop new "
        "jobs "
        "in one of them. `*` means `~/.jobs`.",
    )
    defaultttl: DefaultTtl = option(
        default=DefaultTtl(ttl=timedelta(days=7), ttr=timedelta(days=30)),
        doc="How long a finished job keeps its session directory, and how long its control files are kept after "
        "that. The "
        "second number is optional.",
        unit="s s",
    )
    maxjobs: MaxJobs = option(
        default=MaxJobs(),
        doc="Five limits; -1 means no limit: unfinished jobs; jobs in SUBMIT and INLRMS; jobs of one owner; jobs in "
        "the "
        "control directory; submissions and cancellations at the same time.",
        unit="jobs",
    )
    maxrerun: int = option(default=5, doc="Largest number of reruns that a job can request.", unit="times")
    wakeupperiod: timedelta = option(
        default=timedelta(seconds=180),
        doc="Time between full scans of all jobs. Events report most changes at once; the scan finds the rest.",
        unit="s",
        least=1,
    )
    loglevel: LogLevel = option(
        default=LogLevel.INFO,
        doc="Log level, as a number or a word: 0 FATAL, 1 ERROR, 2 WARNING, 3 INFO, 4 VERBOSE, 5 DEBUG.",
    )
    logfile: Path = option(default=Path("/var/log/arc/arex.log"), doc="Log file of the service.")
    joblog: Path | None = option(
        default=Path("/var/log/arc/arex-jobs.log"),
        doc="Log file with one line for each start and each end of a job. An empty value disables it.",
    )
    pidfile: Path = option(
        default=Path("/run/arched-arex.pid"),
        doc="File with the process id of the running service. ARC's clients read it, and the file beside it with the "
        "same "
        "name and the suffix `.cfg`.",
    )
    tmpdir: Path = option(
        default=Path("/tmp"),  # noqa: S108  (ARC's default)
        doc="Directory for temporary files, including those of runtime environments.",
    )
    fixdirectories: FixDirectories = option(
        default=FixDirectories.YES,
        doc="What the service does with its directories at start-up: `yes` creates them and corrects their modes, "
        "`missing` "
        "only creates them, `no` does neither.",
    )
    shared_filesystem: bool = option(
        default=True,
        doc="Whether worker nodes see the session directories under the same path. `no` needs a batch system that "
        "transfers files.",
    )
    scratchdir: Path | None = option(
        default=None,
        doc="Scratch directory: a directory on the local disk of each worker node. Jobs run there; their files are "
        "moved "
        "there before the run and back after it.",
        example="/scratch",
    )
    shared_scratch: Path | None = option(
        default=None,
        doc="Path under which the front end sees the scratch directories of the worker nodes, if it can see them.",
        example="/mnt/scratch",
    )
    runtimedir: tuple[Path, ...] = option(
        default=(),
        doc="Directory of the site's runtime environments, in addition to those that come with arex. Enable them with "
        "`arexctl rte`.",
        example="/opt/rte",
    )
    delegationdb: str = option(
        default="sqlite", doc="Database of delegated credentials. arex always uses `sqlite`.", honoured=False
    )
    statecallout: tuple[str, ...] = option(
        default=(), doc="Program to run when a job enters a state: `STATE options command`.", honoured=False
    )
    other: Pairs = ()


@record
class WsJobsBlock(Record):
    """Which jobs the service accepts. Local clients also read these options."""

    allownew: bool = option(
        default=True, doc="Whether the service accepts new jobs. With `no`, it only finishes the jobs that it has."
    )
    maxjobdesc: int = option(default=5242880, doc="Largest size of a job description; 0 means no limit.", unit="bytes")
    other: Pairs = ()


@record
class Glue2Block(Record):
    """Information that is published in GLUE2."""

    admindomain_name: str = option(default="UNDEFINEDVALUE", doc="Name of the administrative domain (the site).")
    other: Pairs = ()


@record
class ClusterBlock(Record):
    """The worker nodes, as published. `adotf` stands for the value of this machine."""

    architecture: str = option(default="adotf", doc="Hardware platform of the nodes.")
    opsys: tuple[str, ...] = option(default=("adotf",), doc="Operating system of the nodes, as `name-version`.")
    nodecpu: str = option(default="adotf", doc="Processor model of the nodes.")
    nodememory: int | None = option(
        default=None, doc="Memory of a node that jobs can use.", unit="MB", example="64000", least=1
    )
    maxcputime: timedelta | None = option(
        default=None,
        doc="Longest CPU time of a job, for queues that do not set it.",
        unit="s",
        example="864000",
        least=1,
    )
    maxwalltime: timedelta | None = option(
        default=None,
        doc="Longest run time of a job, for queues that do not set it.",
        unit="s",
        example="604800",
        least=1,
    )
    other: Pairs = ()


@record
class QueueBlock(Record):
    """A queue of the batch system; its name follows the colon. The first queue is the default if `lrms` names none."""

    name: str
    comment: str = option(default="", doc="Description of the queue, which is published.", example="for short jobs")
    defaultmemory: int | None = option(
        default=None,
        doc="Memory request of jobs in this queue that do not request any. Default: that of `[lrms]`.",
        unit="MB",
        example="1000",
        least=1,
    )
    maxcputime: timedelta | None = option(
        default=None,
        doc="Longest CPU time of a job. Default: that of `[infosys/cluster]`.",
        unit="s",
        example="86400",
        least=1,
    )
    maxwalltime: timedelta | None = option(
        default=None,
        doc="Longest run time of a job. Default: that of `[infosys/cluster]`. The batch system enforces it; the fork "
        "backend does not.",
        unit="s",
        example="86400",
        least=1,
    )
    maxslotsperjob: int | None = option(
        default=None, doc="Largest number of slots for one job.", unit="slots", example="64", least=1
    )
    slurm_requirements: str = option(
        default="", doc="Options of sbatch for jobs of this queue, added after those of `[lrms]`.", example="--qos=long"
    )
    sge_jobopts: str = option(
        default="", doc="Options of qsub for jobs of this queue, added after those of `[lrms]`.", example="-l fast"
    )
    condor_requirements: str = option(
        default="", doc="Requirements of jobs of this queue, a ClassAd expression.", example='Pool == "grid"'
    )
    pbs_queue_node: str = option(
        default="", doc="Node property that jobs of this queue request.", example="gridlong_nodes"
    )
    other: Pairs = ()


@record
class ForeignBlock(Record):
    """A block of ARC that arex does not use. It is kept unchanged."""

    header: str
    options: Pairs = ()


@record
class Configuration(Record):
    """
    The checked options of a site, with defaults for the others; created by ``arex.config.load``.

    Comparisons ignore ``headers`` and ``source``, which record the origin.
    """

    common: CommonBlock = CommonBlock()
    mapping: RuleBlock = RuleBlock()
    authgroups: tuple[RuleBlock, ...] = ()
    lrms: LrmsBlock = LrmsBlock()
    arex: ArexBlock = ArexBlock()
    ws_jobs: WsJobsBlock = WsJobsBlock()
    glue2: Glue2Block = Glue2Block()
    cluster: ClusterBlock = ClusterBlock()
    queues: tuple[QueueBlock, ...] = (QueueBlock(name="fork"),)
    cache: CacheBlock = CacheBlock()
    cleaner: CacheCleanerBlock = CacheCleanerBlock()
    staging: DataStagingBlock = DataStagingBlock()
    service: ServiceBlock = ServiceBlock()
    foreign: tuple[ForeignBlock, ...] = ()
    headers: tuple[str, ...] = field(default=(), compare=False)  #: headers of the blocks in file order
    source: Path | None = field(default=None, compare=False)  #: None: there is no file, only defaults

    @property
    def default_queue(self) -> QueueBlock:
        """The queue of jobs that do not name one."""
        wanted = self.lrms.lrms.queue
        return next((queue for queue in self.queues if queue.name == wanted), self.queues[0])

    def queue(self, name: str) -> QueueBlock | None:
        return next((queue for queue in self.queues if queue.name == name), None)


#: Blocks that have a record, by their name in arc.conf, with the field of ``Configuration`` that contains them.
BLOCKS: Final[Mapping[str, tuple[str, type[Record]]]] = {
    "common": ("common", CommonBlock),
    "lrms": ("lrms", LrmsBlock),
    "arex": ("arex", ArexBlock),
    "arex/cache": ("cache", CacheBlock),
    "arex/cache/cleaner": ("cleaner", CacheCleanerBlock),
    "arex/data-staging": ("staging", DataStagingBlock),
    "arex/service": ("service", ServiceBlock),
    "arex/ws/jobs": ("ws_jobs", WsJobsBlock),
    "infosys/glue2": ("glue2", Glue2Block),
    "infosys/cluster": ("cluster", ClusterBlock),
    "queue": ("queues", QueueBlock),
}
