"""The daemon is killed again and again while files move: all arrive whole, none twice, no part is left behind."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import pytest

from arex.controldir.layout import Place
from arex.model.ids import JobId
from tests.faults.service import Service, wait_for
from tests.faults.web import SlowWeb, slow_web
from tests.trees import everything_below

JOBS = int(os.environ.get("AREX_STAGING_JOBS", "50"))
KILLS = int(os.environ.get("AREX_FAULT_KILLS", "20"))
INPUTS = ("a", "b", "c")
#: Mean sizes of the inputs in bytes; with ten transfers at a time they alone take longer than the kills.
SIZES = (30_000, 200_000, 1_000_000)
PAUSE_S = 0.02


def description(web: SlowWeb, number: int) -> str:
    inputs = "".join(f'("{name}" "{web.url(f"in/{number}/{name}")}")' for name in INPUTS)
    outputs = "".join(f'("{name}" "{web.url(f"out/{number}/{name}")}")' for name in ("abc", "cba"))
    return (
        '&(executable="/bin/sh")(arguments="-c" "cat a b c >abc; cat c b a >cba")'
        f"(inputfiles={inputs})(outputfiles={outputs})"
    )


def whole(site: Service, jobs: dict[int, JobId]) -> set[str]:
    """Inputs that have their final name, by path on the server. No one writes: the daemon is dead."""
    return {
        f"in/{number}/{name}"
        for number, job in jobs.items()
        for name in INPUTS
        if (site.sessions / job / name).exists()
    }


def some_part(site: Service) -> bool:
    """A file has come in part, so that the next daemon resumes it if this one is killed now."""
    for path in everything_below(site.sessions):
        with contextlib.suppress(FileNotFoundError):
            if path.suffix == ".part" and path.stat().st_size:
                return True
    return False


def fetching(site: Service, jobs: dict[int, JobId]) -> bool:
    return any(site.state(job) in {"ACCEPTED", "PREPARING"} for job in jobs.values())


@pytest.mark.timeout(1500)
def test_fifty_jobs_get_and_send_their_files_through_twenty_kills(tmp_path: Path) -> None:
    chance = random.Random(20261120)
    with slow_web(PAUSE_S) as web:
        for number in range(JOBS):
            for name, size in zip(INPUTS, SIZES, strict=True):
                web.files[f"in/{number}/{name}"] = chance.randbytes(chance.randrange(size // 2, 3 * size // 2))
        site = Service(tmp_path)
        site.start()
        jobs = {number: site.submit(description(web, number)) for number in range(JOBS)}
        had: set[str] = set()
        seen = 0
        kills = 0
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.4, 1.5))
            wait_for(lambda: some_part(site) or not fetching(site, jobs), 240, site.said)
            assert site.process is not None
            site.process.send_signal(signal.SIGKILL)
            site.process.wait(90)
            kills += 1
            again = {path for path, _ in web.gets[seen:]} & had
            assert set() == again, "fetched although it was whole"
            seen = len(web.gets)
            had |= whole(site, jobs)
            site.start()
        finished = tmp_path / "ctl" / Place.FINISHED
        wait_for(
            lambda: len(list(finished.iterdir())) == JOBS, 480, lambda: [site.tell(job) for job in jobs.values()][:2]
        )
        assert set() == {path for path, _ in web.gets[seen:]} & had
        assert 0 == site.stop()

        assert KILLS == kills
        for number, job in jobs.items():
            assert "" == site.store.failure(job)
            a, b, c = (web.files[f"in/{number}/{name}"] for name in INPUTS)
            assert (a + b + c, c + b + a) == tuple(web.given[f"out/{number}/{name}"] for name in ("abc", "cba"))
        assert [] == [
            path for path in everything_below(site.sessions) if "part" in path.name or path.name.endswith(".staging")
        ]
        assert any(start for _, start in web.gets), "no part was resumed"
        print(f"{kills} kills, {len(web.gets)} GETs of {len(web.files)} files, {len(web.puts)} PUTs of {2 * JOBS}")
