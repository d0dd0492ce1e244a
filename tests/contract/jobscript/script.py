"""Job scripts to run, and what they leave."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from arex.model.grami import Grami
from arex.model.ids import JobId, Tag
from arex.ports import Submission
from lrms.attempt.record import Done, read_done
from lrms.jobscript.script import job_script
from lrms.jobscript.settings import NOTHING_SETTLED, RuntimeScript, Scratch, ScriptMode, ScriptSettings, Settled

ALONE = ScriptSettings(nodes=("n1", "n2"), system="Debian", localid_words="42")
SUPERVISED = replace(ALONE, mode=ScriptMode.SUPERVISED, localid_words="")
#: What stands in the mark of a script that is alone.
MARKED = "id 42\n"
SHELLS = ("/bin/sh", "/bin/bash")


@dataclass(frozen=True)
class Ran:
    code: int
    said: str  #: what the script itself printed
    submission: Submission

    @property
    def diag(self) -> list[str]:
        return self.submission.diag.read_text().splitlines() if self.submission.diag.exists() else []

    @property
    def done(self) -> Done | None:
        return read_done(self.submission.rundir / "done")

    @property
    def mark(self) -> str:
        return (self.submission.rundir / "started").read_text()

    def file(self, name: str) -> str:
        return (self.submission.grami.directory / name).read_text()


def a_submission(root: Path, *args: str, **changes: object) -> Submission:
    session = root / "session" / "job1"
    session.mkdir(parents=True, exist_ok=True)
    rundir = session.with_name("job1.lrms") / "tag1"
    rundir.mkdir(parents=True, exist_ok=True)
    grami = Grami(
        gridid=JobId("job1"),
        directory=session,
        controldir=root / "control",
        args=args,
        stdout=f"{session}/out.txt",
        stderr=f"{session}/err.txt",
    )
    return Submission(
        job=JobId("job1"),
        tag=Tag("tag1"),
        grami=replace(grami, **changes),  # type: ignore[arg-type]
        rundir=rundir,
    )


def a_program(root: Path, text: str) -> Submission:
    """A job whose executable is this shell script, in which the job script expands nothing."""
    submission = a_submission(root, "./program")
    program = submission.grami.directory / "program"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o700)
    return submission


def run(
    submission: Submission,
    how: ScriptSettings = ALONE,
    runtimes: tuple[RuntimeScript, ...] = (),
    shell: str = "/bin/sh",
    settled: Settled = NOTHING_SETTLED,
    **environment: str,
) -> Ran:
    path = submission.rundir / "script"
    path.write_bytes(job_script(submission, how, runtimes, settled).encode(errors="surrogateescape"))
    done = subprocess.run(
        [shell, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"]} | environment,
        check=False,
        text=True,
        errors="replace",
    )
    return Ran(done.returncode, done.stdout, submission)


def on_scratch(
    root: Path, how: ScriptSettings = ALONE, *, shared: bool = False, movetool: str = "mv"
) -> ScriptSettings:
    """The node's disk, which is another file system than the session where this machine has two."""
    disk = root / "node's disk"
    disk.mkdir(exist_ok=True)
    seen = root / "seen"
    if shared and not seen.exists():
        seen.symlink_to(disk)
    return replace(how, scratch=Scratch(text=str(disk), movetool=movetool, shared=str(seen) if shared else ""))


HOWS = pytest.mark.parametrize("how", [ALONE, SUPERVISED], ids=["alone", "supervised"])
