"""A fake cluster under trial, and how each of its batch systems says the same."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.contract.worlds import until
from tests.fakes.cluster.control import FakePrograms


@dataclass(frozen=True)
class Speech:
    """What a test needs to say to one batch system."""

    system: str
    mark: str  #: of directives
    submit: str
    list: str
    cancel: str
    hold: tuple[str, ...]
    release: tuple[str, ...]
    array: str  #: option that makes one of three
    index: str  #: variable that holds it
    minute: str  #: directive that limits to a minute or second
    settings: tuple[tuple[str, str], ...] = ()


SPEECHES: Final = {
    "slurm": Speech(
        "slurm", "#SBATCH", "sbatch", "squeue", "scancel", ("scontrol", "hold"), ("scontrol", "release"),
        "--array=1-3", "SLURM_ARRAY_TASK_ID", "--time=1",
    ),
    "openpbs": Speech(
        "pbs", "#PBS", "qsub", "qstat", "qdel", ("qhold",), ("qrls",), "-J1-3", "PBS_ARRAY_INDEX", "-l walltime=1",
    ),
    "torque": Speech(
        "pbs", "#PBS", "qsub", "qstat", "qdel", ("qhold",), ("qrls",), "-t1-3", "PBS_ARRAYID", "-l walltime=1",
        (("FAKE_PBS", "torque"),),
    ),
    "lsf": Speech(
        "lsf", "#BSUB", "bsub", "bjobs", "bkill", ("bstop",), ("bresume",), "-Ja[1-3]", "LSB_JOBINDEX", "-W 1",
    ),
}  # fmt: skip


class Trial:
    """A fake cluster, and what its programs say in one form for all."""

    def __init__(self, root: Path, speech: Speech, **settings: str) -> None:
        self.root, self.speech = root, speech
        self.programs = FakePrograms(root / "cluster", speech.system, **dict(speech.settings), **settings)

    def call(self, command: str, *argv: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return self.programs.run(command, *argv, cwd=self.root, timeout=30, **more)

    def submit(self, body: str, *argv: str, directive: str = "") -> str:
        line = f"{self.speech.mark} {directive}\n" if directive else ""
        output = [] if "-o" in argv else ["-o", str(self.root / "out")]
        done = self.call(self.speech.submit, *output, *argv, input=f"#!/bin/sh\n{line}{body}\n")
        assert done.returncode == 0, done.stderr
        found = re.search(r"\d+", done.stdout)
        assert found is not None
        return found[0]

    def states(self) -> dict[str, tuple[str, str]]:
        """Each job's state, and how it ended: exit code or reason."""
        match self.speech.system:
            case "slurm":
                return {
                    localid: (state, code)
                    for localid, state, code in (
                        line.split("|")
                        for line in self.call("sacct", "-nPX", "-o", "JobID,State,ExitCode").stdout.splitlines()
                    )
                }
            case "lsf":
                records = json.loads(self.call("bjobs", "-a", "-o", "jobid stat exit_code exit_reason", "-json").stdout)
                return {
                    each["JOBID"]: (each["STAT"], each["EXIT_REASON"].partition(":")[0] or each["EXIT_CODE"])
                    for each in records["RECORDS"]
                }
            case _:
                return self._pbs_states()

    def _pbs_states(self) -> dict[str, tuple[str, str]]:
        if self.speech.settings:
            jobs = re.findall(r"<Job>(.*?)</Job>", self.call("qstat", "-f", "-t", "-x").stdout)
            pairs = [dict(re.findall(r"<(Job_Id|job_state|exit_status)>([^<]*)<", each)) for each in jobs]
            return {
                each["Job_Id"].partition(".")[0]: (each["job_state"], each.get("exit_status", "")) for each in pairs
            }
        answer = json.loads(self.call("qstat", "-x", "-f", "-t", "-F", "json").stdout).get("Jobs", {})
        return {
            localid.partition(".")[0]: (each["job_state"], str(each.get("Exit_status", "")))
            for localid, each in answer.items()
        }

    def until(self, localid: str, *states: tuple[str, str]) -> None:
        until(lambda: self.states().get(localid) in states, 120)


DONE: Final = {"slurm": ("COMPLETED", "0:0"), "openpbs": ("F", "0"), "torque": ("C", "0"), "lsf": ("DONE", "")}
THREE: Final = {"slurm": ("FAILED", "3:0"), "openpbs": ("F", "3"), "torque": ("C", "3"), "lsf": ("EXIT", "3")}


def name(trial: Trial) -> str:
    return next(each for each, speech in SPEECHES.items() if speech is trial.speech)
