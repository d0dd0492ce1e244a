"""The grid manager as a whole, in this process."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def detector() -> None:
    """These tests look into control files themselves, on the loop, through our own functions: that blocks."""
