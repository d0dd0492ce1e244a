"""Supervisors in the process table, played by processes that take their name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from arex.model.ids import JobId, LocalId, Tag
from arex.ports import LocalJob
from lrms import processes
from lrms.fork.label import label
from lrms.fork.supervisors import Supervisors, pid_of
from lrms.processes import children
from tests.processes import ready

ACT = (
    "import os, signal, sys; from lrms.fork.supervisor import _prctl, _PR_SET_NAME; import ctypes\n"
    "_prctl(_PR_SET_NAME, ctypes.c_char_p(sys.argv[1].encode())); user = int(sys.argv[2])\n"
    "if user >= 0: os.setresuid(user, user, user)\n"
    "print('ready', flush=True); signal.pause()\n"
)

#: Tests that run at the same time share one process table.
TAG = f"job-{os.getpid()}"

#: A supervisor whose job has taken the name in its second argument.
BELOW = (
    "import ctypes, subprocess, sys; from lrms.fork.supervisor import _prctl, _PR_SET_NAME\n"
    "code, name, below = sys.argv[1:]\n"
    "_prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()))\n"
    "subprocess.run([sys.executable, '-c', code, below, '-1'])\n"
)


def actor(name: str, user: int = -1) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """A process of this name; of another user, if the test may do that."""
    return ready([sys.executable, "-c", ACT, name, str(user)], "ready")


@pytest.fixture
def living() -> Iterator[subprocess.Popen[bytes]]:
    with actor(label(TAG, 28)) as process:
        yield process


def job(localid: object, tag: str = TAG) -> LocalJob:
    return LocalJob(
        job=JobId("job"), localid=LocalId(str(localid)), tag=Tag(tag), session=Path("/s"), rundir=Path("/s.lrms/t")
    )


def test_a_supervisor_is_found_by_its_pid_and_by_its_tag(living: subprocess.Popen[bytes]) -> None:
    supervisors = Supervisors("boot")

    found = supervisors.of(job(living.pid))

    assert found is not None
    assert (living.pid, 28, False) == (found.identity.pid, found.trouble, found.stopped)
    assert found == supervisors.of(job("junk")) == supervisors.of_tag(TAG)
    assert supervisors.of(job(living.pid, TAG + "-2")) is None
    assert supervisors.of(job(os.getpid())) == found


def test_a_supervisor_that_has_ended_is_none(living: subprocess.Popen[bytes]) -> None:
    living.kill()
    os.waitid(os.P_PID, living.pid, os.WEXITED | os.WNOWAIT)

    assert Supervisors("boot").of(job(living.pid)) is None


def test_a_process_of_a_job_with_the_name_of_another_supervisor_is_none(living: subprocess.Popen[bytes]) -> None:
    argv = [sys.executable, "-c", BELOW, ACT, label(TAG + "-4"), label(TAG)]
    with ready(argv, "ready") as other:
        [impostor] = children(other.pid)

        found = Supervisors("boot").of_tag(TAG)
        living.kill()
        os.waitid(os.P_PID, living.pid, os.WEXITED | os.WNOWAIT)
        later = Supervisors("boot").of_tag(TAG)
        os.kill(impostor, signal.SIGKILL)

    assert found is not None
    assert living.pid == found.identity.pid
    assert later is None


def test_a_service_in_a_job_of_another_service_finds_its_supervisors(
    living: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = processes.stat(os.getpid())
    assert own is not None
    real = processes.stat

    def below_a_supervisor(pid: int) -> processes.Stat | None:
        found = real(pid)
        return found._replace(name=label("outer")) if found is not None and pid == own.parent else found

    monkeypatch.setattr(processes, "stat", below_a_supervisor)
    found = Supervisors("boot").of_tag(TAG)

    assert found is not None
    assert living.pid == found.identity.pid


def test_a_process_of_another_user_is_no_supervisor() -> None:
    """Everyone can see the tag of a job in the process list, and take the name."""
    other = 65534 if os.geteuid() == 0 else -1
    with actor(label(TAG + "-3"), other) as process:
        found = Supervisors("boot").of(job(process.pid, TAG + "-3"))

    assert (found is None) == (other >= 0)


@pytest.mark.parametrize("localid", ["", "junk", "-1", "0", "9" * 20, "٣", "1 ", "0x1", "²"])
def test_what_is_no_pid_is_none(localid: str) -> None:
    assert pid_of(localid) is None
