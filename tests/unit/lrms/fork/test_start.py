"""How a supervisor starts a job script on a machine without room for a process."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import time
from pathlib import Path

import pytest

from lrms.fork import supervisor
from lrms.fork.order import Order

SHORTAGES = [errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE]


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> supervisor._SupervisedJob:
    monkeypatch.setattr(supervisor, "_wait", lambda _seconds: 0)
    rundir = tmp_path / "job.lrms" / "tag"
    rundir.mkdir(parents=True)
    return supervisor._SupervisedJob(Order(
        number=0, tag="tag", rundir=str(rundir), session=str(tmp_path), diag=str(tmp_path / "diag"),
        comment=str(tmp_path / "comment"), node="node1", nice=0, grace_s=0.1, wall_s=None, cpu_s=None, memory_kb=None,
    ))  # fmt: skip


def fail(monkeypatch: pytest.MonkeyPatch, error: int, times: int) -> None:
    calls = itertools.count()

    def spawn(*_args: object, **_options: object) -> int:
        if next(calls) < times:
            raise OSError(error, os.strerror(error))
        return 4242

    monkeypatch.setattr(os, "posix_spawn", spawn)


@pytest.mark.parametrize("error", SHORTAGES)
def test_it_is_started_as_soon_as_there_is_room(
    job: supervisor._SupervisedJob, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], error: int
) -> None:
    fail(monkeypatch, error, 3)
    time.sleep(0.5)
    start = time.monotonic()

    assert "" == job._start()
    assert job.outcome.elapsed_s <= time.monotonic() - start  # the wall time begins with the script
    assert 4242 == job.main
    assert 1 == capfd.readouterr().out.count("cannot be started yet")


def test_another_error_is_final(
    job: supervisor._SupervisedJob, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fail(monkeypatch, errno.EACCES, 1)

    assert "" == job._start()
    assert 0 == job.main
    assert "The job script could not be started: [Errno 13]" in capfd.readouterr().out


def test_a_shortage_that_lasts_is_final(job: supervisor._SupervisedJob, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(monkeypatch, errno.EAGAIN, 100_000)

    assert "" == job._start()
    assert 0 == job.main


def test_a_job_can_be_cancelled_meanwhile(job: supervisor._SupervisedJob, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(monkeypatch, errno.ENOMEM, 100_000)
    monkeypatch.setattr(supervisor, "_wait", lambda _seconds: signal.SIGTERM)

    assert "cancelled" == job._start()
    assert 0 == job.main
