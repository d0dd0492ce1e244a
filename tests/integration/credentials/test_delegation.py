"""Credentials of very many jobs."""

from __future__ import annotations

import pytest

from plugins.local.submission import Submitted
from tests.delegations import rows, store_of
from tests.integration.credentials.authority import Authority
from tests.shell import User

REMOTE = '&(executable=/bin/true)(inputfiles=(a "http://ce.example.org/a"))'


def test_a_thousand_jobs_share_one_credential(
    user: User, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    (user.home / "proxy").write_bytes((authority.directory / "user.pem").read_bytes() + authority.key().read_bytes())
    monkeypatch.setenv("X509_USER_PROXY", str(user.home / "proxy"))
    plugin = user.plugin

    jobs = plugin.submit([REMOTE] * 1000)

    assert all(isinstance(job, Submitted) for job in jobs)
    assert (1, 1000) == (len(rows(plugin, "rec")), len(rows(plugin, "lock")))
    assert 2 == sum(path.is_file() for path in store_of(plugin).rglob("*"))
