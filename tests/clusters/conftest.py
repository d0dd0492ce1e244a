"""A SLURM that is already running, a service of ours in front of it, and another SLURM for what disturbs others."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from arex.ports import Backend
from tests.clusters.site import ACCOUNT, Cluster, Site, install, serving
from tests.contract.worlds import World, started


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A batch system counts in minutes."""
    for item in items:
        if "clusters" in item.path.parts and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture
async def backend(world: World) -> AsyncIterator[Backend]:
    """Of the world of the module."""
    async with started(world.backend()) as backend:
        yield backend


@pytest.fixture(scope="session")
def slurm() -> Cluster:
    """Fails with a sentence while there is none."""
    cluster = Cluster.that_is_up()
    install()
    return cluster


@pytest.fixture(scope="session")
def site(slurm: Cluster) -> Iterator[Site]:
    """The service of an ordinary account."""
    with serving(slurm, ACCOUNT) as site:
        yield site


@pytest.fixture(scope="session")
def root_site(slurm: Cluster) -> Iterator[Site]:
    """The service of root."""
    with serving(slurm, "root") as site:
        yield site


@pytest.fixture(scope="session")
def forgetful() -> Iterator[Cluster]:
    """A separate SLURM that lets the kernel kill for memory and forgets ended jobs after two seconds."""
    place = Path(tempfile.mkdtemp(prefix="arex-clusters-", dir="/var/tmp"))
    place.chmod(0o755)
    settings = {
        "AREX_CLUSTERS": str(place),
        "SLURM_PORT": os.environ.get("AREX_SECOND_SLURM_PORT", "28717"),
        "SLURM_MEMORY": "cgroup",
        "SLURM_MIN_JOB_AGE": "2",
    }
    cluster = Cluster({**os.environ, **settings})
    try:
        cluster.tool("up")
        yield Cluster.that_is_up(settings)
    finally:
        cluster.tool("down", "--purge")
        shutil.rmtree(place)


@pytest.fixture(scope="session")
def forgetful_site(forgetful: Cluster) -> Iterator[Site]:
    install()
    with serving(forgetful, ACCOUNT) as site:
        yield site
