"""How the forkserver ends what a killed supervisor has left."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

from lrms import processes
from lrms.fork import server


@pytest.fixture
def forkserver() -> Iterator[server._Forkserver]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pipe = os.pipe()
    with ours, theirs:
        yield server._Forkserver(theirs.fileno(), pipe, processes.boot_id(), [])
    for each in pipe:
        os.close(each)


@pytest.fixture
def left() -> Iterator[list[subprocess.Popen[bytes]]]:
    found = [subprocess.Popen(["/bin/sleep", "600"]) for _ in range(3)]
    yield found
    for each in found:
        each.kill()
        each.wait()


def has_ended(pid: int) -> None:
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_all_children_are_killed_before_anything_else_is_read(
    forkserver: server._Forkserver, left: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may fork and end as fast as they can."""
    alive = [each.pid for each in left]
    real_kill = os.kill

    def kill(pid: int, number: int) -> None:
        real_kill(pid, number)
        alive.remove(pid)

    def identify(pid: int, boot: str) -> processes.ProcessIdentity | None:
        assert [] == alive
        return processes.identify(pid, boot)

    monkeypatch.setattr(server, "children", lambda _: [each.pid for each in left])
    monkeypatch.setattr(server, "identify", identify)
    monkeypatch.setattr(os, "kill", kill)

    assert forkserver._kill_orphans()
    for each in left:
        has_ended(each.pid)


def test_one_that_ended_meanwhile_may_have_left_a_child(
    forkserver: server._Forkserver, left: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a child was not there when the children were listed. A zombie that stays, because it is traced, ends it."""
    pid = left[0].pid
    left[0].kill()
    has_ended(pid)
    monkeypatch.setattr(server, "children", lambda _: [pid])

    rounds = [forkserver._kill_orphans() for _ in range(3)]

    assert [True, False, False] == rounds
