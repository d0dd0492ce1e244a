"""The fake programs behave as the real ones do, as far as a client can tell; nothing that they say is made up."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.contract.worlds import until
from tests.fakes.cluster.control import FakePrograms
from tests.fakes.cluster.front import Refusal, numbers, options, ranges


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
        until(lambda: self.states().get(localid) in states, 20)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    trials: list[Trial] = []

    def one(name: str, **settings: str) -> Trial:
        root = tmp_path / str(len(trials))
        root.mkdir()
        trials.append(Trial(root, SPEECHES[name], **settings))
        return trials[-1]

    yield one
    for trial in trials:
        trial.programs.stop()


@pytest.fixture(params=sorted(SPEECHES))
def trial(request: pytest.FixtureRequest, make: Any) -> Trial:
    trial: Trial = make(request.param)
    return trial


DONE: Final = {"slurm": ("COMPLETED", "0:0"), "openpbs": ("F", "0"), "torque": ("C", "0"), "lsf": ("DONE", "")}
THREE: Final = {"slurm": ("FAILED", "3:0"), "openpbs": ("F", "3"), "torque": ("C", "3"), "lsf": ("EXIT", "3")}
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


def name(trial: Trial) -> str:
    return next(each for each, speech in SPEECHES.items() if speech is trial.speech)


def cancelled(trial: Trial) -> tuple[str, str]:
    state, code = CANCELLED[name(trial)]
    return state.replace("UID", str(os.getuid())), code


# --- jobs ------------------------------------------------------------------------------------------------------------


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

    assert trial.call(trial.speech.cancel, localid).returncode == 0

    trial.until(localid, cancelled(trial))
    child = Path("/proc", (trial.root / "child").read_text().strip(), "stat")
    until(lambda: not child.exists() or child.read_text().rpartition(")")[2].split()[0] == "Z")


def test_who_does_not_heed_term_is_killed(trial: Trial) -> None:
    localid = trial.submit(f"trap '' TERM; touch {trial.root}/here; while :; do sleep 0.05; done")
    until((trial.root / "here").exists)

    trial.call(trial.speech.cancel, localid)

    until(lambda: trial.states()[localid][0] not in {RUNNING[name(trial)][0], "E"}, 20)


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

    until(lambda: trial.states()[localid][0] == word, 20)


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


# --- faults ----------------------------------------------------------------------------------------------------------


def test_it_fails_before_the_job_is_taken(trial: Trial) -> None:
    trial.programs.fault(trial.speech.submit, "fail-before")

    done = trial.call(trial.speech.submit, input="#!/bin/sh\n")

    assert done.returncode != 0
    assert done.stderr
    assert {} == trial.states()


def test_it_fails_after_the_job_is_taken(trial: Trial) -> None:
    trial.programs.fault(trial.speech.submit, "fail-after")

    done = trial.call(trial.speech.submit, "-o", str(trial.root / "o"), input="#!/bin/sh\n")

    assert done.returncode != 0
    assert 1 == len(trial.states())


@pytest.mark.parametrize(("kind", "jobs"), [("hang", 0), ("hang-after", 1)])
def test_it_hangs(trial: Trial, kind: str, jobs: int) -> None:
    trial.programs.fault(trial.speech.submit, kind)

    with pytest.raises(subprocess.TimeoutExpired):
        trial.programs.run(
            trial.speech.submit, "-o", str(trial.root / "o"), input="#!/bin/sh\n", cwd=trial.root, timeout=0.6
        )

    assert jobs == len(trial.states())


def test_garbage_and_half_answers_come_with_success(trial: Trial) -> None:
    trial.submit("sleep 60")
    whole = trial.call(trial.speech.list)
    trial.programs.fault(trial.speech.list, "garbage")
    trial.programs.fault(trial.speech.list, "truncate")

    done = subprocess.run([trial.programs.bin / trial.speech.list], capture_output=True, check=True)
    half = trial.call(trial.speech.list)

    assert b"\x00\x7fELF" in done.stdout
    assert (0, whole.stdout[: len(whole.stdout) // 2]) == (half.returncode, half.stdout)
    assert whole.stdout == trial.call(trial.speech.list).stdout


def test_an_answer_comes_late(trial: Trial) -> None:
    trial.programs.fault(trial.speech.list, "late 0.5")
    begin = time.monotonic()

    assert 0 == trial.call(trial.speech.list).returncode
    assert 0.5 < time.monotonic() - begin < 10


def test_an_answer_in_another_language(trial: Trial) -> None:
    trial.programs.fault(trial.speech.submit, "locale")

    done = trial.call(trial.speech.submit, "-o", str(trial.root / "o"), input="#!/bin/sh\n")

    assert done.returncode == 0
    assert " is submitted to " not in done.stdout
    assert not re.fullmatch(r"(Submitted batch job \d+|\d+\.\w+)\n", done.stdout)


def test_there_is_no_answer_for_some_time(trial: Trial) -> None:
    trial.programs.fault("*", "down", "always")
    codes = [trial.call(each, input="#!/bin/sh\n").returncode for each in (trial.speech.submit, trial.speech.list)]
    assert 0 not in codes

    trial.programs.mend()

    assert {} == trial.states()


def test_a_limit_is_reached(trial: Trial) -> None:
    trial.programs.fault(trial.speech.submit, "limit", 2)

    done = [trial.call(trial.speech.submit, "-o", str(trial.root / "o"), input="#!/bin/sh\n") for _ in range(3)]

    assert [False, False, True] == [each.returncode == 0 for each in done]
    assert re.search(r"limit|threshold|maximum", done[0].stderr, re.IGNORECASE)


def test_every_call_is_counted(trial: Trial) -> None:
    trial.call(trial.speech.list)
    trial.programs.fault(trial.speech.list, "down")
    trial.call(trial.speech.list)
    trial.call(trial.speech.cancel, "99")

    assert {trial.speech.list: 2, trial.speech.cancel: 1} == trial.programs.calls()
    assert (trial.speech.cancel, ["99"]) == trial.programs.log()[-1]


def test_nothing_is_left_when_it_stops(trial: Trial) -> None:
    trial.submit(f"echo $$ >{trial.root}/pid; exec sleep 88")
    until(lambda: (trial.root / "pid").exists() and bool((trial.root / "pid").read_text().strip()))

    trial.programs.stop()

    assert not Path("/proc", (trial.root / "pid").read_text().strip()).exists()
    assert trial.call(trial.speech.list).returncode != 0
    trial.programs.stop()


# --- options ---------------------------------------------------------------------------------------------------------


def test_options_read_as_they_are_written() -> None:
    table = {"-o": "out=", "--out": "out=", "-h": "hold", "--nice": "nice?", "-l": "limits+=", "-Jd": "text="}

    given, rest = options(
        ["-hofile", "--nice=5", "-l", "a", "-lb", "-Jd", "x", "--ou", "f2", "s", "-z"], table, stops=True
    )

    assert {"hold": "", "out": "f2", "nice": "5", "limits": "a,b", "text": "x"} == given
    assert ["s", "-z"] == rest
    for wrong in (["-z"], ["--none"], ["-o"]):
        with pytest.raises(Refusal):
            options(wrong, table)


def test_ranges_read_both_ways() -> None:
    assert numbers("1-3,7") == [1, 2, 3, 7]
    assert ranges([1, 2, 3, 7]) == "1-3,7"
    with pytest.raises(Refusal):
        numbers("one")


# --- what is special about SLURM -------------------------------------------------------------------------------------


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
