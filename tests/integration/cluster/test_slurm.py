"""What is special about the fake SLURM."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.integration.cluster.trial import DONE, THREE, Trial


def test_waiting_children_are_one_line_unless_each_is_asked_for(make: Any) -> None:
    trial: Trial = make("slurm", FAKE_SLOTS="1")
    trial.submit("sleep 60")
    trial.submit("true", "--array=1-3", "--comment=tag one")

    assert trial.call("squeue", "-h", "-t", "PD", "-o", "%i|%K|%k").stdout == "2_[1-3]|1-3|tag one\n"
    assert trial.call("squeue", "-hr", "-t", "PD", "-o", "%i|%F|%K").stdout == "2_1|2|1\n2_2|2|2\n2_3|2|3\n"
    assert trial.call("squeue", "-hr", "-t", "PD", "-O", "JobArrayID:6|,State:3|,Comment:9|").stdout.startswith(
        "2_1   |PEN|tag one  |\n"
    )
    trial.call("scancel", "2_[1-2]")
    assert trial.call("squeue", "-h", "-t", "PD", "-o", "%i").stdout == "2_[3]\n"
    assert "Comment=tag one" in trial.call("scontrol", "-o", "show", "job", "2").stdout


def test_a_script_without_an_interpreter_is_refused(make: Any) -> None:
    trial: Trial = make("slurm")

    for text in ("echo\n", ""):
        assert trial.call("sbatch", input=text).returncode == 1
    assert trial.call("sbatch", "--frobnicate", input="#!/bin/sh\n").returncode == 1
    assert trial.call("sbatch", "/no/such/script").stderr == "sbatch: error: Unable to open file /no/such/script\n"


def test_the_environment_goes_along_only_if_it_should(make: Any) -> None:
    trial: Trial = make("slurm")
    for export, expected in (("ALL", "told"), ("NONE", ""), ("NIL", ""), ("NONE,SECRET=here", "here")):
        out = trial.root / export
        argv = ["--parsable", "-o", str(out), f"--export={export}"]
        done = trial.call("sbatch", *argv, input="#!/bin/sh\necho $SECRET\n", env={**os.environ, "SECRET": "told"})
        trial.until(done.stdout.strip(), DONE["slurm"])
        assert f"{expected}\n" == out.read_text()


@pytest.mark.parametrize(("version", "expected"), [("22.05.8", "768 |"), ("23.02.1", "3:0 |")])
def test_squeue_prints_exit_codes_as_its_version_does(make: Any, version: str, expected: str) -> None:
    """A wait status before 23.02, the form of sacct from then on."""
    trial: Trial = make("slurm", FAKE_SLURM=version)
    localid = trial.submit("exit 3")
    trial.until(localid, THREE["slurm"])

    assert f"slurm {version}\n" == trial.call("squeue", "--version").stdout
    assert f"{expected}\n" == trial.call("squeue", "-h", "-t", "all", "-O", "exit_code:4|").stdout
