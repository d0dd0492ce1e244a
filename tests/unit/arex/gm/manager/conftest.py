"""The grid manager as a whole, in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.arex.gm.service import GridService, grid_service


@pytest.fixture(autouse=True)
def detector() -> None:
    """These tests look into control files themselves, on the loop, through our own functions: that blocks."""


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[GridService]:
    async with grid_service(tmp_path) as service:
        yield service
