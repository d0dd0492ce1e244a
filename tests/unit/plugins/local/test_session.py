"""Session directories, of payloads that mean no good."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.controldir import confined_fs
from arex.errors import ControlDirError, UnsafePath
from plugins.local.session import _entry, fetch, listing, stays_inside
from tests import permissions
from tests.trees import deep


@pytest.fixture
def session(tmp_path: Path) -> Path:
    path = tmp_path / "session"
    (path / "deep" / "er").mkdir(parents=True)
    (path / "out.txt").write_text("out")
    (path / "deep" / "er" / "run.sh").write_text("#!/bin/sh\n")
    os.chmod(path / "deep" / "er" / "run.sh", 0o4755)
    os.utime(path / "out.txt", (1_700_000_000, 1_700_000_000))
    return path


def test_a_tree_is_copied_with_modes_and_times(session: Path, tmp_path: Path) -> None:
    """But for the set-uid bit."""
    done = fetch(session, tmp_path / "to" / "here")

    here = tmp_path / "to" / "here"
    assert (done.files, done.bytes, done.skipped) == (2, 13, [])
    assert stat.S_IMODE((here / "deep" / "er" / "run.sh").stat().st_mode) == 0o755
    assert (here / "out.txt").stat().st_mtime == 1_700_000_000


def test_links_that_lead_out_and_pipes_stay_behind(session: Path, tmp_path: Path) -> None:
    (session / "passwd").symlink_to("/etc/passwd")
    (session / "deep" / "up").symlink_to("../../secret")
    (session / "deep" / "fine").symlink_to("../out.txt")
    os.mkfifo(session / "pipe")

    done = fetch(session, tmp_path / "here")

    assert set(done.skipped) == {"passwd", "deep/up", "pipe"}
    assert (tmp_path / "here" / "deep" / "fine").read_text() == "out"


def test_an_existing_directory_is_not_touched(session: Path, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "out.txt").write_text("mine")

    with pytest.raises(ControlDirError, match="already exists"):
        fetch(session, tmp_path / "here")

    assert (tmp_path / "here" / "out.txt").read_text() == "mine"


def test_force_overwrites_files_and_keeps_others(session: Path, tmp_path: Path) -> None:
    """A link in the way is replaced, not followed."""
    here = tmp_path / "here"
    here.mkdir()
    (tmp_path / "precious").write_text("precious")
    (here / "out.txt").symlink_to(tmp_path / "precious")
    (here / "other").write_text("other")

    fetch(session, here, force=True)

    assert (here / "out.txt").read_text() == "out"
    assert (here / "other").read_text() == "other"
    assert (tmp_path / "precious").read_text() == "precious"


def test_force_does_not_write_through_a_linked_directory(session: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (here / "deep").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="deep"):
        fetch(session, here, force=True)

    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_copy_that_fails_leaves_nothing(session: Path, tmp_path: Path) -> None:
    os.mkfifo(session / "deep" / "pipe")
    (session / "deep" / "x" / "y").mkdir(parents=True)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("arex.controldir.atomic.write_all", full)
        with pytest.raises(OSError, match="No space"):
            fetch(session, tmp_path / "here")

    assert not (tmp_path / "here").exists()


def test_a_session_that_is_a_link_is_not_copied(session: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(session)

    with pytest.raises(ControlDirError, match="No files to retrieve"):
        fetch(tmp_path / "link", tmp_path / "here")


@pytest.mark.parametrize(
    ("above", "link", "inside"),
    [
        ((), "out.txt", True),
        ((), "a/b", True),
        ((), "../x", False),
        ((), "/etc/passwd", False),
        (("a",), "../x", True),
        (("a",), "../../x", False),
        (("a", "b"), "../.././x", True),
        (("a",), "x/../../../y", False),
        (("a",), "x/../y", False),
    ],
)
def test_only_leading_upward_steps_within_the_tree_stay_inside(above: tuple[str, ...], link: str, inside: bool) -> None:
    assert stays_inside(above, link) is inside


_PART = st.sampled_from(["..", ".", "a", "b", ""])


@given(
    links=st.lists(
        st.tuples(st.sampled_from(["l1", "a/l2", "a/b/l3", "a/l4"]), st.lists(_PART, min_size=1)), max_size=6
    )
)
def test_no_copied_link_leads_out(links: list[tuple[str, list[str]]], tmp_path_factory: pytest.TempPathFactory) -> None:
    """However links are combined, what has been copied resolves below the copy."""
    root = tmp_path_factory.mktemp("links")
    (root / "session" / "a" / "b").mkdir(parents=True)
    for name, parts in links:
        path = root / "session" / name
        text = "/".join(parts)
        if text and not path.is_symlink():
            path.symlink_to(text)

    fetch(root / "session", root / "here")

    here = os.path.realpath(root / "here")
    for directory, directories, files in os.walk(root / "here"):
        for name in (*directories, *files):
            try:
                real = os.path.realpath(os.path.join(directory, name), strict=True)
            except OSError:
                continue  # leads nowhere, or round in circles
            assert real == here or real.startswith(here + "/")


def test_a_listing_is_sorted_and_says_what_things_are(session: Path) -> None:
    (session / "link").symlink_to("out.txt")

    found = [(entry.name, entry.kind) for entry in listing(session, recursive=True)]

    assert found == [
        ("deep", "directory"), ("deep/er", "directory"), ("deep/er/run.sh", "file"), ("link", "link"),
        ("out.txt", "file"),
    ]  # fmt: skip


def test_a_file_is_listed_by_itself(session: Path) -> None:
    assert [entry.name for entry in listing(session, "deep/er/run.sh")] == ["run.sh"]


@pytest.mark.parametrize("name", ["../up", "deep/../../up"])
def test_a_listing_does_not_climb_out(session: Path, name: str) -> None:
    with pytest.raises(UnsafePath):
        list(listing(session, name))


def test_a_listing_does_not_follow_links(session: Path) -> None:
    (session / "etc").symlink_to("/etc")

    with pytest.raises(UnsafePath):
        list(listing(session, "etc/ssl"))


# --- deep, closed, sparse ---------------------------------------------------------------------------------------------


def test_a_deep_tree_is_listed_and_copied(session: Path, tmp_path: Path) -> None:
    depth = 1200
    with deep(session / "far", depth):
        last = [entry.name for entry in listing(session, "far", recursive=True)][-1]
        done = fetch(session, tmp_path / "here")
        copied = confined_fs.size_of(tmp_path / "here", f"far/{'d/' * depth}file")
        subprocess.run(["rm", "-rf", tmp_path / "here"], check=True)  # pytest can't remove it

    assert f"{'d/' * depth}file" == last
    assert (0, 3, []) == (copied, done.files, done.unreadable)


def test_what_cannot_be_read_is_named_and_the_rest_is_copied(
    session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("deep/closed", "deep/er/bad-disk"):
        (session / name).write_text("x")
    (session / "deep" / "closed").chmod(0)
    pread = os.pread

    def read(fd: int, size: int, offset: int) -> bytes:
        if os.readlink(f"/proc/self/fd/{fd}").endswith("bad-disk"):
            raise OSError(5, "Input/output error")
        return pread(fd, size, offset)

    monkeypatch.setattr(os, "pread", read)

    with permissions.closed(session / "deep"):
        done = fetch(session, tmp_path / "here")

    assert [("deep/closed", "Permission denied"), ("deep/er/bad-disk", "Input/output error")] == done.unreadable
    here = tmp_path / "here"
    assert {"out.txt", "deep/er/run.sh"} == {str(path.relative_to(here)) for path in here.rglob("*") if path.is_file()}


def test_a_full_disk_leaves_nothing_of_a_copy(session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int, data: bytes) -> int:
        raise OSError(28, f"No space left on device for {len(data)} bytes")

    monkeypatch.setattr(os, "write", full)

    with pytest.raises(OSError, match="No space left"):
        fetch(session, tmp_path / "here")

    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("tells", [True, False])
def test_holes_stay_holes(session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tells: bool) -> None:
    """Also on a file system that reports all of a file as data."""
    size = 64 * 1024 * 1024
    with (session / "sparse").open("wb") as stream:
        stream.write(b"begin")
        stream.seek(size // 2)
        stream.write(b"middle")
        stream.truncate(size)
    if not tells:
        monkeypatch.setattr("plugins.local.session._next_data", lambda _, at: at)

    fetch(session, tmp_path / "here")

    copied = tmp_path / "here" / "sparse"
    assert copied.read_bytes() == (session / "sparse").read_bytes()
    assert copied.stat().st_blocks * 512 < size // 4


@pytest.mark.parametrize(("seconds", "year"), [(2**40, 8970), (-(2**40), 1970)])
def test_a_file_with_a_time_beyond_the_calendar_is_listed(seconds: int, year: int) -> None:
    """Not every file system stores such a time."""
    info = os.stat_result((stat.S_IFREG | 0o600, 1, 1, 1, 0, 0, 3, 0, seconds, 0))

    entry = _entry("late", info)

    assert ("late", 3, year) == (entry.name, entry.size, entry.modified.year)
