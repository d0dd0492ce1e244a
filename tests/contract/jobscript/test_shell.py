"""The job script as shellcheck sees it, whatever a job contains."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lrms.jobscript.script import job_script
from lrms.jobscript.settings import RuntimeScript, ScriptSettings, Settled
from tests.contract.jobscript.script import ALONE, HOWS, SUPERVISED, a_submission, on_scratch, run


@HOWS
def test_the_script_with_scratch_is_clean(tmp_path: Path, how: ScriptSettings) -> None:
    submission = a_submission(tmp_path, "/bin/true")

    for each in (on_scratch(tmp_path, how), on_scratch(tmp_path, how, shared=True)):
        assert shellcheck(job_script(submission, each)) == ""
    assert shellcheck(job_script(submission, how, (), Settled(scratch="$WORKDIR", command="nice ./x"))) == ""


NASTY = (
    "",
    " ",
    "'",
    '"',
    "\\",
    "`",
    "$(",
    "${$i}",
    "a'b\"c\\d",
    "\n",
    "#!",
    "$x",
    "é“”\u00a0",
    "-e",
    "%s",
    "EOF",
    "*",
    "\\'",
)


def shellcheck(text: str, shell: str = "sh") -> str:
    program = shutil.which("shellcheck")
    assert program, "shellcheck is part of the test tools"
    done = subprocess.run([program, "-s", shell, "-"], input=text, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "how",
    [ALONE, SUPERVISED, ScriptSettings(directives=("#SBATCH --no-requeue",))],
    ids=["alone", "supervised", "batch"],
)
def test_the_script_is_clean_whatever_the_job_contains(tmp_path: Path, how: ScriptSettings) -> None:
    submission = a_submission(
        tmp_path,
        *NASTY,
        environment=tuple((f"V{n}", text) for n, text in enumerate(NASTY)) + tuple((text, "x") for text in NASTY),
        stdout=f"/s/{''.join(NASTY)}",
        stderr=f"/s/{''.join(NASTY)}2",
        stdin="".join(NASTY),
        joburl="'",
    )
    runtimes = tuple(RuntimeScript(name=f"A{text}", options=NASTY) for text in NASTY)

    assert shellcheck(job_script(submission, how, runtimes)) == ""
    assert shellcheck(job_script(submission, how)) == ""
    assert shellcheck("echo $unquoted\n")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_characters="\0$`\n", exclude_categories=["Cs"])), max_size=4))
def test_text_without_expansions_survives_the_shell(tmp_path: Path, values: list[str]) -> None:
    submission = a_submission(tmp_path, "/usr/bin/printf", "%s\\0", *values)
    for leftover in submission.rundir.iterdir():
        leftover.unlink()

    ran = run(submission, SUPERVISED)

    assert (
        "".join(f"{each}\0" for each in values or [""])
        == (ran.submission.grami.directory / "out.txt").read_bytes().decode()
    )
