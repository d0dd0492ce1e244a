"""
Complete job scripts, compared byte for byte with the files in tests/data/jobscripts.

``AREX_WRITE_GOLDEN=yes pytest tests/unit/lrms/jobscript/test_golden.py`` writes the files again: read what differs
before it is committed, because jobs of an earlier version still run the earlier script.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from arex.clock import SystemClock
from arex.errors import BatchUnavailable
from arex.model.grami import Grami, RunTime
from arex.model.ids import JobId, Tag
from arex.ports import Submission
from lrms.command.backend import CommandBackend
from lrms.command.dialect import Dialect
from lrms.command.settings import CommandSettings
from lrms.command.transport import FileTransport
from lrms.htcondor.dialect import CondorDialect, CondorOptions
from lrms.htcondor.transfer import FileTransfer
from lrms.jobscript.runtimes import RuntimeSettings
from lrms.jobscript.script import job_script
from lrms.jobscript.settings import RuntimeScript, Scratch, ScriptMode, ScriptSettings, Settled
from lrms.jobscript.stage0 import Shell, run_stage0
from lrms.lsf.dialect import LsfDialect, LsfOptions
from lrms.pbs.dialect import PbsDialect, PbsOptions, TorqueDialect
from lrms.sge.dialect import SgeDialect, SgeOptions
from lrms.slurm.dialect import SlurmDialect, SlurmOptions, SlurmQueueOptions
from tests.environments import ROOT

#: Batch systems get start times in local time.
pytestmark = pytest.mark.usefixtures("utc")

GOLDEN: Final = ROOT / "tests/data/jobscripts"
#: In the place of the directory that a test runs in.
TOP: Final = "/TOP"
FORK: Final = ScriptSettings(mode=ScriptMode.SUPERVISED, nodes=("node1",), system="Debian GNU/Linux 12 (bookworm)")
LIMITS: Final[dict[str, Any]] = {"walltime_s": 3600, "cputime_s": 7200, "memory_mb": 2000}
RUNTIMES: Final = (
    RuntimeScript(name="APPS/X-1.0", options=("one two", "$HOME"), params="COLOUR='blue'", body='export X="$1"'),
    RuntimeScript(name="ENV/PROXY"),
)


def submission(root: Path, job: str = "job1", **grami: Any) -> Submission:
    session = root / "session" / job
    value = Grami(
        gridid=JobId(job),
        directory=session,
        controldir=root / "control",
        args=("./program", "$HOME", "it's"),
        stdout=f"{session}/out.txt",
        stderr=f"{session}/err.txt",
        environment=(("NAME", "one two"),),
        joburl="https://ce.example.org/job1",
        interface="org.nordugrid.internal",
        jobhost="ce.example.org",
        jobname="a job",
        queue="main",
    )
    tag = Tag(f"{job}-0a0b0c0d")
    rundir = session.with_name(f"{job}.lrms") / tag
    return Submission(job=JobId(job), tag=tag, grami=replace(value, **grami), rundir=rundir)


def compare(name: str, script: bytes) -> None:
    path = GOLDEN / f"{name}.sh"
    if os.environ.get("AREX_WRITE_GOLDEN"):
        path.write_bytes(script)
    assert path.read_bytes().decode(errors="surrogateescape") == script.decode(errors="surrogateescape")


# --- under a supervisor -----------------------------------------------------------------------------------------------


def fork(**grami: Any) -> str:
    return job_script(submission(Path(TOP), **grami), FORK)


def fork_with_runtimes() -> str:
    return job_script(submission(Path(TOP)), FORK, RUNTIMES)


def fork_in_a_scratch_directory() -> str:
    settings = replace(FORK, scratch=Scratch(text="/scratch", movetool="cp -a", shared="/net/scratch"))
    return job_script(submission(Path(TOP), count=4), settings)


def fork_asks_for_the_node_and_the_system() -> str:
    return job_script(submission(Path(TOP)), ScriptSettings(mode=ScriptMode.SUPERVISED))


def fork_with_hostile_texts() -> str:
    nasty = "a 'b' \"c\" $d `e` \\ \n;*"
    names = (("GOOD", nasty), ("BAD NAME", "x"), ("IFS", "x"), ("arex_own", "x"), ("ACCENT", "\u00e9"))
    out = f"{TOP}/session/job1/{nasty}"
    return fork(args=(nasty, "\u00e9", ""), environment=names, stdout=out, stderr=out, stdin=nasty, joburl="'")


def settled_by_stage_0() -> str:
    settled = Settled(
        command='./wrapped "$@"',
        instance="image one",
        benchmark="HEPscore:15\n",
        scratch="${TMPDIR:-/tmp}/jobs",
        movetool="rsync -a --remove-source-files",
        shared="/net/jobs",
        multicore=True,
    )
    settings = ScriptSettings(localid_words="$BATCH_ID", benchmark="HEPSPEC:12.5")
    return job_script(submission(Path(TOP), count=8, numnodes=2), settings, RUNTIMES[:1], settled)


@pytest.mark.parametrize(
    "build",
    [
        fork,
        fork_with_runtimes,
        fork_in_a_scratch_directory,
        fork_asks_for_the_node_and_the_system,
        fork_with_hostile_texts,
        settled_by_stage_0,
    ],
)
def test_a_script_is_what_it_was(build: Callable[[], str]) -> None:
    compare(build.__name__, build().encode(errors="surrogateescape"))


# --- under a batch system ---------------------------------------------------------------------------------------------

NOWHERE: Final = Path("/nonexistent")
SLURM: Final = SlurmOptions(
    bin=NOWHERE,
    account="physics",
    qos="long",
    extra=("--constraint=avx2",),
    queues={"main": SlurmQueueOptions(memory_mb=1000, extra=("--exclude=n1",))},
)
BATCH: Final[dict[str, tuple[Dialect, ScriptSettings, dict[str, Any]]]] = {
    "slurm": (SlurmDialect(SLURM), ScriptSettings(), LIMITS | {"count": 4, "countpernode": 2}),
    "slurm_login_shell": (SlurmDialect(SlurmOptions(bin=NOWHERE)), ScriptSettings(login=True), {}),
    "slurm_in_a_scratch_directory": (
        SlurmDialect(SlurmOptions(bin=NOWHERE)),
        ScriptSettings(scratch=Scratch(text="/scratch")),
        {"exclusivenode": True, "starttime": datetime(2030, 1, 1, tzinfo=UTC)},
    ),
    "pbs": (PbsDialect(PbsOptions(bin=NOWHERE, account="physics")), ScriptSettings(), LIMITS | {"priority": 60}),
    "torque": (TorqueDialect(PbsOptions(bin=NOWHERE, login=True)), ScriptSettings(login=True), LIMITS | {"count": 2}),
    "sge": (SgeDialect(SgeOptions(bin=NOWHERE)), ScriptSettings(nodes_command="echo node7"), LIMITS),
    "lsf": (LsfDialect(LsfOptions(bin=NOWHERE, architecture="X86_64")), ScriptSettings(), LIMITS),
    "condor": (CondorDialect(CondorOptions(bin=NOWHERE)), ScriptSettings(), LIMITS),
    "condor_moves_files": (
        CondorDialect(CondorOptions(bin=NOWHERE, moves=True)),
        ScriptSettings(scratch=Scratch(text="/scratch")),
        LIMITS,
    ),
}


async def laid_out(
    top: Path, dialect: Dialect, settings: ScriptSettings, *batch: Submission, transport: FileTransport | None = None
) -> None:
    """Submit where the batch system does not answer: the scripts are on disk then."""
    root = top / "session"
    for each in batch:
        each.grami.directory.mkdir(parents=True)
    values = CommandSettings(roots=(root,), script=settings, runtimes=RuntimeSettings())
    backend = CommandBackend(dialect, values, transport=transport)
    with pytest.raises(BatchUnavailable):
        await backend.submit(batch)


def without(top: Path, path: Path) -> bytes:
    return path.read_bytes().replace(os.fsencode(top), TOP.encode())


@pytest.mark.parametrize("name", BATCH)
async def test_a_script_for_a_batch_system_is_what_it_was(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    dialect, settings, grami = BATCH[name]
    runtimes = (RunTime(name="APPS/X", options=("a b",)),) if name in {"slurm", "condor_moves_files"} else ()
    enabled = tmp_path / "control/rte/enabled/APPS"
    enabled.mkdir(parents=True)
    (enabled / "X").write_text('[ "$1" = 0 ] || echo "stage $1 $2"\n')
    one = submission(tmp_path, runtimes=runtimes, **grami)

    transport = FileTransfer(SystemClock()) if name == "condor_moves_files" else None
    await laid_out(tmp_path, dialect, settings, one, transport=transport)

    compare(name, without(tmp_path, one.rundir / "script"))


@pytest.mark.parametrize("name", ["slurm", "torque"])
async def test_the_launcher_of_an_array_is_what_it_was(tmp_path: Path, name: str) -> None:
    dialect, settings, _ = BATCH[name]
    batch = [submission(tmp_path, f"job{n}", jobname=f"part-{n}") for n in (1, 2, 3)]

    await laid_out(tmp_path, dialect, settings, *batch)

    [launcher] = await asyncio.to_thread(lambda: list((tmp_path / "session/.arex/arrays").glob("*/launcher")))
    compare(f"{name}_array", without(tmp_path, launcher))


async def test_the_program_of_stage_0_is_what_it_was(tmp_path: Path) -> None:
    copier = tmp_path / "copier"
    copier.write_text(f"#!/bin/sh\ncat >{tmp_path}/program\n")
    copier.chmod(0o700)
    shell = Shell(path=str(copier), environment={"PATH": os.environ["PATH"]}, variables={"CONFIG_x": "it's"})

    await run_stage0(submission(Path(TOP), runtimes=(RunTime(name="APPS/X"),)).grami, shell)

    compare("stage_0", (tmp_path / "program").read_bytes())
