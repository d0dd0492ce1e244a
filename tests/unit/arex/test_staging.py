from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import pytest

from arex.errors import StagingError
from arex.model.files import FileEntry
from arex.model.ids import JobId
from arex.ports import Staged
from arex.staging.local import LocalStager, path_of

JOB = JobId("abc")
STAGER = LocalStager()


@pytest.fixture
def session(tmp_path: Path) -> Path:
    path = tmp_path / "session"
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///a/b", "/a/b"),
        ("file:/a/b", "/a/b"),
        ("file://localhost/a", "/a"),
        ("file://localhost;cache=no/a", "/a"),
        ("file:///a%20b", "/a b"),
        ("file:///%ff", "/\udcff"),
    ],
)
def test_a_url_of_a_file_is_its_path(url: str, path: str) -> None:
    assert Path(path) == path_of(url)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://h/p", "no transfer method for http: here"),
        ("gsiftp://h/p", "no transfer method for gsiftp: here"),
        ("file://other/p", "a file of another host"),
        ("file:p", "not an absolute path"),
        ("file:///a/../b", "not an absolute path"),
        ("file:///a%2f..%2fb", "not an absolute path"),
        ("file:///a%00b", "not an absolute path"),
        ("file:///", "not an absolute path"),
        ("file://", "not an absolute path"),
        ("FILE:///a", "no transfer method for FILE: here"),
        ("", "no transfer method"),
    ],
)
def test_any_other_url_is_refused_with_its_reason(url: str, why: str) -> None:
    with pytest.raises(StagingError, match=why):
        path_of(url)


async def test_a_file_comes_in_under_its_name(session: Path, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x" * 3_000_000)
    entry = FileEntry("/deep/in", f"file://{tmp_path}/source")

    assert Staged(done=True) == await STAGER.stage_in(JOB, session, [entry])
    assert 3_000_000 == (session / "deep" / "in").stat().st_size
    assert ["in"] == os.listdir(session / "deep")


async def test_a_file_goes_out_and_directories_are_made(session: Path, tmp_path: Path) -> None:
    (session / "out").write_text("x")
    entry = FileEntry("/out", f"file://{tmp_path}/deep/target")

    assert Staged(done=True) == await STAGER.stage_out(JOB, session, [entry])
    assert ["target"] == os.listdir(tmp_path / "deep")


async def test_what_is_there_is_not_overwritten_unless_it_shall_be(session: Path, tmp_path: Path) -> None:
    (session / "out").write_text("new")
    (tmp_path / "target").write_text("old")
    kept = await STAGER.stage_out(JOB, session, [FileEntry("/out", f"file://{tmp_path}/target")])
    assert Staged(done=False, failure="Destination URL already exists") == kept
    assert "old" == (tmp_path / "target").read_text()

    entry = FileEntry("/out", f"file://localhost;overwrite=yes{tmp_path}/target")
    assert Staged(done=True) == await STAGER.stage_out(JOB, session, [entry])
    assert "new" == (tmp_path / "target").read_text()


@pytest.mark.parametrize("kind", ["missing", "pipe", "directory", "device"])
async def test_what_is_no_file_does_not_come_in(session: Path, tmp_path: Path, kind: str) -> None:
    """A pipe would hold us for ever, and a device has no end."""
    source = Path("/dev/zero") if kind == "device" else tmp_path / "source"
    if kind == "pipe":
        os.mkfifo(source)
    elif kind == "directory":
        source.mkdir()

    staged = await STAGER.stage_in(JOB, session, [FileEntry("/in", f"file://{source}")])

    assert not staged.done
    assert str(source) in staged.failure
    assert [] == os.listdir(session)


@pytest.mark.parametrize("name", ["/../out", "/link/out", "/link", "/dir/../../out", "/a\0b"])
async def test_nothing_leaves_or_enters_through_a_link(session: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "out").write_text("precious")
    (session / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "source").write_text("new")

    went = await STAGER.stage_out(JOB, session, [FileEntry(name, f"file://{tmp_path}/stolen")])
    came = await STAGER.stage_in(JOB, session, [FileEntry(name, f"file://{tmp_path}/source")])

    assert "precious" == (tmp_path / "outside" / "out").read_text()
    assert ["out"] == os.listdir(tmp_path / "outside")
    assert not (tmp_path / "stolen").exists()
    assert not went.done
    # a link that lies where the file belongs gives way to the file
    assert came.done == (name == "/link")


async def test_one_bad_file_fails_all_with_its_reason(session: Path) -> None:
    files = [FileEntry("/a", "nosuch://x/y"), FileEntry("/b", "file:///etc/hostname")]

    staged = await STAGER.stage_in(JOB, session, files)
    assert Staged(done=False, failure="nosuch://x/y: no transfer method for nosuch: here") == staged


async def test_a_file_that_comes_in_touches_no_other_whatever_its_name(session: Path, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    (session / "x.part").write_text("the user's own")

    staged = await STAGER.stage_in(
        JOB, session, [FileEntry("/x", f"file://{tmp_path}/a"), FileEntry("/y.part", f"file://{tmp_path}/b")]
    )

    assert Staged(done=True) == staged
    assert {"x": "a", "x.part": "the user's own", "y.part": "b"} == {
        path.name: path.read_text() for path in session.iterdir()
    }


async def test_a_file_that_goes_out_touches_no_other_whatever_its_name(session: Path, tmp_path: Path) -> None:
    (session / "x").write_text("new")
    (tmp_path / "x.part").write_text("somebody's own")

    assert Staged(done=True) == await STAGER.stage_out(JOB, session, [FileEntry("/x", f"file://{tmp_path}/x")])
    assert "somebody's own" == (tmp_path / "x.part").read_text()


async def test_a_path_that_reads_like_an_option_is_none(session: Path, tmp_path: Path) -> None:
    target = tmp_path / "overwrite=yes" / "x"
    target.parent.mkdir()
    target.write_text("old")
    (session / "x").write_text("new")

    staged = await STAGER.stage_out(JOB, session, [FileEntry("/x", f"file://{target}")])

    assert Staged(done=False, failure="Destination URL already exists") == staged
    assert "old" == target.read_text()


async def test_a_dead_link_counts_as_a_destination_that_exists(session: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (session / "x").write_text("new")

    staged = await STAGER.stage_out(JOB, session, [FileEntry("/x", f"file://{tmp_path}/link")])

    assert Staged(done=False, failure="Destination URL already exists") == staged


async def test_what_did_not_come_whole_is_not_left_under_the_final_name(session: Path, tmp_path: Path) -> None:
    """The disk is full in the middle; outside of the session nothing is left at all."""
    (session / "x").write_bytes(b"x" * 100)
    (tmp_path / "target").mkdir()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limit[1]))
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        went = await STAGER.stage_out(JOB, session, [FileEntry("/x", f"file://{tmp_path}/target/x")])
        came = await STAGER.stage_in(JOB, session, [FileEntry("/y", f"file://{session}/x")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)

    assert "File too large" in went.failure
    assert "File too large" in came.failure
    assert [] == os.listdir(tmp_path / "target")
    assert not (session / "y").exists()
