from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest
from watchdog.observers.api import BaseObserver

from arex.controldir import watch
from arex.controldir.layout import FlatLayout, Mark, Place
from arex.controldir.store import ControlDir
from arex.controldir.watch import Mode, Watch, filesystem_of
from arex.model.ids import JobId
from arex.model.state import State, Status

JOB = JobId("abc")


@pytest.fixture
def store(tmp_path: Path) -> ControlDir:
    store = ControlDir(FlatLayout(tmp_path / "ctl"))
    store.prepare("me")
    return store


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events may arrive late, where they arrive."""
    monkeypatch.setattr(watch, "_PROBE_S", 30.0)


@pytest.mark.usefixtures("patient")
async def test_new_jobs_and_marks_are_seen(store: ControlDir) -> None:
    """Also those that are renamed into place, as ARC's clients do."""
    seen: asyncio.Queue[JobId] = asyncio.Queue()
    watching = Watch(store.layout, seen.put_nowait)
    mode, why = await watching.start("auto")
    assert (Mode.EVENTS, True) == (mode, "seen at once" in why)

    await asyncio.to_thread(store.put_status, JOB, Status(State.ACCEPTED), None)
    assert JOB == await seen.get()
    await asyncio.to_thread(store.set_mark, JobId("other"), Mark.CANCEL)
    while await seen.get() != "other":
        pass
    await watching.stop()


async def test_files_that_belong_to_no_job_cause_no_wake_up(store: ControlDir) -> None:
    seen: list[JobId] = []
    watching = Watch(store.layout, seen.append)
    for name in ("README", "job.a b.status", ".arex-probe.1", "job.abc.status.~1.2", "job.$(x).cancel"):
        watching._seen(name)

    assert [] == seen


async def test_polling_can_be_asked_for(store: ControlDir) -> None:
    assert (Mode.POLL, "the configuration says so") == await Watch(store.layout, print).start("poll")


async def test_on_a_network_file_system_events_are_not_trusted(
    store: ControlDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come for what this host does, and for nothing that others do."""
    monkeypatch.setattr(watch, "filesystem_of", lambda _: "nfs4")
    mode, why = await Watch(store.layout, print).start("auto")

    assert Mode.POLL is mode
    assert "nfs4" in why


async def test_a_directory_that_is_not_there_is_polled(store: ControlDir) -> None:
    await asyncio.to_thread((store.root / Place.ACCEPTING).rmdir)
    mode, why = await Watch(store.layout, print).start("events")

    assert Mode.POLL is mode
    assert "cannot watch the directory" in why


@pytest.mark.parametrize("wanted", ["auto", "events", "poll"])
async def test_without_a_free_inotify_instance_the_directory_is_polled(
    store: ControlDir, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    def none_left() -> BaseObserver:
        raise OSError(errno.EMFILE, "inotify instance limit reached")

    monkeypatch.setattr(watch, "Observer", none_left)
    watching = Watch(store.layout, print)
    mode, why = await watching.start(wanted)

    assert Mode.POLL is mode
    assert "inotify instance limit reached" in why or wanted == "poll"
    assert await watching.works()
    await watching.stop()


@pytest.mark.usefixtures("patient")
async def test_events_that_can_no_longer_arrive_are_noticed(store: ControlDir, monkeypatch: pytest.MonkeyPatch) -> None:
    watching = Watch(store.layout, print)
    await watching.start("events")
    assert await watching.works()
    await asyncio.to_thread((store.root / Place.ACCEPTING).rmdir)
    await asyncio.to_thread((store.root / Place.ACCEPTING).mkdir)
    with monkeypatch.context() as impatient:
        impatient.setattr(watch, "_PROBE_S", 0.5)
        assert not await watching.works()

    await watching.stop()
    mode, _ = await watching.start("events")
    assert Mode.EVENTS is mode
    assert await watching.works()
    await watching.stop()


@pytest.mark.usefixtures("patient")
async def test_a_late_event_for_an_earlier_probe_proves_nothing(
    store: ControlDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = Watch(store.layout, print)
    await watching.start("events")
    monkeypatch.setattr(watch, "_PROBE_S", 0.5)
    earlier = watching._probe_path.name
    await asyncio.to_thread((store.root / Place.ACCEPTING).rmdir)
    await asyncio.to_thread((store.root / Place.ACCEPTING).mkdir)
    check = asyncio.create_task(watching.works())
    while watching._probe_path.name == earlier:
        await asyncio.sleep(0)
    watching._seen(earlier)
    assert not await check
    await watching.stop()


@pytest.mark.parametrize(("path", "kind"), [("/proc/self", "proc"), ("/dev/shm", "tmpfs"), ("/sys", "sysfs")])
def test_the_file_system_of_a_path_is_known(path: str, kind: str) -> None:
    assert kind == filesystem_of(Path(path))
