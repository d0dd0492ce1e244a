"""The forkserver under load, stopped, and after the end of its daemon."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from arex.errors import BatchUnavailable
from arex.ports import LocalJob, Submission
from lrms import processes
from lrms.fork import launcher
from lrms.fork.backend import ForkBackend
from lrms.fork.server import FORK_FAILED, REPLACE
from tests.contract.worlds import ForkWorld, cleaned_up, end_of, happens, local_job, submitted


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ForkWorld]:
    async with cleaned_up(ForkWorld(tmp_path)) as world:
        yield world


def has_ended(pid: int) -> bool:
    return processes.identify(pid, "") is None


async def test_it_stays_until_its_last_supervisor_has_ended(world: ForkWorld, backend: ForkBackend) -> None:
    old = world.backend()
    await old.start()
    job = await submitted(old, world.submission("wait"))
    pid = old._launcher.pid
    assert pid is not None

    await old.close()
    stays = not await asyncio.to_thread(has_ended, pid)
    await backend.cancel([job])
    await end_of(backend, job)

    assert stays
    await happens(lambda: has_ended(pid))


async def test_it_ends_at_once_without_a_supervisor(world: ForkWorld) -> None:
    backend = world.backend()
    await backend.start()
    await end_of(backend, await submitted(backend, world.submission()))
    await happens(lambda: not backend._launcher.children)  # it tells that after the record is there
    pid = backend._launcher.pid
    assert pid is not None

    await backend.close()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)  # not even a zombie is left


async def test_a_stopped_one_is_continued(
    world: ForkWorld, backend: ForkBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "_ANSWER_S", 0.2)
    submission = world.submission("exit 3")
    os.kill(backend._launcher.pid or 0, signal.SIGSTOP)

    assert {} == await backend.submit([submission])
    await happens((submission.rundir / "pid").exists)
    found = await backend.find([submission])

    assert 3 == (await end_of(backend, local_job(submission, found[submission.tag]))).exit_code


async def test_more_orders_than_its_socket_holds_are_all_answered(
    world: ForkWorld, backend: ForkBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None can be started, because there are no run directories: each answer says so."""
    monkeypatch.setattr(launcher, "_ANSWER_S", 3600)
    orders = [backend._order(world.submission()) for _ in range(600)]
    world.submissions.clear()
    pid = backend._launcher.pid or 0
    os.kill(pid, signal.SIGSTOP)

    launching = asyncio.create_task(backend._launcher.launch(orders))
    await happens(lambda: backend._launcher._number >= len(orders))
    os.kill(pid, signal.SIGCONT)

    assert {} == await launching


async def submitted_at_last(backend: ForkBackend, submission: Submission) -> LocalJob:
    """As the service does it: an attempt without an answer is looked for, and submitted again."""
    async with asyncio.timeout(120):
        while True:
            try:
                answer = (await backend.submit([submission])).get(submission.tag)
            except BatchUnavailable:
                answer = None  # a forkserver is not started at once again
            answer = answer or (await backend.find([submission])).get(submission.tag)
            if answer is not None:
                assert isinstance(answer, str), answer
                return local_job(submission, answer)
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("name", "value"),
    [("NPROC", 0), ("FSIZE", 0), ("STACK", 4096), ("NOFILE", 3), ("CORE", 0), ("AS", 1000), ("DATA", 1000)],
)
@pytest.mark.parametrize("hard", [False, True])
async def test_a_later_job_has_the_limits_of_the_service_whatever_was_done_to_the_forkserver(
    world: ForkWorld, backend: ForkBackend, name: str, value: int, hard: bool
) -> None:
    """A job can do that. A hard limit that was lowered is raised again by root; else the forkserver is replaced."""
    which = getattr(resource, f"RLIMIT_{name}")
    before = resource.getrlimit(which)
    resource.prlimit(backend._launcher.pid or 0, which, (value, value if hard else before[1]))
    submission = world.submission("exit 3", "echo ran >>ran; cat /proc/self/limits >limits; exit 3")

    report = await end_of(backend, await submitted_at_last(backend, submission))

    own = await asyncio.to_thread(Path("/proc/self/limits").read_text)
    assert 3 == report.exit_code
    assert own == (submission.grami.directory / "limits").read_text()
    assert 1 == world.runs(submission)


async def test_one_that_must_be_replaced_keeps_its_jobs_until_they_end(
    world: ForkWorld, backend: ForkBackend, caplog: pytest.LogCaptureFixture
) -> None:
    job = await submitted(backend, world.submission("wait", "until [ -e go ]; do sleep 0.02; done; exit 3"))
    old = backend._launcher.pid or 0

    backend._launcher._note(REPLACE, 0, 0, "its limits were lowered")
    later = await submitted_at_last(backend, world.submission("exit 0"))
    stays = not await asyncio.to_thread(has_ended, old)
    new = backend._launcher.pid
    (job.session / "go").touch()

    assert 0 == (await end_of(backend, later)).exit_code
    assert 3 == (await end_of(backend, job)).exit_code
    assert stays
    assert new not in {old, None}
    await happens(lambda: has_ended(old))
    warning = next(each for each in caplog.records if getattr(each, "event", "") == "forkserver.replaced")
    assert logging.WARNING == warning.levelno
    assert "the forkserver is replaced: its limits were lowered; jobs continue" == warning.getMessage()


async def test_one_that_can_fork_nothing_again_and_again_is_replaced(
    world: ForkWorld, backend: ForkBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = backend._launcher.pid or 0

    async def fails(_order: object) -> int:
        backend._launcher._note(0, 0, 0, f"{FORK_FAILED}[Errno 11] Resource temporarily unavailable")
        return 0

    submission = world.submission("exit 0")
    with monkeypatch.context() as patch:
        patch.setattr(backend._launcher, "_launch", fails)
        answers = [await backend.submit([submission]) for _ in range(launcher._MOST_FAILURES)]
    job = await submitted_at_last(backend, submission)

    assert [{}] * launcher._MOST_FAILURES == answers
    assert 0 == (await end_of(backend, job)).exit_code
    assert backend._launcher.pid not in {old, None}
    await happens(lambda: has_ended(old))


async def test_pauses_grow_between_forkservers_that_start_nothing(world: ForkWorld, backend: ForkBackend) -> None:
    """Nothing can be started, because there is no run directory."""
    starter = backend._launcher
    order = backend._order(world.submission())
    world.submissions.clear()
    pauses = []
    for _ in range(3):
        starter._note(REPLACE, 0, 0, "its limits were lowered")
        starter._not_before = 0
        assert {} == await starter.launch([order])
        pauses.append(starter._pause_s)

    assert [4, 8, 16] == pauses


async def test_orders_that_do_not_fit_into_its_socket_do_not_wait_for_one_that_is_replaced(
    world: ForkWorld, backend: ForkBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "_ANSWER_S", 3600)
    orders = [backend._order(world.submission()) for _ in range(600)]
    world.submissions.clear()
    pid = backend._launcher.pid or 0
    os.kill(pid, signal.SIGSTOP)

    launching = asyncio.create_task(backend._launcher.launch(orders))
    await happens(lambda: backend._launcher._number >= len(orders))
    backend._launcher._note(REPLACE, 0, 0, "its limits were lowered")

    assert {} == await launching
    os.kill(pid, signal.SIGCONT)
    await happens(lambda: has_ended(pid))
