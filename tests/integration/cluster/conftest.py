"""A fake cluster under trial, and how each of its batch systems says the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cluster.trial import SPEECHES, Trial


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    trials: list[Trial] = []

    def one(name: str, **settings: str) -> Trial:
        root = tmp_path / str(len(trials))
        root.mkdir()
        trials.append(Trial(root, SPEECHES[name], **settings))
        return trials[-1]

    yield one
    for trial in trials:
        trial.programs.stop()


@pytest.fixture(params=sorted(SPEECHES))
def trial(request: pytest.FixtureRequest, make: Any) -> Trial:
    trial: Trial = make(request.param)
    return trial
