"""Faults of the fake programs: they fail, hang, answer late, in part or not at all."""

from __future__ import annotations

import re
import subprocess
import time

import pytest

from lrms import processes
from tests.contract.worlds import until
from tests.integration.cluster.trial import Trial


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
    submit = trial.speech.submit
    argv = [str(trial.programs.bin / submit), "-o", str(trial.root / "o")]

    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=trial.root) as process:
        assert process.stdin is not None
        process.stdin.write(b"#!/bin/sh\n")
        process.stdin.close()
        until(lambda: trial.programs.calls().get(submit) == 1 and jobs == len(trial.states()))
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.kill()

    assert jobs == len(trial.states())


def test_garbage_and_half_answers_come_with_success(trial: Trial) -> None:
    trial.submit("sleep 60")
    whole = trial.call(trial.speech.list)
    trial.programs.fault(trial.speech.list, "garbage")
    trial.programs.fault(trial.speech.list, "truncate")

    done = subprocess.run([trial.programs.bin / trial.speech.list], capture_output=True, check=True)
    half = trial.call(trial.speech.list)

    assert b"\x00\x7fELF" in done.stdout
    before = timeless(whole.stdout)
    assert (0, before[: len(before) // 2]) == (half.returncode, timeless(half.stdout))
    assert before == timeless(trial.call(trial.speech.list).stdout)


def timeless(text: str) -> str:
    """With 0 for each digit, since the time that a job has run goes on."""
    return re.sub(r"\d", "0", text)


def test_an_answer_comes_late(trial: Trial) -> None:
    trial.programs.fault(trial.speech.list, "late 0.5")
    begin = time.monotonic()

    assert 0 == trial.call(trial.speech.list).returncode
    assert 0.5 < time.monotonic() - begin


def test_an_answer_in_another_language(trial: Trial) -> None:
    trial.programs.fault(trial.speech.submit, "locale")

    done = trial.call(trial.speech.submit, "-o", str(trial.root / "o"), input="#!/bin/sh\n")

    assert done.returncode == 0
    assert " is submitted to " not in done.stdout
    assert not re.fullmatch(r"(Submitted batch job \d+|\d+\.\w+)\n", done.stdout)


def test_no_one_answers_for_a_while(trial: Trial) -> None:
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
    pid = int((trial.root / "pid").read_text())
    process = processes.identify(pid, "")

    trial.programs.stop()

    assert process is not None
    assert process != processes.identify(pid, "")
    assert trial.call(trial.speech.list).returncode != 0
    trial.programs.stop()
