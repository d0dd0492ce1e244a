"""Session directories, of payloads that mean no good."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.errors import ControlDirError, UnsafePath
from plugins.local.session import fetch, listing, stays_inside


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
