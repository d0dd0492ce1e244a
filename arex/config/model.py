"""
The configuration as values: one frozen record per block of ``arc.conf``, one field per option.

A field is spelled as its option. Options that ARC knows and arex has no field for stay as text in ``other``,
blocks without a record in ``Configuration.foreign``: nothing of a site's file is lost on the way to real ARC tools.
Source: facts on names and defaults, ARC 6.17.
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
    DelegationDb,
    FixDirectories,
    LogLevel,
    LrmsChoice,
    MaxJobs,
    Pairs,
    SessionDir,
    StateCallout,
)


@record
class CommonBlock(Record):
    """What every component shares."""

    hostname: str = option(
        default="localhost",
        doc="Name of this machine in job records and published information; without it, what the kernel calls itself.",
        example="ce.example.org",
    )
    x509_cert_dir: Path = option(
        default=Path("/etc/grid-security/certificates"),
        doc="Certificates of the authorities that servers and proxies are checked against; without this directory, "
        "those of the system.",
    )
    http_proxy: str = option(default="", doc="Proxy for transfers over http.", example="http://squid.example.org:3128")
    other: Pairs = ()


@record
class RuleBlock(Record):
    """Ordered rules of ``[mapping]`` or of one ``[authgroup:NAME]``; the sign stays in front of the rule's name."""

    name: str = ""  #: of the group
    rules: Pairs = ()


@record
class LrmsBlock(Record):
    """The batch system that runs the jobs."""

    lrms: LrmsChoice = option(
        default=LrmsChoice(name="fork"),
        doc="Name of the batch system, then the queue of jobs that ask for none; without the second word, the first "
        "queue block.",
    )
    benchmark: str = option(
        default="HEPSPEC:1.0", doc="Benchmark written to usage records when the job brings none of its own."
    )
    defaultmemory: int | None = option(
        default=None,
        doc="Memory request of jobs that ask for none; a queue may say otherwise.",
        unit="MB",
        example="2000",
        least=1,
    )
    nodename: str | None = option(
        default=None,
        doc="Command that prints a worker node's name, where the batch system does not tell.",
        example="hostname -f",
    )
    gnu_time: str = option(
        default="/usr/bin/time",
        doc="GNU time on the worker nodes, for job scripts of ARC; those of arex measure without it.",
        honoured=False,
    )
    movetool: str = option(
        default="mv",
        doc="Command that moves files between session directory and scratch, on worker nodes; it gets sources and a "
        "target.",
    )
    slurm_bin_path: Path | None = option(
        default=None, doc="Directory of SLURM's commands, where they are not on PATH.", example="/opt/slurm/bin"
    )
    slurm_wakeupperiod: timedelta | None = option(
        default=None, doc="Time between questions to SLURM, in place of `scan_period`.", unit="s", example="30", least=1
    )
    slurm_use_sacct: bool = option(
        default=True,
        doc="Whether `sacct` is asked about jobs that left the queue without a word; it takes a slurmdbd.",
    )
    slurm_requirements: str = option(
        default="",
        doc="Options of sbatch for every job, as on its command line or as `#SBATCH` lines' text.",
        example="-C haswell --qos=grid",
    )
    slurm_query_retries: int = option(
        default=1, doc="How often ARC's scripts ask sacct again.", unit="times", honoured=False
    )
    sge_bin_path: Path | None = option(
        default=None,
        doc="Directory of Grid Engine's commands, where they are not on PATH.",
        example="/opt/sge/bin/lx-amd64",
    )
    sge_root: Path | None = option(
        default=None, doc="SGE_ROOT, where the environment does not say.", example="/opt/sge"
    )
    sge_cell: str | None = option(default=None, doc="SGE_CELL, where the environment does not say.", example="default")
    sge_qmaster_port: int | None = option(
        default=None, doc="SGE_QMASTER_PORT, if it is not the usual one.", example="6444"
    )
    sge_execd_port: int | None = option(default=None, doc="SGE_EXECD_PORT, if it is not the usual one.", example="6445")
    sge_jobopts: str = option(default="", doc="Options of qsub for every job.", example="-P atlas -r yes")
    condor_bin_path: Path | None = option(
        default=None, doc="Directory of HTCondor's commands, where they are not on PATH.", example="/opt/condor/bin"
    )
    condor_config: Path | None = option(
        default=None, doc="CONDOR_CONFIG, where the environment does not say.", example="/etc/condor/condor_config"
    )
    condor_rank: str = option(default="", doc="Rank of every job, a ClassAd expression.", example="KFlops")
    condor_requirements: str = option(
        default="", doc="Requirements of every job, a ClassAd expression.", example='OpSys == "LINUX"'
    )
    pbs_bin_path: Path | None = option(
        default=None, doc="Directory of PBS's commands, where they are not on PATH.", example="/opt/pbs/bin"
    )
    lsf_bin_path: Path | None = option(
        default=None, doc="Directory of LSF's commands, where they are not on PATH.", example="/opt/lsf/bin"
    )
    lsf_architecture: str = option(default="", doc="CPU type that every job asks for.", example="X86_64")
    other: Pairs = ()


@record
class ArexBlock(Record):
    """The service itself: its directories, limits and logs."""

    controldir: Path = option(
        default=Path("/var/spool/arc/jobstatus"),
        doc="Control directory: one small set of files for each job. Local disk, not needed on worker nodes.",
    )
    sessiondir: tuple[SessionDir, ...] = option(
        default=(SessionDir(path=Path("/var/spool/arc/sessiondir")),),
        doc="Root of the jobs' working directories, visible on the worker nodes under the same path. Several lines "
        "spread the jobs; a second word `drain` keeps new jobs out; `*` means `~/.jobs`.",
    )
    defaultttl: DefaultTtl = option(
        default=DefaultTtl(ttl=timedelta(days=7), ttr=timedelta(days=30)),
        doc="How long a finished job keeps its session directory, and how long it is remembered after that; the second "
        "number may be left out.",
        unit="s s",
    )
    maxjobs: MaxJobs = option(
        default=MaxJobs(),
        doc="Five limits, -1 for none: jobs not yet finished; jobs in SUBMIT and INLRMS; jobs of one owner; jobs in "
        "the control directory; submissions and cancellations under way.",
        unit="jobs",
    )
    maxrerun: int = option(default=5, doc="Upper bound on the reruns that a job may ask for.", unit="times")
    wakeupperiod: timedelta = option(
        default=timedelta(seconds=180),
        doc="Time between full passes over all jobs; events show most changes at once, the pass catches the rest.",
        unit="s",
        least=1,
    )
    loglevel: LogLevel = option(
        default=LogLevel.INFO, doc="0 FATAL, 1 ERROR, 2 WARNING, 3 INFO, 4 VERBOSE, 5 DEBUG; the number or the word."
    )
    logfile: Path = option(default=Path("/var/log/arc/arex.log"), doc="Log of the service.")
    joblog: Path | None = option(
        default=Path("/var/log/arc/arex-jobs.log"),
        doc="One line for each start and end of a job; an empty value writes none.",
    )
    pidfile: Path = option(
        default=Path("/run/arched-arex.pid"),
        doc="Process id of the running service. Clients of ARC look for it, and read the file of the same name that "
        "ends in `.cfg` beside it.",
    )
    tmpdir: Path = option(default=Path("/tmp"), doc="Directory for temporary files, also of runtime environments.")  # noqa: S108  (ARC's default)
    fixdirectories: FixDirectories = option(
        default=FixDirectories.YES,
        doc="At start-up: `yes` creates directories and corrects modes, `missing` only creates, `no` does neither.",
    )
    shared_filesystem: bool = option(
        default=True,
        doc="Whether worker nodes see the session directories under the same path; `no` takes a batch system that "
        "transfers files.",
    )
    scratchdir: Path | None = option(
        default=None,
        doc="Directory of a worker node's own disk: jobs run there, and their files move there and back.",
        example="/scratch",
    )
    shared_scratch: Path | None = option(
        default=None,
        doc="Where the front end sees the scratch directories of worker nodes, if it does.",
        example="/mnt/scratch",
    )
    runtimedir: tuple[Path, ...] = option(
        default=(),
        doc="Directory of the site's runtime environments, beside those of arex; `arexctl rte` enables them.",
        example="/opt/rte",
    )
    delegationdb: DelegationDb = option(
        default=DelegationDb.SQLITE, doc="Storage of delegated credentials; only `sqlite` is there.", honoured=False
    )
    statecallout: tuple[StateCallout, ...] = option(
        default=(), doc="A program to run as a job enters a state: `STATE options command`.", honoured=False
    )
    other: Pairs = ()


@record
class WsJobsBlock(Record):
    """Which jobs are let in. Local clients read these two as well."""

    allownew: bool = option(
        default=True, doc="Whether new jobs are taken; `no` closes the service for them and finishes the rest."
    )
    maxjobdesc: int = option(default=5242880, doc="Largest job description; 0 is no limit.", unit="bytes")
    other: Pairs = ()


@record
class Glue2Block(Record):
    """Published information, as GLUE2 wants it."""

    admindomain_name: str = option(default="UNDEFINEDVALUE", doc="Name of the administrative domain (the site).")
    other: Pairs = ()


@record
class ClusterBlock(Record):
    """The worker nodes, as published; `adotf` means: look at this machine."""

    architecture: str = option(default="adotf", doc="Hardware platform of the nodes.")
    opsys: tuple[str, ...] = option(
        default=("adotf",), doc="Operating system of the nodes, `name-version`; may be repeated."
    )
    nodecpu: str = option(default="adotf", doc="Processor model of the nodes.")
    nodememory: int | None = option(
        default=None, doc="Memory that a job can count on, on one node.", unit="MB", example="64000", least=1
    )
    maxcputime: timedelta | None = option(
        default=None, doc="Longest CPU time of a job, for queues that say nothing.", unit="s", example="864000", least=1
    )
    maxwalltime: timedelta | None = option(
        default=None, doc="Longest run time of a job, for queues that say nothing.", unit="s", example="604800", least=1
    )
    other: Pairs = ()


@record
class QueueBlock(Record):
    """A queue of the batch system; the name follows the colon. The first one is the default."""

    name: str
    comment: str = option(default="", doc="A sentence about the queue, published.", example="for short jobs")
    defaultmemory: int | None = option(
        default=None,
        doc="Memory request of jobs that ask for none.",
        unit="MB",
        example="1000",
        least=1,
    )
    maxcputime: timedelta | None = option(
        default=None, doc="Longest CPU time of a job; without it, the cluster's.", unit="s", example="86400", least=1
    )
    maxwalltime: timedelta | None = option(
        default=None, doc="Longest run time of a job; without it, the cluster's.", unit="s", example="86400", least=1
    )
    maxslotsperjob: int | None = option(
        default=None, doc="Most slots that one job may take.", unit="slots", example="64", least=1
    )
    slurm_requirements: str = option(
        default="", doc="Options of sbatch for jobs of this queue, after those of `[lrms]`.", example="--qos=long"
    )
    sge_jobopts: str = option(
        default="", doc="Options of qsub for jobs of this queue, after those of `[lrms]`.", example="-l fast"
    )
    condor_requirements: str = option(
        default="", doc="Requirements of jobs of this queue, a ClassAd expression.", example='Pool == "grid"'
    )
    pbs_queue_node: str = option(
        default="", doc="Node property that jobs of this queue ask for.", example="gridlong_nodes"
    )
    other: Pairs = ()


@record
class ForeignBlock(Record):
    """A block of ARC that arex does not use, as it was."""

    header: str
    options: Pairs = ()


@record
class Configuration(Record):
    """
    Everything a site said, checked, with defaults for the rest; made by ``arex.config.load``.

    ``headers`` and ``source`` say where it came from and play no part in comparison.
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
    headers: tuple[str, ...] = field(default=(), compare=False)  #: blocks of the file, in order
    source: Path | None = field(default=None, compare=False)  #: None: defaults only

    @property
    def default_queue(self) -> QueueBlock:
        """The queue of jobs that name none."""
        wanted = self.lrms.lrms.queue
        return next((queue for queue in self.queues if queue.name == wanted), self.queues[0])

    def queue(self, name: str) -> QueueBlock | None:
        return next((queue for queue in self.queues if queue.name == name), None)


#: Blocks that have a record with documented options, as spelled in arc.conf, and the field that holds them.
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
