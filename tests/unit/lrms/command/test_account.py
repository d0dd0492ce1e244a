"""The name of the account of this process."""

from __future__ import annotations

import os
import pwd

import pytest

from lrms.command.account import account_name


def test_it_is_the_name_of_the_account_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "someone-else")
    monkeypatch.setenv("LOGNAME", "someone-else")

    assert pwd.getpwuid(os.geteuid()).pw_name == account_name()


def test_an_account_without_a_name_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000_001)

    assert "" == account_name()
