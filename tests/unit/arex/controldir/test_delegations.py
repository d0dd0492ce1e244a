from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from arex.controldir.delegations import store_directory, user_name


def test_the_user_name_is_that_of_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "LOGNAME", "USERNAME"):
        monkeypatch.setenv(name, "mallory")

    assert pwd.getpwuid(os.geteuid()).pw_name == user_name()


def test_an_account_without_a_name_is_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000_001)

    assert "4000000001" == user_name()


@pytest.mark.parametrize(("uid", "name"), [(0, "delegations"), (4_000_000_001, "delegations.4000000001")])
def test_each_account_has_its_store(monkeypatch: pytest.MonkeyPatch, uid: int, name: str) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)

    assert Path("/ctl", name) == store_directory(Path("/ctl"))
