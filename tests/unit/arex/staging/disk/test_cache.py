"""The cache: one holder, whole files only, links that count, and nothing that a job could break for others."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from arex.config.model import Configuration
from arex.config.staging import CacheBlock
from arex.config.values import CacheDir
from arex.controldir import hostlock
from arex.errors import CacheUnavailable, UnsafePath
from arex.model.ids import JobId
from arex.staging.disk.cache import Cache, Cached, cached_files
from arex.staging.disk.cachemeta import CacheRecord
from arex.staging.movers.base import FileInfo
from tests.fakes.clock import FakeClock
from tests.processes import NO_PROCESS

URL = "http://host:80/data/file"
JOB = JobId("abc")
MODIFIED = FakeClock().now() - timedelta(days=1)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(root: Path, clock: FakeClock) -> Cache:
    return Cache([CacheDir(path=root)], clock)


@pytest.fixture
def session(tmp_path: Path) -> Path:
    path = tmp_path / JOB
    path.mkdir()
    return path


def fill(cached: Cached, clock: FakeClock, text: str = "content") -> CacheRecord:
    cached.partial.write_text(text)
    record = CacheRecord(size=len(text), modified=MODIFIED, etag='"1"', checked=clock.now())
    cached.commit(record)
    return record


@contextmanager
def filled(cache: Cache, clock: FakeClock) -> Iterator[Cached]:
    """As in a worker thread."""
    with holding(cache) as cached:
        fill(cached, clock)
        yield cached


@contextmanager
def holding(cache: Cache) -> Iterator[Cached]:
    with asyncio.Runner() as runner:
        held = cache.hold(URL)
        cached = runner.run(held.__aenter__())
        try:
            yield cached
        finally:
            runner.run(held.__aexit__(None, None, None))


def test_what_was_committed_is_known_also_to_another_process(cache: Cache, root: Path, clock: FakeClock) -> None:
    with holding(cache) as cached:
        assert cached.record() is None
        record = fill(cached, clock)

    with holding(Cache([CacheDir(path=root)], clock)) as again:
        assert record == again.record()


def test_the_places_are_those_of_arc(cache: Cache, root: Path, clock: FakeClock) -> None:
    """SHA-1 of the URL, cut after two digits; the first line of the meta file is the URL."""
    with filled(cache, clock):
        pass

    [file] = [path for path in (root / "data").glob("*/*") if not path.suffix]
    assert (2, 38) == (len(file.parent.name), len(file.name))
    assert URL == file.with_suffix(".meta").read_text().splitlines()[0]


def test_no_lock_is_left(cache: Cache, root: Path, clock: FakeClock) -> None:
    with filled(cache, clock):
        assert [] != list(root.rglob("*.lock"))

    assert [] == list(root.rglob("*.lock"))


async def test_two_who_want_one_url_have_it_one_after_the_other(cache: Cache) -> None:
    order: list[str] = []

    async def use(name: str) -> None:
        async with cache.hold(URL):
            order.append(f"{name} in")
            await asyncio.sleep(0)
            order.append(f"{name} out")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(use("a"))
        tasks.create_task(use("b"))

    assert ["a in", "a out", "b in", "b out"] == order


async def test_the_lock_of_a_dead_process_is_taken_over(cache: Cache) -> None:
    async with cache.hold(URL) as cached:
        lock = cached.lock
    Path(lock).write_text(f"{NO_PROCESS}@{os.uname().nodename}")

    async with asyncio.timeout(30), cache.hold(URL) as cached:
        assert f"{os.getpid()}@{os.uname().nodename}" == Path(lock).read_text()


class Patient(FakeClock):
    """Tells when a thread waits, and lets go when signalled."""

    def __init__(self) -> None:
        super().__init__()
        self.waits, self.go = asyncio.Event(), asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.advance(timedelta(seconds=seconds))
        self.waits.set()
        await self.go.wait()


async def test_the_lock_of_a_living_process_is_waited_for(root: Path) -> None:
    clock = Patient()
    cache = Cache([CacheDir(path=root)], clock)
    async with cache.hold(URL) as cached:
        lock = Path(cached.lock)
    lock.write_text(f"1@{os.uname().nodename}")

    async def hold() -> None:
        async with cache.hold(URL):
            assert f"{os.getpid()}@{os.uname().nodename}" == lock.read_text()

    waiting = asyncio.create_task(hold())
    await clock.waits.wait()
    assert not waiting.done()
    lock.unlink()
    clock.go.set()
    await waiting


async def test_a_lock_that_can_not_be_refreshed_fails_no_transfer_and_is_released(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The file system may work again before the lock is stale; a lock that stays would block the URL that long."""
    tried = asyncio.Event()
    loop = asyncio.get_running_loop()

    def refresh(_name: str) -> None:
        loop.call_soon_threadsafe(tried.set)
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("arex.staging.disk.cache._REFRESH_S", 0.001)
    monkeypatch.setattr(hostlock, "refresh", refresh)
    async with cache.hold(URL) as cached:
        await tried.wait()
        while not caplog.records:
            await asyncio.sleep(0)

    assert not Path(cached.lock).exists()
    assert caplog.records[0].getMessage().endswith("will retry: Permission denied")


@contextmanager
def busy_threads() -> Iterator[Callable[[], None]]:
    """All worker threads have work until the function is called."""
    go, at_work = threading.Event(), threading.Event()

    def work() -> None:
        at_work.set()
        go.wait(20)

    with ThreadPoolExecutor(1) as pool:
        asyncio.get_running_loop().set_default_executor(pool)
        pool.submit(work)
        at_work.wait(20)
        try:
            yield go.set
        finally:
            go.set()


async def test_a_holder_that_is_cancelled_while_it_releases_leaves_no_lock(cache: Cache) -> None:
    """It would block the URL for as long as this process lives, or 15 minutes."""
    holds, leave = asyncio.Event(), asyncio.Event()
    locks: list[Path] = []

    async def hold() -> None:
        async with cache.hold(URL) as cached:
            locks.append(Path(cached.lock))
            holds.set()
            await leave.wait()

    holder = asyncio.create_task(hold())
    await holds.wait()
    with busy_threads() as free:
        leave.set()
        for _ in range(20):
            await asyncio.sleep(0)
        holder.cancel()
        await asyncio.sleep(0)
        free()
        with pytest.raises(asyncio.CancelledError):
            await holder
    assert not locks[0].exists()


async def test_a_cancelled_attempt_to_take_a_lock_leaves_none(
    cache: Cache, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, go, taking = hostlock.take, threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(name: str, stale_s: float) -> hostlock.LockResult:
        loop.call_soon_threadsafe(taking.set)
        go.wait(20)
        return take(name, stale_s)

    monkeypatch.setattr(hostlock, "take", slow)

    async def hold() -> None:
        async with cache.hold(URL):
            raise AssertionError("it was cancelled")

    holder = asyncio.create_task(hold())
    await taking.wait()
    holder.cancel()
    await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await holder
    await loop.shutdown_default_executor()
    assert [] == list(root.rglob("*.lock"))


def test_the_parts_of_a_crashed_fetch_are_still_there(cache: Cache) -> None:
    with holding(cache) as cached:
        cached.partial.write_text("half")

    with holding(cache) as cached:
        assert "half" == cached.partial.read_text()
        assert cached.record() is None


def test_a_part_is_known_as_a_part_of_its_source_only(cache: Cache) -> None:
    facts = FileInfo(size=7, modified=MODIFIED, etag='"1"')
    with holding(cache) as cached:
        cached.begin("http://one/x", facts)

    with holding(cache) as cached:
        assert facts == cached.half("http://one/x")
        assert None is cached.half("http://two/x")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"url": 1}', "\x00"])
def test_a_record_of_a_part_that_does_not_read_is_none(cache: Cache, text: str) -> None:
    with holding(cache) as cached:
        cached.begin("http://one/x", FileInfo(size=7))
        Path(f"{cached.path}.begun").write_text(text)

        assert None is cached.half("http://one/x")


def test_nothing_is_gone_on_with_that_is_whole_or_small(cache: Cache, clock: FakeClock) -> None:
    with holding(cache) as cached:
        cached.begin("http://one/x", FileInfo(size=7))
        fill(cached, clock)
        assert None is cached.half("http://one/x")

        cached.begin("http://one/x", FileInfo(size=7))
        cached.begin_small()
        assert None is cached.half("http://one/x")


def test_a_job_gets_a_link_that_counts_as_use(cache: Cache, root: Path, session: Path, clock: FakeClock) -> None:
    with filled(cache, clock) as cached:
        size = cached.deliver(JOB, session, "/in/x", copy=False, executable=False)

    assert 7 == size
    assert "content" == (session / "in/x").read_text()
    assert (session / "in/x").readlink() == root / "joblinks" / JOB / "in/x"
    assert [True] == [file.linked for file in cached_files(root)]
    asyncio.run(cache.release(JOB))
    assert [False] == [file.linked for file in cached_files(root)]


def test_a_link_may_have_another_path_on_worker_nodes(root: Path, session: Path, clock: FakeClock) -> None:
    cache = Cache([CacheDir(path=root, link="/nodes/cache")], clock)
    with filled(cache, clock) as cached:
        cached.deliver(JOB, session, "/x", copy=False, executable=False)

    assert Path("/nodes/cache/joblinks") / JOB / "x" == (session / "x").readlink()


@pytest.mark.parametrize(
    ("link", "copy", "executable"),
    [("", True, False), ("", False, True), (".", False, False)],
)
def test_a_copy_belongs_to_the_job(
    root: Path, session: Path, clock: FakeClock, link: str, copy: bool, executable: bool
) -> None:
    cache = Cache([CacheDir(path=root, link=link)], clock)
    with filled(cache, clock) as cached:
        cached.deliver(JOB, session, "/x", copy=copy, executable=executable)
        (session / "x").write_text("changed")

        assert "content" == cached.path.read_text()
    assert executable == os.access(session / "x", os.X_OK)
    assert [session / "x"] == list(session.iterdir())


def test_what_is_linked_can_not_be_written(cache: Cache, session: Path, clock: FakeClock) -> None:
    with filled(cache, clock) as cached:
        cached.deliver(JOB, session, "/x", copy=False, executable=False)

    assert 0o400 == (session / "x").stat().st_mode & 0o777


def test_a_file_in_the_way_is_replaced(cache: Cache, session: Path, clock: FakeClock) -> None:
    (session / "x").write_text("old")
    with filled(cache, clock) as cached:
        cached.deliver(JOB, session, "/x", copy=False, executable=False)
        cached.deliver(JOB, session, "/x", copy=False, executable=False)

    assert "content" == (session / "x").read_text()


def test_no_name_leads_out_of_the_session(cache: Cache, session: Path, clock: FakeClock) -> None:
    (session / "d").symlink_to("/tmp")
    with filled(cache, clock) as cached:
        for name in ("/../x", "/d/x"):
            with pytest.raises(UnsafePath):
                cached.deliver(JOB, session, name, copy=False, executable=False)


def test_another_owner_has_to_prove_access(cache: Cache, clock: FakeClock) -> None:
    with filled(cache, clock) as cached:
        assert not cached.allowed("/CN=a")
        cached.allow("/CN=a")
        cached.allow("/CN=b")
        assert [True, True, False] == [cached.allowed(owner) for owner in ("/CN=a", "/CN=b", "/CN=c")]
        assert cached.record() is not None
        clock.advance(timedelta(hours=25))
        assert not cached.allowed("/CN=a")


def test_a_new_file_needs_new_permission(cache: Cache, clock: FakeClock) -> None:
    with filled(cache, clock) as cached:
        cached.allow("/CN=a")
        fill(cached, clock, "newer")

        assert not cached.allowed("/CN=a")


def test_a_confirmed_copy_is_as_good_as_new(cache: Cache, clock: FakeClock) -> None:
    with filled(cache, clock) as cached:
        before = cached.record()
        clock.advance(timedelta(minutes=10))
        cached.touch_checked()

        assert before is not None
        assert replace(before, checked=clock.now()) == cached.record()


def test_a_file_of_another_size_or_another_file_is_not_trusted(cache: Cache, clock: FakeClock) -> None:
    with filled(cache, clock) as cached:
        cached.path.chmod(0o600)
        cached.path.write_text("con")
        assert cached.record() is None
        fill(cached, clock)
        other = cached.path.with_name("other")
        other.write_text("CONTENT")
        other.rename(cached.path)
        assert cached.record() is None


def test_a_meta_file_of_another_url_is_not_trusted(cache: Cache, clock: FakeClock) -> None:
    with filled(cache, clock) as cached:
        Path(f"{cached.path}.meta").write_text("http://other/\n")

        assert cached.record() is None


async def test_without_a_directory_that_takes_files_there_is_no_cache(root: Path, clock: FakeClock) -> None:
    for directory in (CacheDir(path=root, drain=True), CacheDir(path=root, readonly=True)):
        with pytest.raises(CacheUnavailable):
            async with Cache([directory], clock).hold(URL):
                pass
    root.write_text("no directory")
    with pytest.raises(CacheUnavailable):
        async with Cache([CacheDir(path=root)], clock).hold(URL):
            pass


def test_a_draining_cache_still_serves(root: Path, tmp_path: Path, clock: FakeClock) -> None:
    with filled(Cache([CacheDir(path=root)], clock), clock):
        pass
    both = Cache([CacheDir(path=root, drain=True), CacheDir(path=tmp_path / "new")], clock)

    with holding(both) as cached:
        assert cached.record() is not None


def test_without_a_cachedir_there_is_none(root: Path, clock: FakeClock) -> None:
    assert Cache.from_config(Configuration(), clock) is None
    config = Configuration(cache=CacheBlock(cachedir=(CacheDir(path=root),)))
    assert Cache.from_config(config, clock) is not None
