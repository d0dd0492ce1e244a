"""The fake programs run jobs as the real ones do, as far as a client can tell; nothing that they say is made up."""

from __future__ import annotations

import os
import re
from typing import Any, Final

import pytest

from lrms import processes
from tests.contract.worlds import until
from tests.integration.cluster.trial import DONE, SPEECHES, THREE, Trial, name

KILLED: Final = {"slurm": ("FAILED", "0:9"), "openpbs": ("F", "265"), "torque": ("C", "265"), "lsf": ("EXIT", "137")}
LATE: Final = {
    "slurm": ("TIMEOUT", "0:0"), "openpbs": ("F", "-29"), "torque": ("C", "-11"), "lsf": ("EXIT", "TERM_RUNLIMIT"),
}  # fmt: skip
CANCELLED: Final = {
    "slurm": ("CANCELLED by UID", "0:0"), "openpbs": ("F", "271"), "torque": ("C", "271"),
    "lsf": ("EXIT", "TERM_OWNER"),
}  # fmt: skip
WAITING: Final = {"slurm": ("PENDING", "0:0"), "openpbs": ("H", ""), "torque": ("H", ""), "lsf": ("PSUSP", "")}
RUNNING: Final = {"slurm": ("RUNNING", "0:0"), "openpbs": ("R", ""), "torque": ("R", ""), "lsf": ("RUN", "")}


def cancelled(trial: Trial) -> tuple[str, str]:
    state, code = CANCELLED[name(trial)]
    return state.replace("UID", str(os.getuid())), code


def test_a_job_runs_and_its_output_is_kept(trial: Trial) -> None:
    localid = trial.submit("echo it ran; echo badly >&2", *(["-joe"] if trial.speech.system == "pbs" else []))

    trial.until(localid, DONE[name(trial)])

    assert (trial.root / "out").read_text().startswith("it ran\nbadly\n")


def test_the_exit_code_is_that_of_the_script(trial: Trial) -> None:
    trial.until(trial.submit("exit 3"), THREE[name(trial)])


def test_a_signal_is_one(trial: Trial) -> None:
    trial.until(trial.submit("kill -9 $$"), KILLED[name(trial)])


def test_children_of_an_array_know_their_index(trial: Trial) -> None:
    root = trial.submit(f"echo $0 >{trial.root}/ran.${trial.speech.index}", trial.speech.array)

    form = {"slurm": "{}_{}"}.get(trial.speech.system, "{}[{}]")
    for index in (1, 2, 3):
        end = DONE[name(trial)]
        trial.until(form.format(root, index), end, ("X", end[1]))
        assert (trial.root / f"ran.{index}").exists()


def test_a_running_job_is_cancelled_with_all_its_processes(trial: Trial) -> None:
    localid = trial.submit(f"sleep 77 & echo $! >{trial.root}/child; wait")
    until((trial.root / "child").exists)
    until(lambda: bool((trial.root / "child").read_text().strip()))
    child = int((trial.root / "child").read_text())
    process = processes.identify(child, "")

    assert trial.call(trial.speech.cancel, localid).returncode == 0

    trial.until(localid, cancelled(trial))
    assert process is not None
    until(lambda: processes.identify(child, "") != process)


def test_who_does_not_heed_term_is_killed(trial: Trial) -> None:
    localid = trial.submit(f"trap '' TERM; touch {trial.root}/here; while :; do sleep 0.05; done")
    until((trial.root / "here").exists)

    trial.call(trial.speech.cancel, localid)

    until(lambda: trial.states()[localid][0] not in {RUNNING[name(trial)][0], "E"})


def test_what_has_gone_can_not_be_cancelled(trial: Trial) -> None:
    localid = trial.submit("true")
    trial.until(localid, DONE[name(trial)])

    trial.call(trial.speech.cancel, localid, "99")

    assert DONE[name(trial)] == trial.states()[localid]


def test_a_job_waits_for_a_slot_and_while_it_is_held(make: Any) -> None:
    for system in SPEECHES:
        trial: Trial = make(system, FAKE_SLOTS="1")
        first, second = trial.submit("sleep 60"), trial.submit("true")
        trial.until(first, RUNNING[system])

        assert trial.call(*trial.speech.hold, second).returncode == 0
        trial.call(trial.speech.cancel, first)
        trial.until(first, cancelled(trial))
        assert WAITING[system] == trial.states()[second]
        assert trial.call(*trial.speech.release, second).returncode == 0

        trial.until(second, DONE[system])


def test_a_waiting_job_that_is_cancelled_never_runs(make: Any) -> None:
    for system in SPEECHES:
        trial: Trial = make(system, FAKE_SLOTS="1")
        trial.submit("sleep 60")
        second = trial.submit(f"touch {trial.root}/{system}.ran")

        trial.call(trial.speech.cancel, second)

        state, code = cancelled(trial)
        trial.until(second, (state, "" if system == "openpbs" else code))
        assert not (trial.root / f"{system}.ran").exists()


def test_the_run_time_is_limited(trial: Trial) -> None:
    joined = ["-joe"] if trial.speech.system == "pbs" else []

    trial.until(trial.submit("exec sleep 60", *joined, directive=trial.speech.minute), LATE[name(trial)])

    said = (trial.root / "out").read_text()
    assert re.search(r"DUE TO TIME LIMIT|job killed: walltime \d+ exceeded limit 1|TERM_RUNLIMIT: job killed", said)


@pytest.mark.parametrize(
    ("system", "directive", "end"),
    [
        ("slurm", "--mem=30", ("OUT_OF_MEMORY", "0:125")),
        ("openpbs", "-l select=1:ncpus=1:mem=30mb", ("F", "-27")),
        ("torque", "-l mem=30mb", ("C", "-10")),
        ("lsf", "-M 30MB", ("EXIT", "TERM_MEMLIMIT")),
    ],
)
def test_memory_is_measured_and_limited(make: Any, system: str, directive: str, end: tuple[str, str]) -> None:
    trial: Trial = make(system)

    hungry = trial.submit("x=$(head -c 60000000 /dev/zero | tr '\\0' x); sleep 60", directive=directive)
    modest = trial.submit("x=1", directive=directive)

    trial.until(hungry, end)
    trial.until(modest, DONE[system])


@pytest.mark.parametrize(
    ("system", "directive", "end"),
    [
        ("openpbs", "-l cput=1", ("F", "-28")),
        ("torque", "-l cput=1", ("C", "-12")),
        ("lsf", "-c 1", ("EXIT", "TERM_CPULIMIT")),
    ],
)
def test_processor_time_is_measured_and_limited(make: Any, system: str, directive: str, end: tuple[str, str]) -> None:
    trial: Trial = make(system)

    trial.until(trial.submit("while :; do :; done", directive=directive), end)


def test_a_job_whose_output_can_not_be_written_never_starts(trial: Trial) -> None:
    localid = trial.submit("true", "-o", str(trial.root / "no" / "such" / "place"))

    assert trial.states()[localid][0] in {"FAILED", "F", "C", "EXIT"}


@pytest.mark.parametrize(
    ("cause", "word"), [("node failure", "NODE_FAIL"), ("preempted", "PREEMPTED"), ("never started", "FAILED")]
)
def test_ends_that_no_command_brings_about_can_be_had(make: Any, cause: str, word: str) -> None:
    trial: Trial = make("slurm")
    localid = trial.submit("sleep 60")

    trial.programs.end(localid, cause)

    until(lambda: trial.states()[localid][0] == word)


def test_ended_jobs_are_forgotten_by_the_queue_and_not_by_the_records(make: Any) -> None:
    trial: Trial = make("slurm", FAKE_MIN_AGE="0")
    localid = trial.submit("exit 3")
    trial.until(localid, THREE["slurm"])

    assert trial.call("squeue", "-h", "-t", "all").stdout == ""
    assert trial.call("squeue", "-h", "-j", localid).stderr == "slurm_load_jobs error: Invalid job id specified\n"


def test_records_may_lag_behind_or_be_missing(make: Any) -> None:
    trial: Trial = make("slurm", FAKE_SACCT_LAG="600")
    localid = trial.submit("true")
    until(lambda: "COMPLETED" in trial.call("squeue", "-h", "-t", "all", "-o", "%T").stdout)
    assert RUNNING["slurm"] == trial.states()[localid]

    done = make("slurm", FAKE_SACCT="off").call("sacct")
    assert (1, "Slurm accounting storage is disabled\n") == (done.returncode, done.stderr)


def test_a_queue_that_does_not_exist_is_refused(make: Any) -> None:
    sentences = {
        "slurm": ("-p", "sbatch: error: Batch job submission failed: Invalid partition name specified\n"),
        "openpbs": ("-q", "qsub: Unknown queue\n"),
        "torque": ("-q", "qsub: submit error (Unknown queue MSG=cannot locate queue)\n"),
        "lsf": ("-q", "none: No such queue. Job not submitted.\n"),
    }
    for system, (option, sentence) in sentences.items():
        trial: Trial = make(system, FAKE_QUEUES="short long")
        done = trial.call(trial.speech.submit, option, "none", input="#!/bin/sh\n")

        assert (False, sentence) == (done.returncode == 0, done.stderr)
