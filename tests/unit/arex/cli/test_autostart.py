"""Where neither systemd nor cron starts services; tests/integration has both."""

from __future__ import annotations

import sys

import pytest

from tests.shell import User


def test_without_systemd_and_cron_there_is_a_line_to_copy(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(user.home))

    said = user.run("arex", "install-service")

    assert 1 == said.code
    assert f"Add this line to ~/.profile: {sys.executable} -I " in said.err
    assert said.err.endswith(f"__main__.py start --config {user.home}/arc.conf >/dev/null\n")
