from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from blockbuster import BlockBuster, blockbuster_ctx

from arex.ports import Backend
from tests.contract.table import WORLDS, chosen
from tests.contract.worlds import World, cleaned_up, started


@pytest.fixture(autouse=True)
def detector() -> Iterator[BlockBuster]:
    """A blocking call of ours on the event loop fails the test."""
    with blockbuster_ctx(["arex", "lrms"]) as detector:
        yield detector


@pytest.fixture(params=chosen())
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with cleaned_up(WORLDS[request.param](tmp_path)) as world:
        yield world


@pytest.fixture
async def backend(world: World) -> AsyncIterator[Backend]:
    """Of the world of the module, if it has its own."""
    async with started(world.backend()) as backend:
        yield backend
