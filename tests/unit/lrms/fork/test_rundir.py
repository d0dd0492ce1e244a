from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lrms.fork import rundir

CHECKOUT = Path(__file__).resolve().parents[4]
ODD: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "link": lambda path: path.symlink_to(path.with_name("target")),
    "link to itself": lambda path: path.symlink_to(path),
    "directory": lambda path: path.mkdir(),
    "device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """RUNDIR: SESSIONROOT/SESSION.lrms/TAG."""
    path = tmp_path / "sessions" / "job.lrms" / "tag"
    path.mkdir(mode=0o700, parents=True)
    return path


@pytest.mark.parametrize("kind", sorted(ODD))
def test_what_is_no_file_is_neither_read_nor_waited_for_nor_written_to(directory: Path, kind: str) -> None:
    path = directory / "file"
    ODD[kind](path)

    for step in (lambda: rundir.read(str(path), 10), lambda: rundir.append(str(path), b"x")):
        with pytest.raises(rundir.Replaced):
            step()
    assert not (directory / "target").exists()


@pytest.mark.parametrize("kind", sorted(ODD))
def test_a_file_takes_the_place_of_anything(directory: Path, kind: str) -> None:
    path = directory / "file"
    ODD[kind](path)

    rundir.put(str(path), b"new")

    assert path.read_bytes() == b"new"
    assert not path.is_symlink()
    assert not (directory / "target").exists()


def test_a_program_may_be_a_link_but_not_to_a_device(directory: Path) -> None:
    (directory / "target").write_text("#!/bin/sh\n")
    (directory / "link").symlink_to("target")
    (directory / "device").symlink_to("/dev/zero")

    assert rundir.read(str(directory / "link"), 2, rundir.LINKED) == b"#!"
    with pytest.raises(rundir.Replaced):
        rundir.read(str(directory / "device"), 2, rundir.LINKED)


@pytest.mark.parametrize("above", [False, True])
@pytest.mark.parametrize("kind", ["absent", "pipe", "link", "link to itself", "file"])
def test_a_run_directory_that_is_gone_is_made_again(directory: Path, kind: str, above: bool) -> None:
    root = rundir.root_identity(str(directory))
    directory.rmdir()
    path = directory.parent if above else directory
    if above:
        path.rmdir()
    if kind == "file":
        path.touch()
    elif kind != "absent":
        ODD[kind](path)

    assert rundir.restore(str(directory), root)

    assert 0o700 == directory.stat().st_mode & 0o777
    assert not path.is_symlink()
    assert not rundir.restore(str(directory), root)


def test_nothing_is_made_in_another_directory_in_the_place_of_the_session_root(directory: Path) -> None:
    root = rundir.root_identity(str(directory))
    session_root = directory.parent.parent
    session_root.rename(session_root.with_name("away"))
    session_root.mkdir()

    with pytest.raises(OSError, match="in the place of the session root"):
        rundir.restore(str(directory), root)
    assert [] == list(session_root.iterdir())


def test_closed_directories_are_opened(directory: Path) -> None:
    directory.chmod(0)
    directory.parent.chmod(0)

    rundir.open_up(str(directory))

    assert [0o700, 0o700] == [each.stat().st_mode & 0o777 for each in (directory.parent, directory)]


def test_damage_is_named(directory: Path) -> None:
    assert rundir.damage(str(directory)) == ""
    (directory / "done").touch()
    assert "has not written" in rundir.damage(str(directory))
    (directory / "done").unlink()
    directory.chmod(0)
    assert "closed" in rundir.damage(str(directory))
    directory.rmdir()
    assert "removed" in rundir.damage(str(directory))
    directory.symlink_to(directory)
    assert "replaced" in rundir.damage(str(directory))


def test_half_a_line_is_not_left_on_a_full_disk(directory: Path) -> None:
    """/dev/full is no regular file, so a limit on the size of files stands for the full disk."""
    code = (
        "import resource, signal, sys; from lrms.fork import rundir\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (8, 8))\n"
        "for step in (rundir.append, rundir.create):\n"
        "    try: step(sys.argv[1] + step.__name__, b'x' * 20)\n"
        "    except OSError as exc: print(exc.errno)\n"
    )
    (directory / "append").write_bytes(b"12345\n")

    done = subprocess.run(
        [sys.executable, "-c", code, f"{directory}/"], capture_output=True, text=True, cwd=CHECKOUT, check=True
    )

    assert [str(errno.ENOSPC)] * 2 == done.stdout.split()
    assert (directory / "append").read_bytes() == b"12345\n"
    assert not (directory / "create").exists()
