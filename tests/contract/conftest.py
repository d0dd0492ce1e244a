from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from blockbuster import BlockBuster, blockbuster_ctx

from arex.ports import Backend
from tests.contract.table import WORLDS, chosen
from tests.contract.worlds import World


@pytest.fixture(autouse=True)
def detector() -> Iterator[BlockBuster]:
    """A blocking call of ours on the event loop fails the test."""
    with blockbuster_ctx(["arex", "lrms"]) as detector:
        yield detector


@pytest.fixture(params=chosen())
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    world = WORLDS[request.param](tmp_path)
    yield world
    await world.clean_up()


@pytest.fixture
async def backend(world: World) -> AsyncIterator[Backend]:
    backend = world.backend()
    await backend.start()
    yield backend
    await backend.close()
