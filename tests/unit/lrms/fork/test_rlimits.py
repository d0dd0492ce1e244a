"""Resource limits of the forkserver and its supervisors that another process of the account has changed."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lrms.fork.server import REPLACE, _Forkserver
from lrms.rlimits import _ALL, Limits, limits, restore

#: Fails for root as well: the kernel has a maximum.
NO_ONE_CAN_RESTORE = (2**40, 2**40)

SUPERVISE = (
    "import sys; sys.path.append('.')\n"
    "from lrms.fork.order import Order; from lrms.fork.supervisor import supervise\n"
    "order = Order(1, 'tag', sys.argv[1], sys.argv[2], 'diag', 'comment', 'node', 0, 1.0, None, None, None)\n"
    "supervise(order, 'boot', {limits}, print)\n"
)


def impossible() -> Limits:
    return [NO_ONE_CAN_RESTORE if which == resource.RLIMIT_NOFILE else limits()[i] for i, which in enumerate(_ALL)]


@pytest.mark.parametrize("which", _ALL)
def test_a_soft_limit_is_restored(which: int) -> None:
    before = limits()
    soft, hard = resource.getrlimit(which)
    lower = 2**30 if soft == resource.RLIM_INFINITY else max(0, soft - 1)
    resource.setrlimit(which, (lower, hard))

    assert "" == restore(before)
    assert before == limits()


def test_what_cannot_be_restored_is_named() -> None:
    before = limits()

    assert "RLIMIT_NOFILE" == restore(impossible())
    assert before == limits()


def test_a_forkserver_asks_once_for_a_replacement_and_reads_no_more_orders() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        server = _Forkserver(theirs.fileno(), os.pipe(), "boot", impossible())
        ours.send(b"an order")

        kept = [server._keeps_limits(), server._keeps_limits()]
        said = json.loads(ours.recv(4096))
        ours.setblocking(False)

        assert [False, False] == kept
        assert [REPLACE, 0, 0, "another process has lowered its resource limits (RLIMIT_NOFILE)"] == said
        with pytest.raises(BlockingIOError):
            ours.recv(4096)
        assert [] == server._poll.poll(0)
        ours.close()
        assert [theirs.fileno()] == [fd for fd, _ in server._poll.poll(0)]


def test_a_supervisor_does_not_take_an_attempt_under_other_limits(tmp_path: Path) -> None:
    rundir = tmp_path / "session.lrms" / "tag"
    rundir.mkdir(parents=True)
    code = SUPERVISE.format(limits=impossible())

    done = subprocess.run(
        [sys.executable, "-c", code, str(rundir), str(tmp_path)], stderr=subprocess.PIPE, text=True, check=False
    )

    assert 1 == done.returncode
    assert [] == list(rundir.iterdir())
