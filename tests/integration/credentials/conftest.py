"""One authority for all tests that do not change it, and a separate one for those that do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import shell
from tests.integration.credentials.authority import Authority
from tests.shell import User


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("authority"))
    made.build()
    return made


@pytest.fixture
def own_authority(tmp_path: Path) -> Authority:
    directory = tmp_path / "own"
    directory.mkdir()
    made = Authority(directory)
    made.build()
    return made


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> User:
    return shell.someone(tmp_path, monkeypatch, capfdbinary)
