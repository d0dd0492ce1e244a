"""Our service on a Grid Engine that is already running: ``sh tools/clusters/sge.sh up``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.clusters.thirty import Service, System, could_not_start, serving, thirty

#: Its jobs belong to root, who alone may enter the network that it has to itself.
SGE: Final = System(
    name="Grid Engine",
    script="sge.sh",
    user="root",
    conf="lrms=sge all.q\nsge_bin_path={bin}\n",
    queue="all.q",
    programs=("qsub", "qstat", "qacct", "qdel", "qhold", "qrls"),
    jobs=("qstat", "-u", "root"),
    list_is_empty="",
    cancel="qdel",
)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with serving(SGE) as service:
        yield service


@pytest.mark.timeout(1200)
def test_thirty_jobs_end_as_they_should_and_none_runs_twice(service: Service) -> None:
    thirty(service)


def test_a_job_that_could_not_start_does_not_stay_in_the_queue(service: Service) -> None:
    """Grid Engine would keep it in the state Eqw."""
    end = could_not_start(service)

    assert "can't open output file" in end.failed
