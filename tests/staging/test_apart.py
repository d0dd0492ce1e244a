"""A mover in a separate process, which may die, lie, stand still or be stopped."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import TypeVarTuple

import pytest

from arex.model.url import Url
from arex.staging.movers.base import ErrorKind, FileInfo, MoverSettings, RemoteFile, Resume, TransferError
from arex.staging.movers.isolated import process
from arex.staging.movers.isolated.mover import SubprocessMover
from arex.staging.movers.isolated.wire import WINDOW
from lrms import processes
from tests.environments import ROOT
from tests.staging.conftest import HastyClock
from tests.staging.movers_apart import FACTS, PIECE, junk

_Ts = TypeVarTuple("_Ts")

ODD = "tests.staging.movers_apart:OddMover"
CALLED = "the odd mover"


def at(path: str) -> RemoteFile:
    return RemoteFile(Url("odd", "host", path))


class TimerClock(HastyClock):
    """Keeps the times of its timers."""

    def __init__(self) -> None:
        super().__init__()
        self.timers: list[float] = []

    def call_later(self, seconds: float, callback: Callable[[*_Ts], object], *args: *_Ts) -> asyncio.TimerHandle:
        self.timers.append(seconds)
        return super().call_later(seconds, callback, *args)


@pytest.fixture
async def clock() -> TimerClock:
    return TimerClock()


@pytest.fixture
async def mover(clock: TimerClock) -> AsyncIterator[SubprocessMover]:
    made = SubprocessMover(
        ODD, CALLED, MoverSettings(cert_dir=Path("/certs"), http_proxy="p", inactivity_s=7, clock=clock)
    )
    yield made
    async with asyncio.timeout(60):
        await made.close()


class Gathered:
    """A sink."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.size, self.starts = 0, list[tuple[FileInfo, int]]()
        self.fault = fault
        self.go = asyncio.Event()
        self.go.set()

    async def begin(self, facts: FileInfo, start: int) -> None:
        self.starts.append((facts, start))

    async def write(self, data: bytes) -> None:
        await self.go.wait()
        self.size += len(data)
        if self.fault is not None:
            raise self.fault


class Pieces:
    """A source."""

    def __init__(self, count: int, fault: Exception | None = None) -> None:
        self._count, self._fault = count, fault
        self.size = count * len(PIECE)
        self.go = asyncio.Event()
        self.go.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        for _ in range(self._count):
            yield PIECE
        await self.go.wait()
        if self._fault is not None:
            raise self._fault


def requests(mover: SubprocessMover) -> int:
    """That the process is not done with."""
    assert mover._process is not None
    return len(mover._process._requests)


# --- what crosses -----------------------------------------------------------------------------------------------


async def test_facts_and_means_and_places_cross(mover: SubprocessMover, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODD_WORD", "blue")
    assert FACTS == await mover.stat(at("/facts"))
    assert "blue" == (await mover.stat(at("/variable/ODD_WORD"))).etag
    assert "/certs p 7" == (await mover.stat(at("/means"))).etag
    place = RemoteFile(Url("odd", "host", "/who", (("a", "b\udcff"),)), Path("/some\n where"))
    assert f"{place.credential} {place.url.options}" == (await mover.stat(place)).etag


async def test_a_trouble_crosses_as_it_is(mover: SubprocessMover) -> None:
    with pytest.raises(TransferError) as caught:
        await mover.stat(at("/trouble"))
    trouble = caught.value
    assert (ErrorKind.NO_SPACE, "a\nb", "c", 1.5) == (trouble.verdict, trouble.text, trouble.cure, trouble.retry_after)


async def test_a_bug_crosses_with_its_place(mover: SubprocessMover) -> None:
    with pytest.raises(RuntimeError, match="KeyError") as caught:
        await mover.stat(at("/bug/x"))
    assert "movers_apart.py" in caught.value.__notes__[0]


@pytest.mark.parametrize("path", ["/large/40", "/tiny/3000", "/large/0"])
async def test_bytes_come_in_and_the_start_is_told(mover: SubprocessMover, path: str) -> None:
    """More than there is credit for at one time, and very small pieces."""
    sink, facts = Gathered(), FileInfo(size=50)
    await mover.fetch(at(path), sink, Resume(17, facts))
    count = int(path.rpartition("/")[2])
    assert (count if "tiny" in path else count * len(PIECE)) == sink.size
    assert [(FileInfo(size=17), 17)] == sink.starts


async def test_bytes_go_out_and_again_from_the_start(mover: SubprocessMover, tmp_path: Path) -> None:
    """More than once the credit, so that none is lost with what was dropped."""
    for _ in range(3):
        await mover.send(at(f"{tmp_path}/out"), Pieces(20), overwrite=True)
        assert PIECE * 20 == (tmp_path / "out").read_bytes()
    assert 0 == requests(mover)


async def test_a_fault_of_the_sink_stops_the_mover_and_comes_out_as_it_is(mover: SubprocessMover) -> None:
    for fault in (TransferError(ErrorKind.NO_SPACE, "full"), ZeroDivisionError()):
        with pytest.raises(type(fault)) as caught:
            await mover.fetch(at("/large/1000000"), Gathered(fault), None)
        assert fault is caught.value
        assert 0 == requests(mover)


async def test_a_fault_of_the_source_stops_the_mover_and_comes_out_as_it_is(
    mover: SubprocessMover, tmp_path: Path
) -> None:
    for fault in (TransferError(ErrorKind.TEMPORARY, "shorter"), ZeroDivisionError()):
        with pytest.raises(type(fault)) as caught:
            await mover.send(at(f"{tmp_path}/out"), Pieces(3, fault), overwrite=True)
        assert fault is caught.value
        assert [] == list(tmp_path.iterdir())
        assert 0 == requests(mover)


async def test_a_url_of_any_length_is_answered(mover: SubprocessMover) -> None:
    with pytest.raises(TransferError, match="invalid URL"):
        await mover.stat(at("/" + "x" * 1_000_000))
    assert FACTS == await mover.stat(at("/" + "\x01" * 60_000))


# --- side by side -----------------------------------------------------------------------------------------------


async def test_a_slow_sink_delays_no_other_transfer_and_memory_stays_flat(mover: SubprocessMover) -> None:
    slow = Gathered()
    slow.go.clear()
    first = asyncio.ensure_future(mover.fetch(at("/large/300"), slow, None))
    await mover.fetch(at("/large/20"), Gathered(), None)
    assert mover._process is not None
    before = peak(mover._process.pid)
    other = Gathered()
    await mover.fetch(at("/large/200"), other, None)
    assert 200 * len(PIECE) == other.size
    assert peak(mover._process.pid) - before < 8 * 1024
    (request,) = mover._process._requests.values()
    assert request._debt._open <= WINDOW
    assert 0 == slow.size
    slow.go.set()
    await first
    assert 300 * len(PIECE) == slow.size


def peak(pid: int) -> int:
    """The most memory that it had, in kB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


@pytest.mark.parametrize("way", ["in", "out", "look"])
async def test_a_cancelled_transfer_leaves_nothing(mover: SubprocessMover, tmp_path: Path, way: str) -> None:
    source, sink = Pieces(2), Gathered()
    source.go.clear()
    work: dict[str, Callable[[], Coroutine[object, object, object]]] = {
        "in": lambda: mover.fetch(at("/large/1000000"), sink, None),
        "out": lambda: mover.send(at(f"{tmp_path}/out"), source, overwrite=True),
        "look": lambda: mover.stat(at("/junk/")),
    }
    running = asyncio.ensure_future(work[way]())
    while not (sink.size or (tmp_path / "out").exists() or (way == "look" and mover.pid)):
        await asyncio.sleep(0.01)
    running.cancel()
    async with asyncio.timeout(50):
        with pytest.raises(asyncio.CancelledError):
            await running
    assert [] == list(tmp_path.iterdir())
    assert 0 == requests(mover)
    assert FACTS == await mover.stat(at("/facts"))


# --- ends -------------------------------------------------------------------------------------------------------


async def test_crashes_are_said_and_it_is_started_again_later_and_later(
    mover: SubprocessMover, clock: TimerClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "monotonic", lambda: 0.0)
    for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGSEGV, signal.SIGKILL):
        with pytest.raises(TransferError, match=rf"{CALLED} has crashed \(signal {number}\)") as caught:
            await mover.stat(at(f"/die/{number}"))
        assert ErrorKind.TEMPORARY is caught.value.verdict
    assert FACTS == await mover.stat(at("/facts"))
    assert [1, 2, 4] == clock.timers
    warned = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert ["mover.crashed"] * 4 == [getattr(each, "event", "") for each in warned]


async def test_a_crash_ends_all_transfers_that_are_under_way(mover: SubprocessMover) -> None:
    under_way = [asyncio.ensure_future(mover.fetch(at("/large/1000000"), Gathered(), None)) for _ in range(5)]
    await mover.stat(at("/facts"))
    with pytest.raises(TransferError, match="signal 9"):
        await mover.stat(at("/die/9"))
    for each in await asyncio.gather(*under_way, return_exceptions=True):
        assert isinstance(each, TransferError)
        assert ErrorKind.TEMPORARY is each.verdict


@pytest.mark.parametrize("said", junk())
async def test_whoever_breaks_the_rules_is_ended(mover: SubprocessMover, said: str) -> None:
    with pytest.raises(TransferError, match=f"has been stopped: .*{said}"):
        await mover.stat(at(f"/junk/{junk()[said].hex()}"))
    assert FACTS == await mover.stat(at("/facts"))


async def test_bytes_without_credit_are_not_kept(mover: SubprocessMover) -> None:
    sink = Gathered()
    sink.go.clear()
    taking = asyncio.ensure_future(mover.fetch(at("/own/1"), sink, None))
    while not sink.starts or mover.pid:
        await asyncio.sleep(0.01)
    sink.go.set()
    with pytest.raises(TransferError, match="has been stopped: more bytes than the flow control allows"):
        await taking
    assert sink.size <= WINDOW


async def test_whoever_says_nothing_is_ended(mover: SubprocessMover, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_PING_S", 0.1)
    with pytest.raises(TransferError, match="has been stopped: it does not answer"):
        await mover.stat(at("/stand"))


async def test_what_it_prints_is_in_the_log_within_bounds(
    mover: SubprocessMover, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await mover.stat(at("/say"))
    await mover.close()
    said = [each.getMessage() for each in caplog.records if getattr(each, "event", "") == "mover.said"]
    assert 101 == len(said)
    assert f"{CALLED}: line 0 root://host//file?..." == said[0]
    assert f"{CALLED}: 901 more lines of output omitted" == said[-1]


async def test_closing_ends_it_and_what_was_under_way(mover: SubprocessMover) -> None:
    running = asyncio.ensure_future(mover.fetch(at("/large/1000000"), Gathered(), None))
    await mover.stat(at("/facts"))
    pid = mover.pid
    await mover.close()
    with pytest.raises(TransferError, match="the transfer was cancelled"):
        await running
    assert pid is not None
    assert not Path(f"/proc/{pid}").exists()


async def test_closing_wakes_those_who_wait_for_a_start(
    mover: SubprocessMover, clock: TimerClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arex.staging.movers.isolated.mover._SOUND_S", 3600)
    monkeypatch.setattr("arex.staging.movers.isolated.mover._FIRST_PAUSE_S", 6000)
    monkeypatch.setattr("arex.staging.movers.isolated.mover._LONGEST_PAUSE_S", 6000)
    for _ in range(2):
        with pytest.raises(TransferError, match="crashed"):
            await mover.stat(at("/die/9"))
    waiting = [asyncio.ensure_future(mover.stat(at("/facts"))) for _ in range(2)]
    while not clock.timers:
        await asyncio.sleep(0)
    await mover.close()
    async with asyncio.timeout(60):
        for each in waiting:
            with pytest.raises(TransferError, match="the transfer was cancelled"):
                await each
    assert mover.pid is None


async def test_a_closing_that_is_cancelled_leaves_no_transfer_waiting(
    mover: SubprocessMover, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the service waits for the end of a process that has crashed."""
    await mover.stat(at("/facts"))
    running = asyncio.ensure_future(mover.fetch(at("/large/1000000"), Gathered(), None))
    crashed = mover._process
    assert crashed is not None
    gone, ending = crashed._gone, asyncio.Event()

    async def slow() -> int:
        await gone()
        ending.set()
        await asyncio.Event().wait()
        raise AssertionError("it was cancelled")

    monkeypatch.setattr(crashed, "_gone", slow)
    os.killpg(crashed.pid, signal.SIGKILL)
    await ending.wait()
    closing = asyncio.ensure_future(mover.close())
    await asyncio.sleep(0)
    closing.cancel()
    async with asyncio.timeout(60):
        with pytest.raises(asyncio.CancelledError):
            await closing
        with pytest.raises(TransferError, match=f"{CALLED} has "):
            await running
        await crashed.buried.wait()


async def test_it_ends_with_its_socket(mover: SubprocessMover) -> None:
    await mover.stat(at("/facts"))
    assert mover._process is not None
    mover._process._wire.close()
    await ended(mover._process.pid)


@pytest.mark.parametrize("busy", [False, True])
async def test_it_ends_when_the_service_does(busy: bool) -> None:
    """Also if it can't listen just then."""
    code = f"""
import asyncio, sys, pathlib
from arex.staging.movers.isolated.mover import SubprocessMover
from arex.staging.movers.base import MoverSettings, RemoteFile
from arex.model.url import Url
async def main():
    mover = SubprocessMover({ODD!r}, "x", MoverSettings(cert_dir=pathlib.Path("/")))
    await mover.stat(RemoteFile(Url("odd", "host", "/facts")))
    if {busy}:
        standing = asyncio.ensure_future(mover.stat(RemoteFile(Url("odd", "host", "/stand"))))
        await asyncio.sleep(0.2)
    print(mover.pid, flush=True)
    await asyncio.sleep(60)
sys.path.insert(0, {str(ROOT)!r})
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT) as service:
        assert service.stdout is not None
        pid = int(service.stdout.readline())
        service.kill()
    await ended(pid)


async def ended(pid: int) -> None:
    limit = time.monotonic() + 50
    while (running := await asyncio.to_thread(processes.identify, pid, "")) and time.monotonic() < limit:
        await asyncio.sleep(0.01)
    assert running is None


# --- beginnings -------------------------------------------------------------------------------------------------


async def test_what_can_not_be_made_is_said_and_not_tried_at_once() -> None:
    made = SubprocessMover("tests.staging.movers_apart:NoMover", CALLED, MoverSettings(cert_dir=Path("/certs")))
    for _ in range(2):
        with pytest.raises(TransferError, match="the transfer method for odd: cannot be loaded: /certs") as caught:
            await made.stat(at("/facts"))
        assert ErrorKind.PERMANENT is caught.value.verdict
    assert made._process is None
    await made.close()


async def test_an_abandoned_start_leaves_no_process(mover: SubprocessMover) -> None:
    before = await children()
    running = asyncio.ensure_future(mover.stat(at("/facts")))
    while not (await children()) - before:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert set() == (await children()) - before


async def test_an_abandoned_start_that_fails_is_no_error_in_the_log() -> None:
    said: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    made = SubprocessMover("tests.staging.movers_apart:NoMover", CALLED, MoverSettings(cert_dir=Path("/certs")))
    running = asyncio.ensure_future(made.stat(at("/facts")))
    while f"words of {CALLED}" not in {task.get_name() for task in asyncio.all_tasks()}:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await made.close()
    del running
    gc.collect()
    assert [] == said


async def children() -> set[int]:
    return set(await asyncio.to_thread(processes.descendants, os.getpid()))
