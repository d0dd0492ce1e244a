from __future__ import annotations

from pathlib import Path

import pytest

from arex.model.grami import Grami
from arex.model.ids import JobId, Tag
from arex.ports import Submission
from lrms.jobscript.quoting import expanding
from lrms.jobscript.script import job_script
from lrms.jobscript.settings import ScriptMode, ScriptSettings

SUBMISSION = Submission(
    job=JobId("job1"),
    tag=Tag("tag1"),
    grami=Grami(
        gridid=JobId("job1"),
        directory=Path("/S/job1"),
        controldir=Path("/C"),
        args=("./run", "$HOME"),
        environment=(("A", "it's"),),
    ),
    rundir=Path("/S/job1.lrms/tag1"),
)


@pytest.mark.parametrize(
    ("text", "word"), [("$HOME", '"$HOME"'), ("a\\b", '"a\\\\b"'), ('"', '"\\""'), ("`x`", '"`x`"')]
)
def test_an_expanding_word_escapes_backslash_and_quote_only(text: str, word: str) -> None:
    assert word == expanding(text)


def test_directives_follow_the_first_line_at_once() -> None:
    """Batch systems stop looking at the first command."""
    script = job_script(SUBMISSION, ScriptSettings(interpreter="/bin/bash -l", directives=("#SBATCH -n 1", "#SBATCH ")))

    assert script.splitlines()[:3] == ["#!/bin/bash -l", "#SBATCH -n 1", "#SBATCH "]


def test_the_four_grid_variables_come_after_the_jobs_own() -> None:
    exports = [
        line
        for line in job_script(SUBMISSION, ScriptSettings()).splitlines()
        if line.startswith(("export 'A", "export GRID"))
    ]

    assert exports == [
        "export 'A=it'\"'\"'s'",
        "export GRID_GLOBAL_JOBID=job1",
        "export GRID_GLOBAL_JOBURL=",
        "export GRID_GLOBAL_JOBINTERFACE=",
        "export GRID_GLOBAL_JOBHOST=",
    ]


def test_under_a_supervisor_the_script_starts_no_program_but_the_payload() -> None:
    """Every program costs as much as the rest of the script."""
    script = job_script(SUBMISSION, ScriptSettings(mode=ScriptMode.SUPERVISED, nodes=("n",), system="Debian"))

    assert "$(" not in script
    assert script.splitlines()[-1].startswith('exec "$@" ')


def test_the_same_job_gives_the_same_script() -> None:
    assert job_script(SUBMISSION, ScriptSettings()) == job_script(SUBMISSION, ScriptSettings())
