"""The job script under the fork backend."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from arex.model.grami import RunTime
from arex.model.ids import LocalId
from arex.model.report import EndCause
from lrms.fork.backend import ForkBackend
from lrms.jobscript.settings import Scratch
from tests.contract.worlds import ForkWorld, cleaned_up, end_of, happens, local_job, submitted


class ScratchWorld(ForkWorld):
    """Fork, on a scratch directory."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        disk = root / "disk"
        disk.mkdir()
        self.settings = replace(
            self.settings,
            grace_s=60.0,  # the files are on their way back meanwhile
            script=replace(self.settings.script, scratch=Scratch(text=str(disk), movetool="mv")),
        )


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ScratchWorld]:
    async with cleaned_up(ScratchWorld(tmp_path)) as world:
        yield world


async def test_a_cancelled_job_brings_its_files_back(world: ScratchWorld, backend: ForkBackend, tmp_path: Path) -> None:
    submission = world.submission(script="echo half >half.new; mv half.new half; exec sleep 600")
    job = await submitted(backend, submission)
    await happens((tmp_path / "disk" / submission.job / "half").exists)

    await backend.cancel([job])
    report = await end_of(backend, job)

    assert report.cause is EndCause.CANCELLED
    assert (submission.grami.directory / "half").read_text() == "half\n"
    assert list((tmp_path / "disk").iterdir()) == []


async def test_the_owner_is_told_why_a_script_came_to_nothing(world: ScratchWorld, backend: ForkBackend) -> None:
    (world.root / "disk").rmdir()
    submission = world.submission()

    report = await end_of(backend, await submitted(backend, submission))

    assert report.cause is EndCause.NEVER_STARTED
    assert report.message.startswith("Job failed: never started (The scratch directory ")


async def test_stage_0_decides_before_the_job_is_handed_over(world: ScratchWorld, backend: ForkBackend) -> None:
    script = world.root / "control" / "rte" / "enabled" / "X"
    script.parent.mkdir(parents=True)
    script.write_text("case $1$2 in 0no) echo not today; exit 1 ;; 0) joboption_env_0=NEW=two ;; esac")
    good = world.submission(script="echo $NEW", runtimes=(RunTime(name="X"),))
    bad = world.submission(runtimes=(RunTime(name="X", options=("no",)),))

    answers = await backend.submit([good, bad])

    assert str(answers[bad.tag]) == "Runtime X stage 0 execution failed: exit code 1: not today"
    await end_of(backend, local_job(good, LocalId(str(answers[good.tag]))))
    assert (good.grami.directory / "out.txt").read_text() == "two\n"
