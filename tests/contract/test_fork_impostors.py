"""Processes that take the name of a supervisor do not keep its job from its end."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from arex.model.ids import LocalId
from arex.model.report import Phase
from lrms.fork.backend import ForkBackend
from lrms.fork.label import label
from tests.contract.test_fork_payloads import HERE, WAIT, D, come_to_here, let_go
from tests.contract.worlds import ForkWorld, cleaned_up, end_of, happens, started, submitted


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ForkWorld]:
    async with cleaned_up(ForkWorld(tmp_path)) as world:
        yield world


#: A process that takes the name in its first argument.
IMPOSTOR = (
    "import ctypes, sys, time; ctypes.CDLL(None).prctl(15, sys.argv[1].encode(), 0, 0, 0)\n"
    "print('ready', flush=True); time.sleep(600)"
)


@contextlib.contextmanager
def impostor(tag: str) -> Iterator[subprocess.Popen[bytes]]:
    """What a job leaves that kills its supervisor and the forkserver: a process that no one has as its job."""
    with subprocess.Popen([sys.executable, "-c", IMPOSTOR, label(tag)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert b"ready\n" == process.stdout.readline()
            yield process
        finally:
            process.kill()


async def test_a_process_with_the_name_of_its_supervisor_does_not_keep_a_job_from_its_end(
    world: ForkWorld, backend: ForkBackend
) -> None:
    """A new daemon has not seen the end of the supervisor."""
    submission = world.submission("exit 3")
    job = await submitted(backend, submission)
    await end_of(backend, job)

    async with started(world.backend()) as new:
        with impostor(submission.tag) as process:
            report = (await new.status([job]))[job.localid]
            other = (await new.status([replace(job, localid=LocalId("junk"))]))[LocalId("junk")]
            (submission.rundir / "pid").unlink()
            unknown = (await new.status([job]))[job.localid]

            assert process.poll() is None

    assert (Phase.ENDED, 3) == (report.phase, report.exit_code)
    assert [Phase.RUNNING] * 2 == [other.phase, unknown.phase]


@pytest.mark.parametrize("how", ["", f'{D}; rm "$d/pid"; '])
async def test_a_process_of_a_running_job_does_not_keep_another_one_from_its_end(
    world: ForkWorld, backend: ForkBackend, how: str
) -> None:
    submission = world.submission("wait", f"{how}{HERE}; {WAIT}; exit 3")
    job, _ = await come_to_here(backend, submission)
    (submission.grami.directory / "impostor.py").write_text(IMPOSTOR)
    script = f"{sys.executable} ../{submission.job}/impostor.py {label(submission.tag)} >here; exit 0"
    attack = world.submission("wait", script)
    attacker = await submitted(backend, attack)
    await happens(lambda: "ready" in text_of(attack.grami.directory / "here"))

    async with started(world.backend()) as new:
        let_go(submission)
        report = await end_of(new, job)
        during = (await new.status([attacker]))[attacker.localid]

    assert 3 == report.exit_code
    assert Phase.RUNNING is during.phase


def text_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""
