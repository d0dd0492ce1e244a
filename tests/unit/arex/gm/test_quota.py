"""A job that takes too much is ended with the reason; a full place keeps new jobs waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from arex.config.service import ServiceBlock
from arex.controldir.layout import FlatLayout, Mark
from arex.controldir.store import ControlDir
from arex.gm import quota
from arex.gm.context import KnownJob
from arex.gm.quota import Quotas
from arex.gm.session_usage import MB
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.state import State, Status
from tests.fakes.clock import FakeClock


class Place:
    def __init__(self, tmp_path: Path, **limits: int) -> None:
        self.root = tmp_path / "sessions"
        self.store = ControlDir(FlatLayout(tmp_path / "ctl"))
        self.store.prepare("user", create=True, correct=True)
        self.clock = FakeClock()
        self.quotas = Quotas(ServiceBlock(**limits), [self.root], self.store, self.clock)  # type: ignore[arg-type]
        self.looked: list[JobId] = []

    def job(self, name: str, size: int, state: State = State.INLRMS, owner: str = "/CN=a") -> KnownJob:
        job = JobId(name)
        session = self.root / job
        session.mkdir(parents=True)
        (session / "data").write_bytes(b"x" * size)
        local = JobLocal(sessiondir=session, subject=owner)
        self.store.put_local(job, local)
        return KnownJob(id=job, status=Status(state), place=None, local=local, changed=self.clock.now())

    def round(self, *jobs: KnownJob) -> None:
        asyncio.run(self.quotas.round(jobs, self.looked.append))


def test_a_job_over_its_quota_is_ended_with_the_reason(tmp_path: Path) -> None:
    place = Place(tmp_path, session_quota=1)
    good, bad = place.job("good", MB // 2), place.job("bad", 5 * MB // 2)

    place.round(good, bad)
    place.round(good, bad)

    assert [bad.id, bad.id] == place.looked
    assert "The session directory takes 3 MB; this service allows 1 MB per job\n" == place.store.failure(bad.id)
    assert place.store.has_mark(bad.id, Mark.CANCEL)
    assert not place.store.has_mark(good.id, Mark.CANCEL)


def test_an_owner_over_the_quota_waits_and_others_do_not(tmp_path: Path) -> None:
    """What finished jobs have left counts too."""
    place = Place(tmp_path, owner_quota=2)
    running = place.job("running", 3 * MB // 2)
    place.job("over", MB, State.FINISHED)

    place.round(running)

    assert "clean finished jobs to make room" in place.quotas.room(place.root, "/CN=a")
    assert "" == place.quotas.room(place.root, "/CN=b")


def test_what_was_cleaned_counts_no_more(tmp_path: Path) -> None:
    place = Place(tmp_path, root_quota=1)
    place.job("over", 2 * MB, State.FINISHED)
    place.round()
    assert place.quotas.room(place.root, "/CN=b")

    (place.root / "over/data").unlink()
    (place.root / "over").rmdir()
    place.round()

    assert "" == place.quotas.room(place.root, "/CN=b")


def test_without_limits_nothing_is_measured(tmp_path: Path) -> None:
    place = Place(tmp_path)

    asyncio.run(place.quotas.run(list, place.looked.append))

    assert not place.quotas.measures
    assert timedelta(0) == place.clock.now() - FakeClock().now()


def test_a_root_that_cannot_be_listed_keeps_its_last_sizes_and_others_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path, owner_quota=2)
    running = place.job("running", 3 * MB)
    place.round(running)

    def closed(root: Path) -> Iterator[JobId]:
        raise PermissionError(13, "Permission denied", str(root))

    monkeypatch.setattr(quota, "session_names", closed)
    place.round(running)

    assert "take 3 MB" in place.quotas.room(place.root, "/CN=a")


def test_a_cancel_that_cannot_be_written_is_repeated_in_the_next_round(tmp_path: Path) -> None:
    place = Place(tmp_path, session_quota=1)
    bad = place.job("bad", 5 * MB // 2)
    obstacle = Path(place.store.layout.job_file(bad.id, "failed"))
    obstacle.mkdir()
    place.round(bad)
    assert not place.store.has_mark(bad.id, Mark.CANCEL)
    obstacle.rmdir()
    place.round(bad)

    assert place.store.has_mark(bad.id, Mark.CANCEL)


def test_new_jobs_wait_while_everyone_can_write_in_their_session_root(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.job("one", 1)
    before = place.quotas.room(place.root, "/CN=a")
    place.root.chmod(0o777)

    assert "" == before
    assert "every account of this host" in place.quotas.room(place.root, "/CN=a")
