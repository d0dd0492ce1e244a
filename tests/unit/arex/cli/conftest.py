"""A user at a shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import shell
from tests.shell import User


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> User:
    return shell.someone(tmp_path, monkeypatch, capfdbinary)
