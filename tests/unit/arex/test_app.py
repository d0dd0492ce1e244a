"""The whole service in this process, over a fake batch system."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from arex import daemon
from arex.app import Service, refuse_root
from arex.clock import Clock
from arex.config.load import load
from arex.config.model import Configuration
from arex.config.service import ServiceBlock
from arex.controldir import fifo
from arex.controldir.layout import FlatLayout, Mark
from arex.controldir.store import ControlDir
from arex.errors import AlreadyRunning, ControlDirError, ServiceError
from arex.model.ids import JobId, LocalId, new_job_id
from arex.model.local import JobLocal
from arex.model.state import State, Status
from tests.fakes.batch import FakeBackend, FakeCluster, ended


class Site:
    """A configuration file, the directories that it names, and a batch system that outlives services."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.conf = root / "arc.conf"
        self.cluster = FakeCluster()
        self.store = ControlDir(FlatLayout(root / "ctl"))
        self.configure()

    def configure(self, arex: str = "", queue: str = "q", service: str = "", joblog: str = "") -> None:
        joblog = joblog or f"{self.root}/jobs.log"
        self.conf.write_text(
            f"[common]\n[arex]\ncontroldir={self.root}/ctl\nsessiondir={self.root}/session\n"
            f"pidfile={self.root}/run/arex.pid\nlogfile={self.root}/arex.log\njoblog={joblog}\n"
            f"wakeupperiod=1\n{arex}[arex/service]\nscan_period=1\nfsync=no\n{service}[lrms]\nlrms=fork\n[queue:{queue}]\n",
            encoding="utf-8",
        )

    @property
    def config(self) -> Configuration:
        return load(self.conf, {})[0]

    @contextlib.asynccontextmanager
    async def serving(self, clock: Clock | None = None) -> AsyncIterator[Service]:
        ready = asyncio.Event()
        backends = {"fork": FakeBackend(self.cluster)}
        service = await asyncio.to_thread(lambda: Service(self.config, clock=clock, backends=backends, ready=ready.set))
        task = asyncio.create_task(service.run())
        waiting = asyncio.create_task(ready.wait())
        try:
            await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                yield service
                assert not task.done(), task
        finally:
            waiting.cancel()
            service.stop()
            await task

    async def submit(self) -> JobId:
        return await asyncio.to_thread(self._submit)

    def _submit(self) -> JobId:
        job = new_job_id()
        (self.root / "session" / job).mkdir(parents=True)
        self.store.reserve(job, b'&(executable="/bin/true")')
        self.store.put_local(job, JobLocal(globalid=job, subject="/CN=me"))
        self.store.put_status(job, Status(State.ACCEPTED), None)
        fifo.ring(self.store.root, job)
        return job

    async def mark(self, job: JobId, mark: Mark) -> None:
        await asyncio.to_thread(self.store.set_mark, job, mark)
        await asyncio.to_thread(fifo.ring, self.store.root, job)

    async def reaches(self, job: JobId, word: str) -> None:
        async def there() -> bool:
            found = await asyncio.to_thread(self.store.read_status, job)
            return word == ("" if found is None else str(found.status))

        async with asyncio.timeout(20):
            while not await there():
                await asyncio.sleep(0.005)

    async def localid(self, job: JobId) -> LocalId:
        await self.reaches(job, "INLRMS")
        local = await asyncio.to_thread(self.store.read_local, job)
        assert local is not None
        assert local.localid is not None
        return local.localid

    async def end(self, job: JobId) -> None:
        self.cluster.end(await self.localid(job), ended(0))
        await self.reaches(job, "FINISHED")


@pytest.fixture
def site(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Site:
    caplog.set_level("INFO")  # and put back at the end, whatever a configuration has made of it
    return Site(tmp_path)


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.__dict__["event"] for record in caplog.records if "event" in record.__dict__]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


# --- start and stop ---------------------------------------------------------------------------------------------------


async def test_a_job_goes_through_and_the_job_log_says_so(site: Site) -> None:
    async with site.serving():
        job = await site.submit()
        await site.end(job)

    lines = (site.root / "jobs.log").read_text(encoding="utf-8").splitlines()
    assert ["Started", "Finished"] == [line.split()[2] for line in lines]
    assert all(job in line for line in lines)


def _lrms(site: Site) -> dict[str, str]:
    said = daemon.read_snapshot(site.store.root)
    return {} if said is None else dict(said.lrms)


async def test_when_it_is_ready_clients_find_all_they_look_for(site: Site) -> None:
    """Pid file, processed configuration, pipe, and the directories; later the published document and the status."""
    async with site.serving():
        assert f"{os.getpid()}\n" == (site.root / "run" / "arex.pid").read_text(encoding="ascii")
        assert f"controldir={site.root}/ctl" in (site.root / "run" / "arex.cfg").read_text(encoding="utf-8")
        assert os.getpid() == await asyncio.to_thread(daemon.holder, site.store.root)
        assert await asyncio.to_thread(fifo.ring, site.store.root)
        await until((site.store.root / "info.xml").exists)
        await until(lambda: _lrms(site) == {"fork": "ok"})  # as soon as it has been asked
        said = await asyncio.to_thread(daemon.read_snapshot, site.store.root)

    assert said is not None
    assert (os.getpid(), 0) == (said.pid, said.waiting)


async def test_a_clean_stop_leaves_the_jobs_and_the_next_service_takes_them_over(site: Site) -> None:
    async with site.serving():
        job = await site.submit()
        localid = await site.localid(job)

    assert not (site.root / "run" / "arex.pid").exists()
    assert (site.root / "run" / "arex.cfg").exists()
    assert await asyncio.to_thread(daemon.holder, site.store.root) is None
    assert not fifo.ring(site.store.root)
    await site.reaches(job, "INLRMS")
    site.cluster.end(localid, ended(0))

    async with site.serving():
        await site.reaches(job, "FINISHED")
    assert [1] == list(site.cluster.runs.values())


async def test_a_second_service_on_the_same_directory_is_refused_and_harms_nothing(site: Site) -> None:
    async with site.serving():
        other = Service(await asyncio.to_thread(lambda: site.config), backends={"fork": FakeBackend(site.cluster)})
        with pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}"):
            await other.run()

        assert (site.root / "run" / "arex.pid").exists()
        await site.end(await site.submit())


async def test_a_control_directory_that_is_a_file_is_an_error_with_its_name(site: Site) -> None:
    (site.root / "ctl").write_text("", encoding="ascii")

    with pytest.raises(ControlDirError, match=f"{site.root}/ctl"):
        async with site.serving():
            pass


async def test_a_session_root_that_can_not_be_made_is_an_error_with_its_name(site: Site) -> None:
    (site.root / "session").write_text("", encoding="ascii")

    with pytest.raises(ServiceError, match=f"session root {site.root}/session"):
        async with site.serving():
            pass
    assert await asyncio.to_thread(daemon.holder, site.store.root) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it(site: Site, number: int) -> None:
    ready = asyncio.Event()
    config = await asyncio.to_thread(lambda: site.config)
    service = Service(config, backends={"fork": FakeBackend(site.cluster)}, ready=ready.set)
    task = asyncio.create_task(service.run())
    await ready.wait()
    os.kill(os.getpid(), number)

    await asyncio.wait_for(task, 20)


# --- SIGHUP -----------------------------------------------------------------------------------------------------------


async def test_hangup_takes_over_other_limits(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Who waited for the old limit goes on without any other event."""
    site.configure("maxjobs=-1 1 -1 -1 -1\n")
    async with site.serving():
        first, second = await site.submit(), await site.submit()
        waiting = await _the_pending_one(site, first, second)
        site.configure("maxjobs=-1 2 -1 -1 -1\n")
        os.kill(os.getpid(), signal.SIGHUP)

        await site.reaches(waiting, "INLRMS")
        await until(lambda: "config.reloaded" in events(caplog))


async def test_hangup_takes_over_another_limit_for_owners(site: Site) -> None:
    site.configure("maxjobs=-1 -1 1 -1 -1\n")
    async with site.serving():
        first, second = await site.submit(), await site.submit()
        waiting = await _the_pending_one(site, first, second)
        site.configure()
        os.kill(os.getpid(), signal.SIGHUP)

        await site.reaches(waiting, "INLRMS")


async def _the_pending_one(site: Site, *jobs: JobId) -> JobId:
    return await _the_one(site, lambda status: status.pending, *jobs)


async def _the_one(site: Site, fits: Callable[[Status], bool], *jobs: JobId) -> JobId:
    """The first of the jobs whose status fits."""
    async with asyncio.timeout(20):
        while True:
            for job in jobs:
                found = await asyncio.to_thread(site.store.read_status, job)
                if found is not None and found.status is not None and fits(found.status):
                    return job
            await asyncio.sleep(0.005)


async def test_hangup_with_a_broken_configuration_keeps_the_old_one(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    async with site.serving():
        site.conf.write_text("[arex]\nmaxjobs=many\n[nonsense", encoding="utf-8")
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: "config.refused" in events(caplog))

        await site.end(await site.submit())
    assert "config.reloaded" not in events(caplog)


async def test_hangup_shows_clients_the_new_queues(site: Site) -> None:
    async with site.serving():
        site.configure(queue="other")
        os.kill(os.getpid(), signal.SIGHUP)

        await until(lambda: "[queue:other]" in (site.root / "run" / "arex.cfg").read_text(encoding="utf-8"))


async def test_hangup_says_what_has_to_wait_for_the_next_start(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async with site.serving():
        text = site.conf.read_text(encoding="utf-8")
        site.conf.write_text(text.replace("/ctl\n", "/elsewhere\n"), encoding="utf-8")
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: "config.later" in events(caplog))

        await site.end(await site.submit())
    assert "the change of [arex] controldir needs a restart of the service" in caplog.messages
    assert not (site.root / "elsewhere").exists()


async def test_hangup_without_a_place_for_the_pid_file_is_no_reason_to_end(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    async with site.serving():
        (site.root / "run").rename(site.root / "moved")
        (site.root / "run").write_text("", encoding="ascii")
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: "config.hidden" in events(caplog))

        await site.end(await site.submit())


# --- clients ----------------------------------------------------------------------------------------------------------


async def test_marks_that_are_rung_for_are_acted_on(site: Site) -> None:
    async with site.serving():
        job = await site.submit()
        await site.localid(job)
        await site.mark(job, Mark.CANCEL)
        await site.reaches(job, "FINISHED")
        await site.mark(job, Mark.CLEAN)
        await site.reaches(job, "")


async def test_a_finished_job_is_cleaned_although_no_more_jobs_fit(site: Site) -> None:
    """Limit n1 keeps new jobs out, not the owners of old ones."""
    site.configure("maxjobs=1 -1 -1 -1 -1\n")
    async with site.serving():
        old = await site.submit()
        await site.end(old)
        first, second = await site.submit(), await site.submit()
        async with asyncio.timeout(20):
            while not site.cluster.taken or len(site.cluster.taken) < 2:
                await asyncio.sleep(0.005)
        await site.mark(old, Mark.CLEAN)
        await site.reaches(old, "")

        inside = await _the_one(site, lambda status: status == Status(State.INLRMS), first, second)
        await site.end(inside)
        await site.localid(second if inside == first else first)


# --- who we are -------------------------------------------------------------------------------------------------------


def test_root_is_refused_unless_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    plain = Configuration()

    with pytest.raises(ServiceError, match="does not run as root by default"):
        refuse_root(plain, allowed=False)
    refuse_root(plain, allowed=True)
    refuse_root(replace(plain, service=replace(ServiceBlock(), allow_root=True)), allowed=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    refuse_root(plain, allowed=False)
