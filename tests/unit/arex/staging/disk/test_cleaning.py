"""Cleaning: the least used first, to the right level, never what a job is linked to."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import pytest

from arex.config.model import Configuration
from arex.config.service import ServiceBlock
from arex.config.staging import CacheBlock, CacheCleanerBlock
from arex.config.values import CacheDir, CacheSize, SpaceMethod
from arex.controldir import hostlock
from arex.model.ids import JobId
from arex.staging.disk.cache import cached_files
from arex.staging.disk.cleaning import Cleaned, Cleaner
from tests.fakes.clock import FakeClock, SkippingClock

SIZE = 4096


@pytest.fixture
def clock() -> FakeClock:
    return SkippingClock()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "cache"
    (path / "data").mkdir(parents=True)
    return path


def put(root: Path, clock: FakeClock, name: str, age: timedelta) -> Path:
    path = root / "data" / name[:2] / name[2:]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x" * SIZE)
    path.with_name(path.name + ".meta").write_text(f"http://host/{name}\n")
    stamp = (clock.now() - age).timestamp()
    os.utime(path, (stamp, stamp))
    return path


def cleaner(
    root: Path,
    clock: FakeClock,
    about: CacheCleanerBlock = CacheCleanerBlock(),  # noqa: B008
    *,
    live: tuple[str, ...] = (),
    rate: int = 0,
) -> Cleaner:
    config = Configuration(
        cache=CacheBlock(cachedir=(CacheDir(path=root),)),
        cleaner=about,
        service=ServiceBlock(clean_rate=rate),
    )
    return Cleaner(config, clock, is_live=lambda job: job in live)


def clean(cleaner: Cleaner, *, dry_run: bool = False, everything: bool = False) -> Cleaned:
    return asyncio.run(cleaner.clean(dry_run=dry_run, everything=everything))


def names(root: Path) -> list[str]:
    return [file.path.parent.name + file.path.name for file in cached_files(root)]


def levels(root: Path, high: float, low: float) -> CacheCleanerBlock:
    """Fill levels in files of this test."""
    disk = os.statvfs(root)
    share = 100 * SIZE / (disk.f_blocks * disk.f_frsize)
    return CacheCleanerBlock(
        calculatesize=SpaceMethod.CACHEDIR, cachesize=CacheSize(high=high * share, low=low * share)
    )


def test_below_the_level_nothing_goes(root: Path, clock: FakeClock) -> None:
    put(root, clock, "aa1", timedelta(days=300))

    assert [] == clean(cleaner(root, clock, levels(root, 1.5, 0.5))).files
    assert ["aa1"] == names(root)


def test_above_the_level_the_least_used_go_until_the_lower_level(root: Path, clock: FakeClock) -> None:
    for days in (1, 2, 3, 4):
        put(root, clock, f"aa{days}", timedelta(days=days))

    cleaned = clean(cleaner(root, clock, levels(root, 3.5, 2.5)))

    assert [SIZE, SIZE] == [file.size for file in cleaned.files]
    assert ["aa1", "aa2"] == names(root)
    assert 4 == len(list((root / "data/aa").iterdir()))


def test_what_a_live_job_is_linked_to_stays(root: Path, clock: FakeClock) -> None:
    used = put(root, clock, "aa1", timedelta(days=9))
    put(root, clock, "aa2", timedelta(days=1))
    (root / "joblinks/live").mkdir(parents=True)
    os.link(used, root / "joblinks/live/x")

    clean(cleaner(root, clock, levels(root, 0.5, 0.1), live=("live",)))

    assert ["aa1"] == names(root)


def test_links_of_jobs_that_are_over_go_and_then_their_files(root: Path, clock: FakeClock) -> None:
    used = put(root, clock, "aa1", timedelta(days=9))
    (root / "joblinks/gone").mkdir(parents=True)
    os.link(used, root / "joblinks/gone/x")

    cleaned = clean(cleaner(root, clock), everything=True)

    assert [JobId("gone")] == cleaned.joblinks
    assert [] == names(root)
    assert [] == list((root / "joblinks").iterdir())


def test_files_past_their_lifetime_go_at_any_level(root: Path, clock: FakeClock) -> None:
    put(root, clock, "aa1", timedelta(days=31))
    put(root, clock, "aa2", timedelta(days=29))

    clean(cleaner(root, clock, CacheCleanerBlock(cachelifetime=timedelta(days=30))))

    assert ["aa2"] == names(root)


def test_a_dry_run_tells_and_removes_nothing(root: Path, clock: FakeClock) -> None:
    put(root, clock, "aa1", timedelta(days=31))
    (root / "joblinks/gone").mkdir(parents=True)

    cleaned = clean(cleaner(root, clock), dry_run=True, everything=True)

    assert (1, 1, SIZE) == (len(cleaned.files), len(cleaned.joblinks), cleaned.size)
    assert ["aa1"] == names(root)
    assert (root / "joblinks/gone").is_dir()


def test_a_file_whose_url_is_held_stays(root: Path, clock: FakeClock) -> None:
    path = put(root, clock, "aa1", timedelta(days=31))
    assert hostlock.LockResult.FREE is hostlock.take(f"{path}.lock", 900)

    assert [] == clean(cleaner(root, clock), everything=True).files
    assert ["aa1"] == names(root)


def test_a_file_that_a_dead_process_was_writing_does_not_become_valid_by_cleaning(root: Path, clock: FakeClock) -> None:
    """Cleaning takes and releases its lock, which is the only sign that it is incomplete."""
    path = put(root, clock, "aa1", timedelta(days=31))
    os.utime(path)
    Path(f"{path}.lock").write_text(f"1@elsewhere {clock.now()}")
    os.utime(f"{path}.lock", (0, 0))
    clean(cleaner(root, clock), everything=True)

    assert [] == names(root)


def test_the_rate_is_kept(root: Path, clock: FakeClock) -> None:
    for number in range(100):
        put(root, clock, f"aa{number:02}", timedelta(days=1))
    before = clock.now()

    clean(cleaner(root, clock, rate=10), everything=True)

    assert timedelta(seconds=10) == clock.now() - before


def test_a_round_ends_in_time(root: Path, clock: FakeClock) -> None:
    for number in range(200):
        put(root, clock, f"aa{number:03}", timedelta(days=1))

    cleaned = clean(
        cleaner(root, clock, CacheCleanerBlock(cachecleantimeout=timedelta(seconds=60)), rate=1), everything=True
    )

    assert not cleaned.in_time
    assert 100 == len(cleaned.files)


def test_parts_of_yesterday_go_and_those_of_today_stay(root: Path, clock: FakeClock) -> None:
    """And what says of which source they are."""
    for name, age in (("aa1", 25), ("aa2", 23)):
        for suffix in (".part", ".begun"):
            put(root, clock, name, timedelta(hours=age)).rename(root / f"data/aa/{name[2:]}{suffix}")

    cleaned = clean(cleaner(root, clock))

    assert [root / "data/aa/1.part", root / "data/aa/1.begun"] == cleaned.parts
    assert {"2.part", "2.begun"} == {path.name for path in (root / "data/aa").iterdir() if path.suffix != ".meta"}


def test_how_full_it_is(root: Path, clock: FakeClock) -> None:
    put(root, clock, "aa1", timedelta(days=1))

    fill = cleaner(root, clock, CacheCleanerBlock(calculatesize=SpaceMethod.CACHEDIR)).fill(root)

    assert (1, SIZE, 0, SIZE) == (fill.files, fill.size, fill.linked, fill.used)
    assert 0 < fill.percent < 1
    assert fill.used < cleaner(root, clock).fill(root).used
