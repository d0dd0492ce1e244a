"""``arexctl cache`` and ``arexctl session``: what is there, what would go, what goes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.shell import User

URL = "http://host:80/data/numbers"


@pytest.fixture
def root(user: User) -> Path:
    """A cache with one file that a job uses and one that no one does."""
    root = user.home / "cache"
    for name, url in (("aa/1", URL), ("bb/2", "http://host:80/other")):
        path = root / "data" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x" * 2000)
        path.with_name(path.name + ".meta").write_text(f"{url}\n")
    conf = user.home / "arc.conf"
    conf.write_text(f"{conf.read_text()}\n[arex/cache]\ncachedir={root}\n")
    return root


@pytest.mark.usefixtures("root")
def test_what_is_cached_is_listed_by_url(user: User) -> None:
    listed = user.run("arexctl", "cache", "list", "numbers")

    assert 0 == listed.code
    assert URL in listed.out
    assert "other" not in listed.out
    [file] = json.loads(user.run("arexctl", "cache", "list", "numbers", "--json").out)["files"]
    assert (URL, 2000, False) == (file["url"], file["size"], file["linked"])


def test_how_full_it_is(user: User, root: Path) -> None:
    [fill] = json.loads(user.run("arexctl", "cache", "stats", "--json").out)["caches"]

    assert (str(root), 2, 4000, 0) == (fill["root"], fill["files"], fill["size"], fill["linked"])
    assert f"{root}: 2 files, 4 kB, 0 used by jobs; full: " in user.run("arexctl", "cache", "stats").out


def test_what_a_job_uses_stays_and_a_dry_run_removes_nothing(user: User, root: Path) -> None:
    job = user.submit()
    (root / "joblinks" / job).mkdir(parents=True)
    os.link(root / "data/aa/1", root / "joblinks" / job / "in")

    dry = user.run("arexctl", "cache", "clean", "--all", "--dry-run")
    assert "1 files (2 kB) would be removed" in dry.out
    assert (root / "data/bb/2").exists()

    done = json.loads(user.run("arexctl", "cache", "clean", "--all", "--json").out)
    assert (2000, True) == (done["size"], done["in_time"])
    assert ["1"] == [path.name for path in (root / "data").glob("*/?")]


def test_without_a_cache_it_says_how_to_get_one(user: User) -> None:
    said = user.run("arexctl", "cache", "list")

    assert 0 != said.code
    assert "set cachedir in [arex/cache]" in said.err


def test_sessions_are_measured_with_their_jobs(user: User) -> None:
    session = user.home / "session" / user.submit()
    (session / "data").write_bytes(b"x" * 100_000)

    [found] = json.loads(user.run("arexctl", "session", "usage", "--json").out)["sessions"]

    assert (session.name, "ACCEPTED", 2) == (found["job"], found["state"], found["taken"]["inodes"])
    assert found["taken"]["size"] >= 100_000
    assert session.name in user.run("arexctl", "session", "usage").out
    assert "files" in user.run("arexctl", "session", "usage", "--by-owner").out


def test_only_old_sessions_without_a_job_are_cleaned(user: User) -> None:
    session = user.home / "session" / user.submit()
    old, young = session.with_name("old"), session.with_name("young")
    for path in (old, young):
        path.mkdir()
        (path / "data").touch()
    os.utime(old, (0, 0))

    dry = user.run("arexctl", "session", "clean", "--dry-run")
    assert "1 session directories" in dry.out
    assert old.exists()
    user.run("arexctl", "session", "clean")

    assert [False, True, True] == [path.exists() for path in (old, young, session)]


def test_a_mistyped_subcommand_gets_a_suggestion(user: User) -> None:
    assert "Did you mean cache?" in user.run("arexctl", "cashe").err
