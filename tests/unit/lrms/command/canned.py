"""A batch system of shell scripts: each command prints what a test wants, and is noted."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from arex.model.grami import Grami
from arex.model.ids import JobId, LocalId, Tag
from arex.ports import LocalJob, Submission
from lrms.command.backend import CommandBackend
from lrms.command.settings import CommandSettings
from lrms.slurm.dialect import SlurmDialect, SlurmOptions
from tests.fakes.clock import FakeClock

#: When the job scripts of the attempts were written.
SUBMITTED = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


class Canned:
    """A SLURM whose commands are canned; without any of them, it has no jobs."""

    def __init__(self, root: Path) -> None:
        self.root, self.bin = root, root / "bin"
        self.bin.mkdir()
        self.clock = FakeClock()
        self.says("squeue")
        self.says("scancel")
        self.says("sacct")

    def does(self, command: str, script: str) -> None:
        path = self.bin / command
        fresh = path.with_suffix(".new")  # a running script must not change
        note = f"echo {command} \"$*\" >>'{self.root}/calls'"
        fresh.write_text(f"#!/bin/sh\n{note}\n{script}\n")
        fresh.chmod(0o755)
        fresh.rename(path)

    def says(self, command: str, out: str = "", err: str = "", code: int = 0) -> None:
        for name, text in (("out", out), ("err", err)):
            (self.root / f"{command}.{name}").write_text(text)
        self.does(command, f"cat '{self.root}/{command}.out'; cat '{self.root}/{command}.err' >&2; exit {code}")

    def calls(self, command: str) -> list[str]:
        """The arguments of each call."""
        path = self.root / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.removeprefix(f"{command} ") for line in lines if line.startswith(f"{command} ")]

    def backend(self, **options: Any) -> CommandBackend:
        settings = CommandSettings(
            roots=(self.root / "session",), queries_per_minute=1000, array=options.pop("array", False)
        )
        return CommandBackend(SlurmDialect(SlurmOptions(bin=self.bin, **options)), settings, self.clock)

    def submission(self, job: str = "job1", **grami: Any) -> Submission:
        session = self.root / "session" / job
        session.mkdir(parents=True, exist_ok=True)
        tag = Tag(f"{job}-0badcafe")
        value = Grami(gridid=JobId(job), directory=session, controldir=self.root, args=("/bin/true",), **grami)
        return Submission(job=JobId(job), tag=tag, grami=value, rundir=session.with_name(f"{job}.lrms") / tag)

    def started(self, job: str, localid: str, mark: str = "") -> LocalJob:
        """A job in the batch system; with a start marker, it has begun as this id."""
        submission = self.submission(job)
        submission.rundir.mkdir(parents=True)
        script = submission.rundir / "script"
        script.touch()
        os.utime(script, (SUBMITTED.timestamp(), SUBMITTED.timestamp()))
        if mark:
            (submission.rundir / "started").write_text(f"id {mark}\n")
        return LocalJob(
            job=submission.job,
            localid=LocalId(localid),
            tag=submission.tag,
            session=submission.grami.directory,
            rundir=submission.rundir,
        )
