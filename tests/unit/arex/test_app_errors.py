"""An exception in any part of the service, whatever it is: the service goes on, and says what happened."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVarTuple

import pytest

from arex import daemon
from arex.app import Service
from arex.clock import SystemClock, Timer
from arex.errors import ServiceLost
from arex.gm import scan
from arex.gm.batch.client import BatchClient
from arex.gm.batch.submitter import Submitter
from arex.gm.cleanup import Lifetimes
from arex.gm.credentials import Credentials
from arex.gm.publishing.publisher import Publisher
from arex.gm.publishing.status import StatusWriter
from arex.gm.quota import Quotas
from arex.gm.turns.staging import Transfers
from arex.gm.turns.worker import Turns
from arex.staging import statefile
from arex.staging.disk.cleaning import Cleaner
from infoprovider.publish import InfoPublisher
from tests.fakes.batch import FakeBackend
from tests.fakes.exceptions import UNEXPECTED
from tests.unit.arex.test_app import Site

#: One function of each part that works for as long as the service does.
PARTS: Final = [
    (scan, "everything"),
    (scan, "accepting"),
    (Lifetimes, "_names"),
    (Publisher, "_publish"),
    (Turns, "run"),
    (Credentials, "round"),
    (Quotas, "round"),
    (InfoPublisher, "write"),
    (StatusWriter, "_snapshot"),
    (Cleaner, "clean"),
    (statefile, "lines"),
    (Transfers, "releasing"),
    (daemon.Lock, "is_in_place"),
    (Submitter, "_next"),
    (Submitter, "_settle"),
    (BatchClient, "_jobs"),
    (BatchClient, "_poll"),
    (FakeBackend, "submit"),
    (FakeBackend, "find"),
    (FakeBackend, "status"),
    (FakeBackend, "recorded"),
    (FakeBackend, "tagged"),
    (FakeBackend, "watch"),
]
_SPEED: Final = 30.0
_Ts = TypeVarTuple("_Ts")


class QuickClock(SystemClock):
    """A clock that goes thirty times as fast for those who wait."""

    def monotonic(self) -> float:
        return super().monotonic() * _SPEED

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / _SPEED)

    def call_later(self, seconds: float, callback: Callable[[*_Ts], object], *args: *_Ts) -> Timer:
        return super().call_later(seconds / _SPEED, callback, *args)


class Raising:
    """In place of a function: the first two calls raise."""

    def __init__(self, error: Exception, function: Callable[..., Any]) -> None:
        self.error, self.function, self.calls = error, function, 0
        self.lock = threading.Lock()

    def method(self) -> Callable[..., Any]:
        """As a function, which becomes a method of its class."""

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._call(*args, **kwargs)

        return call

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        with self.lock:
            self.calls += 1
            raises = self.calls <= 2
        if raises:
            raise self.error
        return self.function(*args, **kwargs)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    (tmp_path / "cache").mkdir()
    site.configure(service="watch=poll\nsession_quota=100\nquota_period=1\n")
    with site.conf.open("a", encoding="utf-8") as file:
        file.write(f"[arex/cache]\ncachedir={tmp_path}/cache\n[arex/cache/cleaner]\ncachesize=80 70\n")
    return site


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(("owner", "name"), PARTS, ids=lambda part: getattr(part, "__name__", part))
async def test_the_service_goes_on_and_so_do_its_jobs(
    site: Site,
    owner: Any,
    name: str,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    raising = Raising(error, getattr(owner, name))
    monkeypatch.setattr(owner, name, raising.method())
    async with site.serving(QuickClock()):
        if name == "find":
            site.cluster.lost_answers = 1  # one submission has to be looked up
        first, second = await site.submit(), await site.submit()
        if owner is Publisher:  # which has nothing to do for a job that ends at once
            await until(lambda: raising.calls > 0)
        await site.end(first)
        await site.end(second)
        await until(lambda: raising.calls > (0 if owner in {FakeBackend, Publisher} else 2))

    assert type(error).__name__ in caplog.text or str(error) in caplog.text, "it is in the log"
    assert {1} == set(site.cluster.runs.values()), "each job ran once"


async def test_the_status_of_the_service_says_what_goes_wrong(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    raising = Raising(ValueError("no such number"), Quotas.round)
    monkeypatch.setattr(Quotas, "round", raising.method())

    def said() -> bool:
        snapshot = daemon.read_snapshot(site.store.root)
        return snapshot is not None and "quotas" in snapshot.faults

    async with site.serving(QuickClock()):
        await until(said)
        snapshot = await asyncio.to_thread(daemon.read_snapshot, site.store.root)

    assert snapshot is not None
    assert "ValueError: no such number" == snapshot.faults["quotas"]["message"]
    assert snapshot.faults["quotas"]["recent"] is True


async def test_a_control_directory_that_does_not_come_back_ends_the_service(site: Site) -> None:
    service = Service(
        await asyncio.to_thread(lambda: site.config), clock=QuickClock(), backends={"fork": FakeBackend()}
    )
    running = asyncio.create_task(service.run())
    await until((site.root / "run" / "arex.pid").exists)
    await asyncio.to_thread(site.store.root.rename, site.root / "elsewhere")
    await asyncio.wait([running])
    error = running.exception()

    assert isinstance(error, ExceptionGroup)
    assert "was not there for 10 minutes" in repr(error.exceptions)


@pytest.mark.parametrize("what", ["no directory", "a directory", "a link to nowhere"])
async def test_no_job_waits_for_the_job_log(site: Site, what: str, caplog: pytest.LogCaptureFixture) -> None:
    path = site.root / "jobs.log"
    if what == "no directory":
        site.configure(joblog=f"{site.root}/made/jobs.log")
    elif what == "a directory":
        path.mkdir()
    else:
        path.symlink_to(site.root / "no" / "where")
    async with site.serving():
        await site.end(await site.submit())

    if what == "no directory":
        assert 2 == len((site.root / "made" / "jobs.log").read_text(encoding="utf-8").splitlines())
    else:
        assert "cannot write the job log" in caplog.text


async def test_a_service_that_lost_its_lock_ends_and_says_so(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(_lock: daemon.Lock) -> bool:
        raise ServiceLost("another arex serves this directory")

    monkeypatch.setattr(daemon.Lock, "is_in_place", lost)
    service = Service(
        await asyncio.to_thread(lambda: site.config), clock=QuickClock(), backends={"fork": FakeBackend(site.cluster)}
    )
    with pytest.raises(ExceptionGroup, match="unhandled errors") as caught:
        await service.run()
    lost_too, _ = caught.value.split(ServiceLost)
    assert lost_too is not None
    assert await asyncio.to_thread(daemon.holder, site.store.root) is None
