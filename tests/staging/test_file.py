"""Files of this host, in and out, with what may lie in a session directory and what may happen to a disk."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from arex.model.files import FileEntry
from arex.ports import Staged
from tests.staging.conftest import Site


async def out(site: Site, name: str, url: str, job: str = "job") -> Staged:
    return await site.engine(maxtransfertries=2).stage_out(site.staging(FileEntry(name, url), job=job))


@pytest.mark.parametrize("size", [0, 5, 3_000_000])
@pytest.mark.parametrize("form", ["file://{}", "file:{}", "file://localhost{}", "file://localhost;cache=no{}"])
async def test_a_file_comes_in_under_its_name(site: Site, tmp_path: Path, size: int, form: str) -> None:
    (tmp_path / "so urce").write_bytes(b"x" * size)
    entry = FileEntry("/deep/in", form.format(f"{tmp_path}/so%20urce"))

    staged = await site.engine().stage_in(site.staging(entry))

    assert Staged(done=True, moved=(entry,)) == staged
    target = site.root / "sessions" / "job" / "deep" / "in"
    assert size == target.stat().st_size
    assert 0o600 == target.stat().st_mode & 0o777
    assert ["in"] == os.listdir(target.parent)
    assert [] == site.left_over()


@pytest.mark.parametrize("size", [5, 3_000_000])
async def test_a_program_can_be_run(site: Site, tmp_path: Path, size: int) -> None:
    (tmp_path / "source").write_bytes(b"x" * size)
    assert (await site.fetched(f"file://localhost;exec=yes{tmp_path}/source")).done
    assert 0o700 == (site.root / "sessions" / "job" / "0").stat().st_mode & 0o777


async def test_a_file_goes_out_and_directories_are_made(site: Site, tmp_path: Path) -> None:
    session = site.staging().session
    (session / "out").write_text("x")
    assert (await out(site, "/out", f"file://{tmp_path}/deep/target")).done
    assert ["target"] == os.listdir(tmp_path / "deep")
    assert (await out(site, "/out", f"file://{tmp_path}/deep/")).done
    assert {"target", "out"} == set(os.listdir(tmp_path / "deep"))


@pytest.mark.parametrize("direction", ["in", "out"])
@pytest.mark.parametrize("kind", ["link", "file"])
async def test_nothing_is_written_where_a_link_in_place_of_the_journal_leads(
    site: Site, tmp_path: Path, direction: str, kind: str
) -> None:
    (site.staging().session / "out").write_text("x")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "source").write_text("x")
    workdir = site.root / "sessions" / "job.staging"
    if kind == "link":
        workdir.symlink_to(tmp_path / "elsewhere")
    else:
        workdir.touch()

    if direction == "out":
        staged = await out(site, "/out", f"file://{tmp_path}/target")
    else:
        staged = await site.fetched(f"file://{tmp_path}/source")

    assert Staged(done=False, failure=f"{workdir} is a link, or not a directory") == staged
    assert [] == os.listdir(tmp_path / "elsewhere")
    assert not (tmp_path / "target").exists()


async def test_what_is_there_is_not_overwritten_unless_it_shall_be(site: Site, tmp_path: Path) -> None:
    (site.staging().session / "out").write_text("new")
    (tmp_path / "target").write_text("old")
    kept = await out(site, "/out", f"file://{tmp_path}/target")
    assert Staged(done=False, failure=f"Destination file:{tmp_path}/target already exists") == kept
    assert "old" == (tmp_path / "target").read_text()

    assert (await out(site, "/out", f"file://localhost;overwrite=yes{tmp_path}/target")).done
    assert "new" == (tmp_path / "target").read_text()


async def test_a_dead_link_counts_as_a_destination_that_exists(site: Site, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (site.staging().session / "x").write_text("new")
    assert "already exists" in (await out(site, "/x", f"file://{tmp_path}/link")).failure


async def test_a_path_that_reads_like_an_option_is_none(site: Site, tmp_path: Path) -> None:
    target = tmp_path / "overwrite=yes" / "x"
    target.parent.mkdir()
    target.write_text("old")
    (site.staging().session / "x").write_text("new")
    assert "already exists" in (await out(site, "/x", f"file://{target}")).failure
    assert "old" == target.read_text()


@pytest.mark.parametrize("kind", ["missing", "pipe", "directory", "device"])
async def test_what_is_no_file_does_not_come_in(site: Site, tmp_path: Path, kind: str) -> None:
    """A pipe would block us, and a device has no end."""
    source = Path("/dev/zero") if kind == "device" else tmp_path / "source"
    if kind == "pipe":
        os.mkfifo(source)
    elif kind == "directory":
        source.mkdir()

    staged = await site.fetched(f"file://{source}")

    assert f"Failed checking source replica file:{source}: Failed to obtain information about file" in staged.failure
    assert [] == os.listdir(site.root / "sessions" / "job")


@pytest.mark.parametrize("name", ["/../out", "/link/out", "/link", "/dir/../../out", "/a\0b"])
async def test_nothing_leaves_or_enters_through_a_link(site: Site, tmp_path: Path, name: str) -> None:
    session = site.staging().session
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "out").write_text("precious")
    (session / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "source").write_text("new")

    went = await out(site, name, f"file://{tmp_path}/stolen")
    came = await site.engine().stage_in(site.staging(FileEntry(name, f"file://{tmp_path}/source")))

    assert "precious" == (tmp_path / "outside" / "out").read_text()
    assert ["out"] == os.listdir(tmp_path / "outside")
    assert not (tmp_path / "stolen").exists()
    assert not went.done
    # a link that lies where the file belongs gives way to the file
    assert came.done == (name == "/link")


async def test_a_missing_output_is_a_failure(site: Site, tmp_path: Path) -> None:
    staged = await out(site, "/none", f"file://{tmp_path}/target")
    assert "No such file or directory" in staged.failure


async def test_a_file_that_moves_touches_no_other_whatever_its_name(site: Site, tmp_path: Path) -> None:
    session = site.staging().session
    (tmp_path / "a").write_text("a")
    (session / "0.part").write_text("the user's own")
    (tmp_path / "x.part").write_text("another user's")

    assert (await site.fetched(f"file://{tmp_path}/a")).done
    assert (await out(site, "/0", f"file://{tmp_path}/x")).done
    assert "the user's own" == (session / "0.part").read_text()
    assert "another user's" == (tmp_path / "x.part").read_text()


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("size", [50_000, 3_000_000])
async def test_what_did_not_come_whole_is_not_left(site: Site, tmp_path: Path, size: int) -> None:
    """The disk is full in the middle: a file of memory's size and a large one, in and out."""
    session = site.staging().session
    (session / "x").write_bytes(b"x" * size)
    (tmp_path / "target").mkdir()
    with largest_file(30_000):
        went = await out(site, "/x", f"file://{tmp_path}/target/x")
        came = await site.engine().stage_in(site.staging(FileEntry("/y", f"file://{session}/x")))

    assert "File too large" in went.failure
    assert "File too large" in came.failure
    assert "make room" in came.failure
    assert [] == os.listdir(tmp_path / "target")
    assert not (session / "y").exists()
    assert [] == site.left_over()


async def test_what_can_not_fit_is_not_begun(site: Site, tmp_path: Path) -> None:
    """A file with a hole that is larger than any disk."""
    with (tmp_path / "huge").open("wb") as stream:
        stream.truncate(1 << 43)
    staged = await site.fetched(f"file://{tmp_path}/huge")
    assert f"{1 << 43} bytes are to be written" in staged.failure
    assert [] == site.left_over()


@pytest.mark.parametrize("right", [True, False])
async def test_the_checksum_of_cksum_holds(site: Site, tmp_path: Path, right: bool) -> None:
    (tmp_path / "source").write_bytes(bytes(range(256)) * 3000)
    value = int(subprocess.run(["cksum", tmp_path / "source"], check=True, capture_output=True).stdout.split()[0])
    staged = await site.fetched(f"file://localhost;checksum=cksum:{value if right else value + 1}{tmp_path}/source")
    assert right == staged.done
