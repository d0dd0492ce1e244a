"""Trouble of the whole machine is no answer, and no end of the service."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from arex.errors import BatchUnavailable
from arex.model.ids import LocalId
from arex.ports import NotSubmitted
from lrms.fork import supervisor
from lrms.fork.backend import ForkBackend
from lrms.fork.launcher import Launcher
from lrms.fork.order import Order
from lrms.processes import is_alive
from tests.contract.worlds import ForkWorld, end_of, local_job, submitted


class NoThreads(ThreadPoolExecutor):
    def submit(self, *_args: object, **_more: object) -> Future[Any]:
        raise RuntimeError("can't start new thread")


@contextmanager
def no_descriptors() -> Iterator[None]:
    """No file can be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    fd = os.open("/dev/null", os.O_RDONLY)
    os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (fd, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_without_a_thread_there_is_no_answer(tmp_path: Path) -> None:
    world = ForkWorld(tmp_path)
    backend = world.backend()
    await backend.start()
    submission = world.submission()
    job = local_job(submission, LocalId("1"))
    asyncio.get_running_loop().set_default_executor(NoThreads())

    for step in (
        backend.submit([submission]),
        backend.find([submission]),
        backend.status([job]),
        backend.cancel([job]),
        world.backend().start(),
    ):
        with pytest.raises(BatchUnavailable, match="new thread"):
            await step
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
    await backend.close()


async def test_without_a_descriptor_there_is_no_answer(tmp_path: Path) -> None:
    world = ForkWorld(tmp_path)
    backend = world.backend()
    await backend.start()
    job = await submitted(backend, world.submission("exit 3"))
    await end_of(backend, job)

    with no_descriptors():
        with pytest.raises(BatchUnavailable, match="Too many open files"):
            await backend.status([job])
        with pytest.raises(BatchUnavailable, match="Too many open files"):
            await backend.find(world.submissions)
        with pytest.raises(BatchUnavailable, match="Too many open files"):
            await backend.cancel([job])
        with pytest.raises(BatchUnavailable, match="Too many open files"):
            await Launcher({}, lambda *_: None, lambda _: None).start()

    assert 3 == (await end_of(backend, job)).exit_code
    await backend.close()


async def test_on_a_read_only_file_system_a_job_is_not_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is submitted again later."""
    world = ForkWorld(tmp_path)
    backend = world.backend()
    await backend.start()
    submission = world.submission("exit 3")
    info = [*os.statvfs(tmp_path)]
    read_only = os.statvfs_result((*info[:8], info[8] | os.ST_RDONLY, info[9]))
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)
        patch.setattr(os, "statvfs", lambda _: read_only)
        answers = await backend.submit([submission])

    assert isinstance(answers[submission.tag], NotSubmitted)
    assert 3 == (await end_of(backend, await submitted(backend, submission))).exit_code
    await backend.close()


async def test_an_order_that_cannot_be_sent_does_not_keep_others_from_starting(tmp_path: Path) -> None:
    world = ForkWorld(tmp_path)
    backend: ForkBackend = world.backend()
    await backend.start()
    good, bad = world.submission("exit 3"), world.submission("exit 3")
    job = await submitted(backend, good)
    await end_of(backend, job)
    again = world.submission("exit 3")
    again.rundir.mkdir(parents=True)
    (again.rundir / "script").write_text("exit 0\n")

    pids = await backend._launcher.launch(
        [backend._order(bad)._replace(wall_s=object()), backend._order(again)]  # type: ignore[arg-type]
    )

    assert {again.tag} == set(pids)
    await world.clean_up()
    await backend.close()


async def test_a_forkserver_without_descriptors_reports_the_ends_later(tmp_path: Path) -> None:
    world = ForkWorld(tmp_path)
    backend: ForkBackend = world.backend()
    await backend.start()
    server = backend._launcher.pid
    assert server is not None
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    job = await submitted(backend, world.submission(script=f"read x <{gate}; exit 3"))
    limits = resource.prlimit(server, resource.RLIMIT_NOFILE)

    resource.prlimit(server, resource.RLIMIT_NOFILE, (3, limits[1]))
    gate.write_text("go\n")
    while is_alive(int(job.localid)):
        await asyncio.sleep(0.01)
    assert is_alive(server)
    resource.prlimit(server, resource.RLIMIT_NOFILE, limits)

    assert 3 == (await end_of(backend, job)).exit_code
    again = await submitted(backend, world.submission(script="exit 4"))
    assert 4 == (await end_of(backend, again)).exit_code
    assert server == backend._launcher.pid
    await backend.close()


def test_a_supervisor_that_cannot_remove_a_temporary_file_has_its_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rundir = tmp_path / "job.lrms" / "tag"
    rundir.mkdir(parents=True)

    def fails(path: str) -> None:
        raise OSError(errno.EIO, "Input/output error", path)

    monkeypatch.setattr(os, "unlink", fails)
    order = Order(0, "tag", str(rundir), "session", "diag", "comment", "node", 0, 1.0, None, None, None)

    assert os.getpid() == supervisor._claim(order, "boot")
    assert os.getpid() == supervisor.parse_identity((rundir / "pid").read_text()).pid


def test_a_supervisor_without_descriptors_goes_on(tmp_path: Path) -> None:
    order = Order(
        0, "tag", str(tmp_path / "job.lrms" / "tag"), "session", "diag", "comment", "node", 0, 1.0, None, 1.0, 1
    )
    job = supervisor._SupervisedJob(order)

    with no_descriptors():
        supervisor._signal_all(signal.SIGCONT)
        assert "" == job._exceeded()
