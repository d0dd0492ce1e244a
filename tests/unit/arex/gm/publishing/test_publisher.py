"""What is published about a job that is still in the batch system."""

from __future__ import annotations

from pathlib import Path

from arex.gm.context import KnownJob
from arex.gm.publishing.publisher import Publisher, _Due
from arex.gm.turns.tracking import Tracking
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.report import Phase, Report
from arex.model.state import State, Status
from tests.unit.arex.gm.service import TRUE, make_services

JOB = JobId("one")


def test_the_document_does_not_depend_on_the_session_directory(tmp_path: Path) -> None:
    """A file is in the place of the session root, so that nothing in it can be looked at."""
    services = make_services(tmp_path)
    (tmp_path / "session").touch()
    local = JobLocal(globalid=JOB, sessiondir=tmp_path / "session" / JOB, lrms="fake")
    services.store.reserve(JOB, TRUE.encode())
    services.store.put_local(JOB, local)
    job = KnownJob(id=JOB, status=Status(State.INLRMS), place=None, local=local, changed=services.clock.now())
    publisher = Publisher(services, Tracking(), lambda _record: None)

    publisher._write([_Due(job, "E", Report(phase=Phase.EXITING, doubt="the disk is full"))])

    assert b"<State>nordugrid:INLRMS:E</State>" in (services.store.read(JOB, "xml") or b"")
