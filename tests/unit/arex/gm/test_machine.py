"""The removal of a job whose lifetime has ended is repeated after a crash, although no file says so any more."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from arex.controldir.layout import Place
from arex.gm import machine
from arex.gm.context import JobContext, KnownJob
from arex.gm.steps import Forget
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.state import State, Status
from tests.fakes.clock import FakeClock
from tests.unit.arex.gm.service import make_services

JOB = JobId("abc")


def test_a_removal_at_the_end_of_a_lifetime_is_repeated_after_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    services = make_services(tmp_path, clock=clock, ttr=timedelta(0))
    store = services.store
    session = tmp_path / "session" / JOB
    session.mkdir(parents=True)
    local = JobLocal(globalid=JOB, sessiondir=session, cleanuptime=clock.now() - timedelta(days=1))
    store.put_local(JOB, local)
    store.put_status(JOB, Status(State.FINISHED), None)
    job = KnownJob(id=JOB, status=Status(State.FINISHED), place=Place.FINISHED, local=local, changed=clock.now())
    unlink = os.unlink

    def crashes(path: str) -> None:
        if str(path).endswith(".status"):
            raise KeyboardInterrupt
        unlink(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", crashes)
        with pytest.raises(KeyboardInterrupt):
            machine.drive(JobContext(job=job, services=services))
    assert store.read_local(JOB) is None
    after = JobContext(job=replace(job, local=JobLocal()), services=services)

    assert isinstance(machine.drive(after), Forget)
    assert [] == list((tmp_path / "ctl").rglob(f"*{JOB}*"))
