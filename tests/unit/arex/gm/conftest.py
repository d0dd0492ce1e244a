from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.arex.gm.service import GridService, grid_service


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[GridService]:
    async with grid_service(tmp_path) as service:
        yield service
