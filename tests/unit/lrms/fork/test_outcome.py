"""What a supervisor writes, and what becomes of processes that it cannot end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lrms.attempt.record import ended, read_done
from lrms.fork.order import Order
from lrms.fork.outcome import JobOutcome

CHECKOUT = Path(__file__).resolve().parents[4]


@pytest.fixture
def order(tmp_path: Path) -> Order:
    rundir = tmp_path / "job.lrms" / "tag"
    rundir.mkdir(parents=True)
    (rundir / "started").write_text("payload ./program\n")
    return Order(
        number=0, tag="tag", rundir=str(rundir), session=str(tmp_path), diag=str(tmp_path / "diag"),
        comment=str(tmp_path / "comment"), node="node1", nice=0, grace_s=0.1, wall_s=None, cpu_s=None, memory_kb=None,
    )  # fmt: skip


def test_a_process_that_could_not_be_ended_is_in_the_report(order: Order) -> None:
    outcome = JobOutcome(order)
    outcome.status = 0
    outcome.leave([1])
    outcome.end("")
    outcome.write()

    done = read_done(Path(order.rundir) / "done")

    assert done is not None
    report = ended(done)
    assert (0, "") == (report.exit_code, report.message)
    assert report.doubt.startswith("process 1 (")
    assert report.doubt.endswith(") of root could not be ended")


def test_accounting_lines_are_written_once_although_the_record_fails_at_first(order: Order) -> None:
    outcome = JobOutcome(order)
    outcome.status = 3 << 8
    outcome.end("")
    done = Path(order.rundir) / "done"
    (done / "x").mkdir(parents=True)
    os.mkfifo(Path(order.rundir) / "why")

    outcome.write()
    outcome.write()

    assert 1 == Path(order.diag).read_text().count("exitcode=3\n")
    assert done.is_file()


def test_a_job_ends_although_a_process_of_another_user_is_left(order: Order) -> None:
    """No process can be signalled here, as if all were of another user."""
    code = (
        "import os, sys; from lrms.fork import supervisor; from lrms.fork.order import Order\n"
        "import ast\n"
        "order = Order(**ast.literal_eval(sys.argv[1])); supervisor._KILL_S = 0.2\n"
        "(__import__('pathlib').Path(order.rundir) / 'script').write_text('sleep 600 & echo $! >left; '\n"
        "    'until grep -q sleep /proc/$!/comm; do :; done; exit 3')\n"
        "os.chdir(order.session); kill = os.kill\n"
        "def refuse(*_): raise PermissionError\n"
        "os.kill = refuse\n"
        "supervisor.signal.pthread_sigmask(supervisor.signal.SIG_BLOCK, supervisor._SIGNALS)\n"
        "supervisor.be_subreaper(); supervisor._SupervisedJob(order).run()\n"
        "kill(int(open('left').read()), 9)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, repr(order._asdict())], capture_output=True, text=True, cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, timeout=60, check=True,
    )  # fmt: skip

    done = read_done(Path(order.rundir) / "done")

    assert done is not None
    assert 3 == done.exit_code
    assert "(sleep) of" in done.doubt
    assert "could not be ended" in said.stdout
