"""What the tests of all dialects need: recorded answers, and jobs to submit."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from arex.model.grami import Grami
from arex.model.ids import JobId, Tag
from arex.ports import Submission
from arex.process import Completed
from lrms.command.dialect import Work
from tests import environments


def recorded(name: str) -> Completed:
    """An answer kept under ``tests/data``; how it was asked and how it ended stand beside it."""
    facts, _, err = (environments.DATA / f"{name}.about").read_text().partition("stderr:\n")
    lines = dict(line.split(": ", 1) for line in facts.splitlines())
    out = environments.DATA / f"{name}.out"
    argv = tuple(shlex.split(lines["argv"]))
    return Completed(argv, int(lines["exit"]), out.read_text() if out.exists() else "", err)


def said(out: str = "", err: str = "", code: int = 0, argv: str = "program") -> Completed:
    return Completed(tuple(argv.split()), code, out, err)


def submission(job: str = "abc", **grami: Any) -> Submission:
    base = Grami(gridid=JobId(job), directory=Path(f"/s/{job}"), controldir=Path("/c"), args=("./x",))
    tag = Tag(f"{job}-1f")
    return Submission(job=JobId(job), tag=tag, grami=replace(base, **grami), rundir=Path(f"/s/{job}.lrms/{tag}"))


def work(*submissions: Submission) -> Work:
    first = submissions[0]
    return Work(submissions=submissions, script=first.rundir / "script", output=str(first.comment), tag=first.tag)
