"""A cache that a real A-REX uses too, or has used before it was killed."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from arex.config.values import CacheDir
from arex.staging.disk.cache import Cache
from tests.fakes.clock import FakeClock
from tests.processes import NO_PROCESS
from tests.unit.arex.staging.disk.test_cache import MODIFIED, URL, filled, holding


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cache(tmp_path: Path, clock: FakeClock) -> Cache:
    return Cache([CacheDir(path=tmp_path / "cache")], clock)


def test_a_file_that_a_real_a_rex_cached_is_used(cache: Cache) -> None:
    with holding(cache) as cached:
        cached.path.write_text("theirs")
        Path(f"{cached.path}.meta").write_text(f"{URL}\n/CN=a {MODIFIED + timedelta(days=2):%Y%m%d%H%M%SZ}\n")

        record = cached.record()
        assert record is not None
        assert 6 == record.size
        assert cached.allowed("/CN=a")


def test_a_file_that_a_dead_a_rex_was_writing_is_removed(cache: Cache, caplog: pytest.LogCaptureFixture) -> None:
    """A-REX writes in place, with the full size from the beginning, and leaves its lock when it is killed."""
    with holding(cache) as cached:
        path = cached.path
    path.write_bytes(b"\0" * 200_000)
    Path(f"{path}.meta").write_text(f"{URL}\n")
    Path(f"{path}.lock").write_text(f"{NO_PROCESS}@{os.uname().nodename}")

    with holding(cache) as cached:
        assert cached.record() is None
        assert not path.exists()
    assert "its download by another process was interrupted" in caplog.text


def test_a_file_of_arex_survives_the_death_of_a_later_holder(cache: Cache, clock: FakeClock) -> None:
    with filled(cache, clock) as cached:
        path = cached.path
    Path(f"{path}.lock").write_text(f"{NO_PROCESS}@{os.uname().nodename}")
    with holding(cache) as cached:
        assert cached.record() is not None
