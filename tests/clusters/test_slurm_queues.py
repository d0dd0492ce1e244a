"""Two queues of a real SLURM with slurmdbd: the limit of one does not affect others."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from arex.model.ids import JobId
from tests.clusters.site import until
from tests.clusters.test_slurm_chaos import Ce

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def ce(tmp_path: Path) -> Iterator[Ce]:
    queues = subprocess.run(["sinfo", "-h", "-o", "%R"], capture_output=True, text=True, check=True).stdout.split()
    assert "limited" in queues, "start it with `sh tools/clusters/slurm.sh up --dbd`"
    ce = Ce(tmp_path, "account=grid\n", queues=("main", "limited"))
    ce.start()
    yield ce
    ce.end(signal.SIGTERM)


def inside(ce: Ce, jobs: list[JobId]) -> int:
    return sum((ce.root / "ctl" / f"job.{job}.grami").read_bytes().count(b"joboption_jobid=") for job in jobs)


def test_a_full_queue_waits_and_the_other_goes_on(ce: Ce) -> None:
    """Five jobs of an account may be in ``limited``; the sixth waits, is not failed, and runs when there is room."""
    gate = ce.root / "gate"
    blocked = [ce.submit(f"until [ -e {gate} ]; do sleep 0.2; done", '(queue="limited")') for _ in range(8)]
    until(lambda: "paused since" in ce.status(), 120, ce.said)
    assert inside(ce, blocked) == 5
    free = [ce.submit("exit 0", '(queue="main")') for _ in range(20)]
    ce.wait_until_finished(len(free), 180)

    assert [""] * len(free) == [ce.store.failure(job) for job in free]
    assert "QOSMaxSubmitJobPerUserLimit" in ce.status()
    gate.touch()
    ce.wait_until_finished(len(free) + len(blocked), 300)
    assert [] == ce.failures()
    until(lambda: "paused since" not in ce.status(), 60, ce.status)
