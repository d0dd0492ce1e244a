"""Trees as payloads leave them: deep, closed, with links out, and changed meanwhile."""

from __future__ import annotations

import errno
import os
import resource
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from arex.controldir import confined_fs, trees
from arex.errors import UnsafePath
from arex.gm.session_usage import taken_by
from arex.model.ids import JobId
from tests import permissions
from tests.trees import deep

DEEP = 2100  # beyond the recursion limit, and PATH_MAX


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    path = tmp_path / "outside"
    path.mkdir()
    (path / "precious").write_text("years of work")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "session"
    path.mkdir()
    return path


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 8, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _raise(_: str, exc: OSError) -> None:
    raise exc


def _walk_to(root: Path, name: str, then: Callable[[], object]) -> None:
    with trees.Cursor(root) as top:
        for entry in trees.walk(top, _raise):
            if entry.name == name:
                then()


def _give_up() -> None:
    raise KeyError


@pytest.mark.usefixtures("few_descriptors")
def test_a_deep_tree_is_walked_measured_and_removed_with_few_descriptors(root: Path) -> None:
    with deep(root / "deep", DEEP):
        with trees.Cursor(root) as top:
            found = sum(not entry.left for entry in trees.walk(top, _raise))
        taken = taken_by(root.parent, JobId(root.name))
        obstacles = trees.remove(root / "deep")

    assert DEEP + 2 == found
    assert DEEP + 3 == taken.inodes
    assert not obstacles
    assert [] == os.listdir(root)


@pytest.mark.usefixtures("few_descriptors")
def test_a_deep_tree_is_pruned_around_a_deep_output(root: Path) -> None:
    kept = f"deep/{'d/' * DEEP}file"
    with deep(root / "deep", DEEP), deep(root / "junk", DEEP):
        assert not confined_fs.keep_only(root, [kept])

        assert ["deep"] == os.listdir(root)
        assert 0 == confined_fs.size_of(root, kept)


@pytest.mark.parametrize("mode", [0o000, 0o200, 0o300, 0o400, 0o500, 0o555])
def test_a_directory_of_any_mode_is_pruned(root: Path, mode: int) -> None:
    (root / "out").mkdir()
    (root / "out" / "kept").touch()
    (root / "out" / "junk").touch()
    (root / "tree" / "below").mkdir(parents=True)
    (root / "tree" / "below" / "file").touch()
    for path in (root / "out", root / "tree" / "below", root / "tree", root):
        path.chmod(mode)

    with permissions.closed(root):
        root.chmod(mode)
        obstacles = confined_fs.keep_only(root, ["out/kept"])

    assert not obstacles
    assert mode == stat.S_IMODE((root / "out").stat().st_mode)
    (root / "out").chmod(0o700)
    assert ["kept"] == os.listdir(root / "out")
    assert ["out"] == os.listdir(root)


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o400, 0o500])
def test_a_tree_of_any_mode_is_removed(root: Path, mode: int) -> None:
    (root / "tree" / "below" / "deeper").mkdir(parents=True)
    (root / "tree" / "below" / "file").touch()
    (root / "tree" / "below" / "deeper").chmod(mode)
    (root / "tree" / "below").chmod(mode)

    with permissions.closed(root / "tree"):
        (root / "tree").chmod(mode)
        assert not trees.remove(root / "tree")
        (root / "tree").mkdir()

    assert [] == os.listdir(root / "tree")


def test_a_closed_directory_has_its_mode_again_after_a_walk(root: Path) -> None:
    (root / "shut" / "below").mkdir(parents=True)
    (root / "shut" / "below" / "file").touch()
    (root / "shut" / "below").chmod(0o100)

    with permissions.closed(root / "shut"):
        with trees.Cursor(root) as top:
            found = [entry.path for entry in trees.walk(top, _raise) if not entry.left]
        assert 0 == stat.S_IMODE((root / "shut").stat().st_mode)

    assert ["shut", "shut/below", "shut/below/file"] == found
    assert 0o100 == stat.S_IMODE((root / "shut" / "below").stat().st_mode)


def test_a_walk_that_is_broken_off_gives_the_modes_back(root: Path) -> None:
    (root / "shut").mkdir()
    (root / "shut" / "file").touch()

    with permissions.closed(root / "shut"):
        with pytest.raises(KeyError):
            _walk_to(root, "file", _give_up)
        assert 0 == stat.S_IMODE((root / "shut").stat().st_mode)


def test_no_link_is_followed_and_nothing_outside_is_touched(root: Path, outside: Path) -> None:
    outside.chmod(0o500)
    (root / "dir").mkdir()
    for place in (root, root / "dir"):
        (place / "out").symlink_to(outside)
        (place / "self").symlink_to("self")
        (place / "up").symlink_to("..")

    with trees.Cursor(root) as top:
        assert 7 == sum(not entry.left for entry in trees.walk(top, _raise))
    assert not confined_fs.keep_only(root, ["dir/out", "out/precious"])
    assert ["dir", "out"] == sorted(os.listdir(root))
    assert not trees.remove(root)

    assert ["precious"] == os.listdir(outside)
    assert 0o500 == stat.S_IMODE(outside.stat().st_mode)


def test_a_link_in_place_of_the_session_is_not_pruned(root: Path, outside: Path) -> None:
    (root / "link").symlink_to(outside)

    with pytest.raises(UnsafePath):
        confined_fs.keep_only(root / "link", [])

    assert ["precious"] == os.listdir(outside)


@pytest.mark.parametrize("kind", ["pipe", "socket", "hard link"])
def test_odd_files_are_removed(root: Path, outside: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket  # noqa: PLC0415

    monkeypatch.chdir(root)
    if kind == "pipe":
        os.mkfifo("odd")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("odd")
    else:
        os.link(outside / "precious", "odd")

    assert not confined_fs.keep_only(root, [])

    assert [] == os.listdir(root)
    assert "years of work" == (outside / "precious").read_text()


def test_a_directory_that_is_moved_away_ends_the_walk(root: Path, outside: Path) -> None:
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "file").touch()

    with pytest.raises(OSError, match="moved"):
        _walk_to(root, "file", lambda: (root / "a" / "b").rename(outside / "b"))

    assert (outside / "b" / "file").exists()


def test_a_removal_does_not_leave_the_tree_after_a_directory_was_moved_out(
    root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "file").touch()
    _when_removed(monkeypatch, "file", lambda: (root / "a" / "b").rename(outside / "b"))

    obstacles = trees.remove(root / "a")

    assert "moved" in str(obstacles)
    assert ["b", "precious"] == sorted(os.listdir(outside))


def _when_removed(monkeypatch: pytest.MonkeyPatch, name: str, then: Callable[[], object]) -> None:
    unlink = os.unlink

    def remove(path: str, *, dir_fd: int | None = None) -> None:
        unlink(path, dir_fd=dir_fd)
        if path == name:
            then()

    monkeypatch.setattr(os, "unlink", remove)


def test_what_cannot_be_removed_is_named_and_the_rest_goes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "tree" / "below").mkdir(parents=True)
    for name in ("stuck", "loose"):
        (root / "tree" / "below" / name).touch()
    (root / "junk").touch()
    _refuse(monkeypatch, "stuck", errno.EPERM)

    obstacles = confined_fs.keep_only(root, [])

    assert "tree/below/stuck: Operation not permitted" == str(obstacles)
    assert ["tree"] == os.listdir(root)
    assert ["stuck"] == os.listdir(root / "tree" / "below")


def test_a_passing_condition_is_no_obstacle(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "file").touch()
    _refuse(monkeypatch, "file", errno.EROFS)

    with pytest.raises(OSError, match="Read-only"):
        confined_fs.keep_only(root, [])


def test_only_some_of_many_obstacles_are_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (root / f"f{number}").touch()
    _refuse(monkeypatch, None, errno.EPERM)

    assert str(confined_fs.keep_only(root, [])).endswith("; and 15 more")


def _refuse(monkeypatch: pytest.MonkeyPatch, name: str | None, why: int) -> None:
    unlink = os.unlink

    def remove(path: str, *, dir_fd: int | None = None) -> None:
        if name in {None, path}:
            raise OSError(why, os.strerror(why), path)
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", remove)


def test_a_tree_that_others_fill_meanwhile_is_left_at_last(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "tree").mkdir()
    (root / "tree" / "file").touch()
    _when_removed(monkeypatch, "file", (root / "tree" / "file").touch)

    assert "Directory not empty" in str(trees.remove(root / "tree"))


def test_a_deep_tree_needs_no_deep_stack(root: Path) -> None:
    """Threads of the service have small stacks."""
    outcome: list[trees.Obstacles] = []
    with deep(root / "deep", DEEP):
        worker = threading.Thread(target=lambda: outcome.append(trees.remove(root / "deep")))
        worker.start()
        worker.join()

    assert [False] == [bool(obstacles) for obstacles in outcome]
