from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lrms import processes
from lrms.fork.supervisor import parse_identity
from lrms.fork.usage import ProcessUsage
from lrms.processes import Stat, descendants, hides_processes, identify, parse_stat, stat
from tests.processes import ready

# a program may call itself anything
LINE = b"42 (a) R 1 (x) S 7 42 42 0 -1 4194304 134 0 2 0 150 50 200 100 20 0 1 0 98765 2600960 343 1844 1 1 0 0\n"


def test_a_stat_line_is_read_behind_the_name_of_the_program() -> None:
    rss_kb = 343 * os.sysconf("SC_PAGE_SIZE") // 1024
    expected = Stat("S", 7, 500 / os.sysconf("SC_CLK_TCK"), 98765, rss_kb, "a) R 1 (x")

    assert expected == parse_stat(LINE)


def test_a_pid_that_does_not_exist_has_no_process() -> None:
    assert stat(2**22 + 1) is None
    assert identify(2**22 + 1, "boot") is None
    assert descendants(2**22 + 1) == []


def test_a_process_has_one_identity() -> None:
    assert identify(os.getpid(), "boot") == identify(os.getpid(), "boot")


def test_a_process_that_has_just_started_shows_its_command_line_and_environment() -> None:
    """The kernel shows neither while a program is loaded, and Popen returns before that is done."""
    for number in range(50):
        mark = f"MARK={os.getpid()}.{number}"
        with subprocess.Popen(["/bin/sleep", "600"], env={"MARK": mark.removeprefix("MARK=")}) as process:
            shown = processes.command_line(process.pid), processes.having_environment(mark.encode())
            process.kill()

        assert (b"/bin/sleep\x00600\x00", [process.pid]) == shown


def test_a_process_with_an_empty_environment_is_not_waited_for() -> None:
    code = "import time; print('started', flush=True); time.sleep(600)"
    with ready(["/usr/bin/env", "-i", sys.executable, "-c", code], "started") as process:
        assert not processes._is_in_exec(process.pid)
        assert processes.command_line(process.pid).startswith(os.fsencode(sys.executable))


def test_an_ended_process_shows_nothing() -> None:
    with subprocess.Popen(["/bin/true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        assert b"" == processes.command_line(process.pid)


def test_an_identity_is_read_from_its_file() -> None:
    assert parse_identity("pid=3\nstart=4\nboot=b\ntag=t\n") == (3, 4, "b")


@pytest.mark.parametrize("text", ["", "pid=x\nstart=4\nboot=b\n", "pid=3\n"])
def test_half_an_identity_is_invalid(text: str) -> None:
    with pytest.raises((KeyError, ValueError)):
        parse_identity(text)


def test_usage_adds_up_and_memory_is_the_largest() -> None:
    usage = ProcessUsage()
    usage.add((1.0, 0.5, 3000, 0, 0, 0, 10, 1, 0, 2, 4, 0, 0, 0, 5, 6))
    usage.add((2.0, 0.25, 2000, 0, 0, 0, 20, 0, 0, 1, 0, 0, 0, 0, 1, 1))

    lines = usage.lines(wall_s=7.5).splitlines()

    assert lines[:5] == [
        "WallTime=7.50s",
        "KernelTime=0.75s",
        "UserTime=3.00s",
        "CPUUsage=50%",
        "MaxResidentMemory=3000kB",
    ]
    assert lines[11:18] == [
        "MajorPageFaults=1",
        "MinorPageFaults=30",
        "Swaps=0",
        "ForcedSwitches=7",
        "WaitSwitches=6",
        "Inputs=3",
        "Outputs=4",
    ]


def test_the_forkserver_and_so_each_supervisor_is_private() -> None:
    code = "from lrms.fork.supervisor import be_private, _libc_prctl; be_private(); print(_libc_prctl(3, 0, 0, 0, 0))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert (1 if hides_processes() else 0) == int(done.stdout)
