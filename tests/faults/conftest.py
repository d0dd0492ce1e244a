"""
What strangers, users and payloads can put into the way of the service, against a real daemon.

After each case the daemon has logged no internal error, another job finishes, and a directory that belongs to
no job is what it was, to the nanosecond.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.service import Service, serving


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("bad")) as service:
        yield service


@pytest.fixture
def site(daemon: Service) -> Iterator[Service]:
    yield daemon
    daemon.unharmed()
