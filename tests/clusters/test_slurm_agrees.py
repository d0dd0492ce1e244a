"""What a job asks SLURM for: the same through ARC's own scripts and through ours, but where a reason is given."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from arex.config.load import load
from arex.config.runtime import runtime_cfg
from arex.jobdesc.control.grami import dump_grami, parse_grami
from arex.model.grami import Grami, ParallelEnvironment
from arex.model.ids import new_job_id, new_tag
from arex.ports import Submission
from lrms.slurm.dialect import SlurmBackend
from tests.clusters.site import Cluster

START: Final = datetime(2099, 1, 1, tzinfo=UTC)
SCRIPT: Final = Path("/usr/share/arc/submit-SLURM-job")
#: What both are compared by: fields of ``scontrol show job``.
FIELDS: Final = (
    "JobName",
    "UserId",
    "Nice",
    "Account",
    "QOS",
    "Requeue",
    "TimeLimit",
    "Partition",
    "NumNodes",
    "NumCPUs",
    "NumTasks",
    "CPUs/Task",
    "ReqB:S:C:T",
    "TRES",
    "NtasksPerN:B:S:C",
    "CoreSpec",
    "MinCPUsNode",
    "MinMemoryCPU",
    "MinMemoryNode",
    "MinTmpDiskNode",
    "Features",
    "OverSubscribe",
    "Contiguous",
    "Licenses",
    "Dependency",
    "StartTime",
    "ReqNodeList",
    "ExcNodeList",
    "TresPerNode",
    "Reservation",
    "WorkDir",
    "StdOut",
    "StdErr",
    "StdIn",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A job, and the configuration under which it is submitted."""

    grami: Mapping[str, Any] = field(default_factory=dict)
    lrms: str = ""  #: lines of [lrms]
    queue: str = ""  #: lines of [queue:main]


def slots(count: int, per_node: int = -1, **more: Any) -> dict[str, Any]:
    """As a description with these slots becomes a grami file."""
    return {"count": count, "countpernode": per_node, "parallel": ParallelEnvironment(), **more}


SHAPES: Final[dict[str, Shape]] = {
    "plain": Shape(),
    "a queue": Shape(grami={"queue": "short"}),
    "no queue": Shape(grami={"queue": ""}),
    "four cores": Shape(grami=slots(4)),
    "cores on more than one node": Shape(grami=slots(20)),
    "eight cores, four on a node": Shape(grami=slots(8, 4, numnodes=2)),
    "cores that don't come out even": Shape(grami=slots(6, 4, numnodes=2)),
    "all cores on one node": Shape(grami=slots(4, 4, numnodes=1)),
    "one core, one on a node": Shape(grami=slots(1, 1, numnodes=1)),
    "a node for itself": Shape(grami={"exclusivenode": True}),
    "nodes for itself": Shape(grami=slots(8, 4, numnodes=2, exclusivenode=True)),
    "memory": Shape(grami={"memory_mb": 1234}),
    "memory for each of four cores": Shape(grami=slots(4, memory_mb=500)),
    "memory of the batch system's block": Shape(lrms="defaultmemory=321\n"),
    "memory of the queue": Shape(lrms="defaultmemory=321\n", queue="defaultmemory=432\n"),
    "own memory before any default": Shape(
        grami={"memory_mb": 99}, lrms="defaultmemory=321\n", queue="defaultmemory=432\n"
    ),
    "walltime": Shape(grami={"walltime_s": 3600}),
    "walltime with seconds": Shape(grami={"walltime_s": 3725}),
    "walltime of a few seconds": Shape(grami={"walltime_s": 5}),
    "walltime of days": Shape(grami={"walltime_s": 3 * 86400}),
    "processor time": Shape(grami={"cputime_s": 7200}),
    "processor time of four cores": Shape(grami=slots(4, cputime_s=7200)),
    "processor time that doesn't come out even": Shape(grami=slots(7, cputime_s=10000)),
    "both times": Shape(grami={"walltime_s": 3600, "cputime_s": 7200}),
    "both times, the other way round": Shape(grami={"walltime_s": 7200, "cputime_s": 3600}),
    "the highest priority": Shape(grami={"priority": 100}),
    "the lowest priority": Shape(grami={"priority": 1}),
    "a name": Shape(grami={"jobname": "simulation7"}),
    "no name": Shape(grami={"jobname": ""}),
    "a long name": Shape(grami={"jobname": "averylongnameofajob" * 3}),
    "a name that begins with a digit": Shape(grami={"jobname": "7th"}),
    "a long name that begins with a digit": Shape(grami={"jobname": "7thlongnameofajob"}),
    "a name with odd characters": Shape(grami={"jobname": 'it\'s $(a) "b" `c` ;d&e|f'}),
    "a name with dots and dashes": Shape(grami={"jobname": "run-1.2_x"}),
    "a name beyond ASCII": Shape(grami={"jobname": "Größe"}),
    "a start time": Shape(grami={"starttime": START}),
    "a feature": Shape(lrms="slurm_requirements=-C fast\n"),
    "requirements of the queue": Shape(queue="slurm_requirements=-C big --gres=gpu:2\n"),
    "several requirements": Shape(lrms="slurm_requirements=-C fast --tmp=5 --exclude=n3\n"),
    "requirements in quotes": Shape(lrms="slurm_requirements=-C \"fast\" --exclude='n3'\n"),
    "requirements of both": Shape(lrms="slurm_requirements=-C fast\n", queue="slurm_requirements=--gres=gpu:1\n"),
    "disk and virtual memory": Shape(grami={"disk_mb": 500, "virtualmemory_mb": 5000}),
}
#: Shape to field to theirs, ours, and why they may differ.
WANTED: Final[dict[str, dict[str, tuple[str, str, str]]]] = {
    "a name with dots and dashes": {
        "JobName": ("run_1_2_x", "run-1.2_x", "every batch system takes them, and the owner finds the name again")
    },
    "a name beyond ASCII": {
        "JobName": ("Größe", "Gr__e", "what theirs does depends on the locale of the daemon; ASCII goes everywhere")
    },
    "a start time": {
        "StartTime": (
            "Unknown",
            f"{START.astimezone():%Y-%m-%dT%H:%M:%S}",
            "both daemons keep the job back until then; one that is submitted all the same waits there",
        )
    },
    "requirements of both": {
        "Features": ("(null)", "fast", "theirs takes those of the queue in place of those for all; ours takes both")
    },
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Submits in both ways, held."""

    root: Path
    cluster: Cluster

    def conf(self, shape: Shape) -> Path:
        path = self.root / "arc.conf"
        lrms = shape.lrms if "slurm_requirements" in shape.lrms else f"{shape.lrms}slurm_requirements=--hold\n"
        lrms = lrms.replace("slurm_requirements=", "slurm_requirements=--hold ")
        queue = shape.queue.replace("slurm_requirements=", "slurm_requirements=--hold ")
        path.write_text(
            f"[common]\nhostname=localhost\n[arex]\ncontroldir={self.root}/control\nsessiondir={self.root}/session\n"
            f"pidfile={self.root}/arex.pid\ntmpdir={self.root}\n[lrms]\nlrms=slurm main\nslurm_bin_path=/usr/bin\n"
            f"{lrms}[queue:main]\n{queue}[queue:short]\n"
        )
        return path

    def submission(self, shape: Shape) -> Submission:
        job = new_job_id()
        session = self.root / "session" / job
        session.mkdir(parents=True)
        (self.root / "control").mkdir(exist_ok=True)
        grami = Grami(gridid=job, directory=session, controldir=self.root / "control", args=("/bin/true",))
        grami = replace(grami, **{"queue": "main", "jobname": "agree", **shape.grami})
        tag = new_tag(job)
        return Submission(job=job, tag=tag, grami=grami, rundir=session.with_name(f"{job}.lrms") / tag)

    def theirs(self, shape: Shape) -> dict[str, str]:
        submission = self.submission(shape)
        config = load(self.conf(shape), {}, uid=0)[0]
        cfg = self.root / "arex.cfg"
        cfg.write_text(runtime_cfg(config))
        grami = self.root / "control" / f"job.{submission.job}.grami"
        grami.write_bytes(dump_grami(submission.grami))
        environ = {**self.cluster.environ, "ARC_CONFIG": str(cfg), "TMPDIR": str(self.root), "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            [str(SCRIPT), "--config", str(cfg), str(grami)], env=environ, capture_output=True, text=True, check=False
        )
        localid = parse_grami(grami.read_bytes()).localid
        assert localid is not None, done.stdout + done.stderr
        return self.told(localid, submission)

    def ours(self, shape: Shape) -> dict[str, str]:
        submission = self.submission(shape)
        backend = SlurmBackend.from_config(load(self.conf(shape), {}, uid=0)[0])
        localid = asyncio.run(backend.submit([submission]))[submission.tag]
        assert isinstance(localid, str), localid
        return self.told(localid, submission)

    def told(self, localid: str, submission: Submission) -> dict[str, str]:
        """What SLURM has understood; the job does not outlive this."""
        facts = self.cluster.shows(localid)
        self.cluster.run("scancel", localid).good()
        assert "PENDING" == facts["JobState"], facts
        assert {"JobName", "NumNodes", "NumCPUs", "TRES", "TimeLimit", "Features", "Nice"} <= facts.keys()
        return {key: value.replace(submission.job, "JOB") for key, value in facts.items() if key in FIELDS}


@pytest.fixture
def comparison(slurm: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Comparison:
    assert SCRIPT.exists(), "ARC's scripts are needed: install nordugrid-arc-arex"
    monkeypatch.setenv("SLURM_CONF", slurm.environ["SLURM_CONF"])
    return Comparison(tmp_path, slurm)


@pytest.mark.parametrize("name", SHAPES)
def test_a_job_asks_for_what_it_asks_for_through_arc_s_scripts(comparison: Comparison, name: str) -> None:
    theirs, ours = comparison.theirs(SHAPES[name]), comparison.ours(SHAPES[name])

    different = {
        key: (theirs.get(key, ""), ours.get(key, ""))
        for key in sorted(theirs.keys() | ours.keys())
        if theirs.get(key) != ours.get(key)
    }

    assert {key: each[:2] for key, each in WANTED.get(name, {}).items()} == different


def test_every_difference_has_its_reason() -> None:
    assert [] == [
        name for name, each in WANTED.items() if name not in SHAPES or not all(row[2] for row in each.values())
    ]
