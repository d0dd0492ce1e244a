"""Our service on an HTCondor pool that is already running: ``sh tools/clusters/condor.sh up``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.clusters.site import ACCOUNT
from tests.clusters.thirty import Service, System, could_not_start, serving, thirty

#: It runs no jobs of root.
CONDOR: Final = System(
    name="HTCondor",
    script="condor.sh",
    user=ACCOUNT,
    conf="lrms=condor\ncondor_bin_path={bin}\n",
    queue="pool",
    programs=("condor_submit", "condor_q", "condor_history", "condor_rm", "condor_hold", "condor_release"),
    jobs=("condor_q", "-allusers", "-constraint", "JobStatus != 3 && JobStatus != 4", "-af", "ClusterId"),
    list_is_empty="",
    cancel="condor_rm",
    shared=True,
)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with serving(CONDOR) as service:
        yield service


@pytest.mark.timeout(1200)
def test_thirty_jobs_end_as_they_should_and_none_runs_twice(service: Service) -> None:
    thirty(service)


def test_a_job_that_could_not_start_does_not_stay_in_the_queue(service: Service) -> None:
    """HTCondor would hold it."""
    end = could_not_start(service)

    assert "as standard output: No such file" in end.failed
