"""A real Grid Engine with a JSV of the site, with strange names in its queue, and without its qmaster."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest

from arex.errors import BatchUnavailable, SubmitRejected
from arex.model.report import Phase
from arex.ports import NotSubmitted
from lrms.command.backend import CommandBackend
from lrms.command.settings import CommandSettings
from lrms.sge.dialect import SgeDialect, SgeOptions
from tests.contract.clusters_worlds import SgeWorld
from tests.contract.worlds import cleaned_up, end_of, reaches, submitted

#: Refuses jobs with the name "unwanted". Source: jsv_script_interface(3) of Grid Engine 8.1.9.
JSV: Final = """#!/bin/sh
unwanted=
while read -r line; do
    case $line in
        START*) unwanted= && echo STARTED ;;
        "PARAM N unwanted"*) unwanted=yes ;;
        BEGIN*)
            if [ "$unwanted" ]; then
                echo "RESULT STATE REJECT Say how long your job runs, please."
            else
                echo "RESULT STATE ACCEPT"
            fi
            ;;
        QUIT*) exit 0 ;;
    esac
done
"""


def configure(tmp_path: Path, **values: str) -> dict[str, str]:
    """Change values of the cluster; returns those of before."""
    text = subprocess.run(["qconf", "-sconf"], capture_output=True, text=True, check=True).stdout
    text = re.sub(r"\\\n\s*", "", text).partition("\n")[2]
    before = {name: re.search(rf"^{name}\s+(.*)$", text, re.MULTILINE) for name in values}
    for name, value in values.items():
        text = re.sub(rf"^{name}\s.*$", f"{name} {value}".replace("\\", r"\\"), text, flags=re.MULTILINE)
    path = tmp_path / "global"
    path.write_text(text)
    subprocess.run(["qconf", "-Mconf", str(path)], check=True, capture_output=True)
    return {name: found[1] for name, found in before.items() if found}


@pytest.fixture
def jsv(tmp_path: Path) -> Iterator[None]:
    script = tmp_path / "jsv"
    script.write_text(JSV)
    script.chmod(0o755)
    tmp_path.chmod(0o755)
    before = configure(tmp_path, jsv_url=f"script:{script}")
    yield
    configure(tmp_path, **before)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[SgeWorld]:
    async with cleaned_up(SgeWorld(tmp_path)) as world:
        yield world


@pytest.mark.usefixtures("jsv")
async def test_a_refusal_of_a_jsv_fails_its_job_only(world: SgeWorld, backend: CommandBackend) -> None:
    # with a limit: jobs of one shape would be an array, with the beginning of their names as its name
    unwanted, other = world.submission(jobname="unwanted", walltime_s=900), world.submission(jobname="other")

    answers = [await backend.submit([unwanted, other]), *[await backend.submit([unwanted]) for _ in range(2)]]
    last = next(each for each in (answer[unwanted.tag] for answer in answers) if not isinstance(each, NotSubmitted))

    assert isinstance(answers[0][other.tag], str)
    assert isinstance(last, SubmitRejected)
    assert "Say how long your job runs, please." in str(last)


async def test_a_qmaster_that_is_away_is_no_refusal(world: SgeWorld, tmp_path: Path) -> None:
    """The programs get a port on which no one listens."""
    away = tmp_path / "away"
    away.mkdir()
    for name in SgeWorld.commands:
        program = shutil.which(name)
        assert program is not None
        text = Path(program).read_text()
        assert "SGE_QMASTER_PORT=" in text
        (away / name).write_text(re.sub(r"SGE_QMASTER_PORT=\d+", "SGE_QMASTER_PORT=1", text))
        (away / name).chmod(0o755)
    settings = CommandSettings(roots=(tmp_path,), queries_per_minute=1000)
    backend = CommandBackend(SgeDialect(SgeOptions(bin=away)), settings)
    submission = world.submission()

    for _ in range(4):
        with pytest.raises(BatchUnavailable):
            await backend.submit([submission])
    with pytest.raises(BatchUnavailable):
        await backend.find([submission])


async def test_names_of_other_jobs_spoil_nothing(world: SgeWorld, backend: CommandBackend) -> None:
    for name in ("a<b", "a&b", "job_list>", "x" * 1000, "'\"`$x`"):
        words = ["qsub", "-b", "y", "-o", "/dev/null", "-j", "y", "-N", name, "/bin/sleep", "600"]
        subprocess.run(words, capture_output=True, check=False)
    job = await submitted(backend, submission := world.submission("wait"))

    await reaches(backend, job, Phase.RUNNING, world.patience_s)
    assert {submission.tag: job.localid} == await backend.find([submission])
    subprocess.run(["qdel", "-u", "root"], capture_output=True, check=True)
    await end_of(backend, job, world.patience_s)
