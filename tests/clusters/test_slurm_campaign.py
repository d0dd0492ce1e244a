"""The campaigns of tests/faults/campaign over a real SLURM, whose programs and controller go wrong as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clusters.site import Cluster
from tests.faults.campaign.start import SECONDS, campaign


@pytest.mark.timeout(SECONDS + 900)
def test_nothing_is_lost_and_nothing_runs_twice_in_a_random_campaign(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Cluster.that_is_up()
    with capfd.disabled():
        assert campaign("random", "slurm", str(tmp_path / "it")) == 0


@pytest.mark.timeout(1800)
def test_each_call_of_the_service_may_fail_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Cluster.that_is_up()
    with capfd.disabled():
        assert campaign("sweep", "slurm", str(tmp_path / "it")) == 0
