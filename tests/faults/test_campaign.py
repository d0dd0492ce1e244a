"""
Everything goes wrong at random for a while, and each call of the service fails once; see tests/faults/campaign.

AREX_CAMPAIGN_S is how long the random campaign takes, AREX_CAMPAIGN_SEED repeats one, and AREX_SWEEP_CALLS limits the
sweep.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.campaign.start import SECONDS, campaign


@pytest.mark.timeout(SECONDS + 900)
def test_nothing_is_lost_and_nothing_runs_twice_in_a_random_campaign(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As root also while file systems are full or read-only; that is not possible for ordinary users."""
    mounts = ("mounts",) if os.geteuid() == 0 else ()
    with capfd.disabled():
        assert campaign("random", "fork", str(tmp_path / "it"), *mounts) == 0


@pytest.mark.timeout(1800)
def test_each_call_of_the_service_may_fail_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Each job ends right or fails clearly, runs at most once, and others go through."""
    with capfd.disabled():
        assert campaign("sweep", "fork", str(tmp_path / "it")) == 0
