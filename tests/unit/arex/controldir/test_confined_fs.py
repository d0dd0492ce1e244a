from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from arex.controldir import confined_fs
from arex.errors import UnsafePath


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    path = tmp_path / "outside"
    (path / "below").mkdir(parents=True)
    (path / "precious").write_text("years of work")
    (path / "below" / "more").write_text("and more")
    return path


@pytest.fixture
def root(tmp_path: Path, outside: Path) -> Path:
    """A session directory with a way out at every level."""
    path = tmp_path / "session"
    (path / "dir" / "deep").mkdir(parents=True)
    (path / "file").write_text("x")
    (path / "dir" / "file").write_text("xy")
    (path / "dir" / "deep" / "file").write_text("xyz")
    (path / "link").symlink_to(outside)
    (path / "dir" / "link").symlink_to(outside)
    (path / "filelink").symlink_to(outside / "precious")
    return path


def _all(path: Path) -> list[str]:
    return sorted(one.relative_to(path).as_posix() for one in path.rglob("*"))


@pytest.mark.parametrize(
    ("name", "parts"), [("a", ("a",)), ("/a/b", ("a", "b")), ("./a//b/", ("a", "b")), ("a/./b", ("a", "b"))]
)
def test_a_name_is_its_parts(name: str, parts: tuple[str, ...]) -> None:
    assert parts == confined_fs.parts_of(name)


@pytest.mark.parametrize("name", ["", "/", ".", "./", "..", "a/..", "../a", "a/../../b", "a\0b", "/.."])
def test_a_name_that_leads_out_is_unsafe(name: str) -> None:
    with pytest.raises(UnsafePath):
        confined_fs.parts_of(name)


@pytest.mark.parametrize("name", ["link/precious", "dir/link/precious", "filelink", "link", "dir/link/below/more"])
def test_no_link_is_followed(root: Path, name: str) -> None:
    with pytest.raises(UnsafePath):
        confined_fs.open_file(root, name)
    with pytest.raises(UnsafePath):
        confined_fs.open_file(root, name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, create_parents=True)
    assert confined_fs.size_of(root, name) is None
    assert not confined_fs.make_executable(root, name)


def test_a_link_in_the_place_of_the_root_is_not_followed(root: Path) -> None:
    with pytest.raises(UnsafePath):
        confined_fs.open_file(root / "link", "precious")


def test_a_link_to_a_scratch_directory_of_the_same_name_is(root: Path, tmp_path: Path) -> None:
    """The session directory of a job that works in a shared scratch directory."""
    scratch = tmp_path / "scratch" / "job"
    scratch.mkdir(parents=True)
    (scratch / "out").write_text("so far")
    (tmp_path / "job").symlink_to(scratch)

    with os.fdopen(confined_fs.open_file(tmp_path / "job", "out")) as stream:
        assert "so far" == stream.read()

    (tmp_path / "other").symlink_to(scratch)
    (root / "job").symlink_to("../scratch/job")
    for name in (tmp_path / "other", root / "job"):
        with pytest.raises(UnsafePath):
            confined_fs.open_file(name, "out")


def test_what_is_not_there_is_not_found(root: Path) -> None:
    for name in ("no", "no/file", "dir/no"):
        with pytest.raises(FileNotFoundError):
            confined_fs.open_file(root, name)
        assert confined_fs.size_of(root, name) is None


@pytest.mark.parametrize("kind", ["directory", "pipe"])
def test_what_is_no_file_is_not_opened(root: Path, kind: str) -> None:
    if kind == "pipe":
        os.mkfifo(root / "odd")
    else:
        (root / "odd").mkdir()

    with pytest.raises(UnsafePath, match="not a regular file"):
        confined_fs.open_file(root, "odd")


def test_files_are_made_below_directories_that_are_made(root: Path) -> None:
    fd = confined_fs.open_file(root, "new/deep/file", os.O_WRONLY | os.O_CREAT, 0o600, create_parents=True)
    os.write(fd, b"abc")
    os.close(fd)

    assert 3 == confined_fs.size_of(root, "/new/deep/file")
    assert 0o700 == stat.S_IMODE((root / "new" / "deep").stat().st_mode)


def test_the_x_bit_is_added_for_the_owner(root: Path) -> None:
    (root / "file").chmod(0o640)

    assert confined_fs.make_executable(root, "file")
    assert 0o740 == stat.S_IMODE((root / "file").stat().st_mode)


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        ([], []),
        (["file"], ["file"]),
        (["dir/"], ["dir", "dir/deep", "dir/deep/file", "dir/file", "dir/link"]),
        (["dir/deep/file"], ["dir", "dir/deep", "dir/deep/file"]),
        (["dir/file", "dir/deep"], ["dir", "dir/deep", "dir/deep/file", "dir/file"]),
        (["link/precious"], ["link"]),
        (["nothing", "dir/nothing"], ["dir"]),
    ],
)
def test_only_what_is_named_stays_and_nothing_outside_goes(
    root: Path, outside: Path, keep: list[str], left: list[str]
) -> None:
    before = _all(outside)

    confined_fs.keep_only(root, keep)

    assert left == _all(root)
    assert before == _all(outside)


def test_a_tree_goes_with_its_links_and_nothing_that_they_name(root: Path, outside: Path) -> None:
    before = _all(outside)
    (root / "dir" / "deep").chmod(0)
    (root / "dir").chmod(0)

    confined_fs.remove_tree(root)

    assert not root.exists()
    assert before == _all(outside)


def test_a_link_goes_and_what_it_names_stays(root: Path, outside: Path) -> None:
    confined_fs.remove_tree(root / "link")

    assert not (root / "link").is_symlink()
    assert (outside / "precious").exists()


def test_a_file_goes_as_a_tree_does(root: Path) -> None:
    confined_fs.remove_tree(root / "file")

    assert not (root / "file").exists()


@pytest.mark.parametrize("name", ["gone", "gone/deeper"])
def test_a_tree_that_is_gone_is_gone(root: Path, name: str) -> None:
    confined_fs.remove_tree(root / name)


def test_unsafe_names_to_keep_are_refused_before_anything_goes(root: Path) -> None:
    before = _all(root)

    with pytest.raises(UnsafePath):
        confined_fs.keep_only(root, ["file", "../outside"])

    assert before == _all(root)
