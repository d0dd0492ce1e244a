"""A control directory of the test's own, without a daemon, and a plugin on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from arex.config.model import ArexBlock, Configuration, QueueBlock
from arex.config.service import ServiceBlock
from arex.config.values import SessionDir
from plugins.local import LocalPlugin
from tests.fakes.clock import FakeClock

SUBJECT = "/DC=org/DC=nordugrid/DC=ARC/O=TestCA/CN=Test User"


@pytest.fixture
def config(tmp_path: Path) -> Configuration:
    return Configuration(
        arex=ArexBlock(controldir=tmp_path / "ctl", sessiondir=(SessionDir(path=tmp_path / "session"),)),
        queues=(QueueBlock(name="q1"), QueueBlock(name="q2")),
        service=replace(ServiceBlock(), fsync=False),
    )


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def plugin(config: Configuration, clock: FakeClock) -> LocalPlugin:
    def refuse_to_wait(seconds: float) -> None:
        raise AssertionError(f"nothing here should wait, {seconds} s were asked for")

    return LocalPlugin(config, subject=SUBJECT, clock=clock, pause=refuse_to_wait)
