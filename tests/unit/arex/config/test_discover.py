from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from arex.config.discover import find, own_paths, places, read
from arex.errors import ConfigError


def touched(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_the_first_place_that_has_a_file_wins(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "ARC_LOCATION": str(tmp_path / "arc")}
    system = tmp_path / "etc/arc.conf"
    order = [
        system,
        tmp_path / ".config/arex/arex.yaml",
        tmp_path / ".config/arex/arc.yaml",
        tmp_path / ".config/arex/arc.conf",
        tmp_path / "arc/etc/arc.conf",
    ]

    assert find(None, environ, system) is None
    assert order == [find(None, environ, system) for _ in map(touched, order)]


def test_a_file_that_was_named_is_not_searched_for(tmp_path: Path) -> None:
    """A typing error in ARC_CONFIG must not lead to some other file."""
    system = touched(tmp_path / "arc.conf")
    environ = {"HOME": str(tmp_path), "ARC_CONFIG": "/no/such/file"}

    assert find(None, environ, system) == Path("/no/such/file")
    assert find(Path("/other"), environ, system) == Path("/other")


def test_xdg_directories_count_when_absolute() -> None:
    at = places({"HOME": "/home/u", "XDG_DATA_HOME": "/data", "XDG_STATE_HOME": "relative", "XDG_CONFIG_HOME": ""})

    assert own_paths(at)["controldir"] == Path("/data/arex/jobstatus")
    assert own_paths(at)["pidfile"] == Path("/home/u/.local/state/arex/arex.pid")
    assert at.config == Path("/home/u/.config")


def test_the_pidfile_does_not_depend_on_the_login_session() -> None:
    environ = {"HOME": "/home/u"}

    assert own_paths(places(environ)) == own_paths(places(environ | {"XDG_RUNTIME_DIR": "/run/user/1"}))


def test_without_home_the_account_has_one() -> None:
    assert places({}).home.is_absolute()


def test_an_unreadable_file_is_a_fault_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\x7fELF\0\0")
    (tmp_path / "large").write_bytes(b"#" * 5 * 1024 * 1024)

    for name in ("binary", "large", "absent", ".", "bad\0name"):
        with pytest.raises(ConfigError) as caught:
            read(tmp_path / name)
        assert [fault.file for fault in caught.value.faults] == [tmp_path / name]


def test_a_named_pipe_without_a_writer_is_refused_at_once(tmp_path: Path) -> None:
    """A service that is asked to reload its configuration would not reload it any more."""
    os.mkfifo(tmp_path / "arc.conf")

    with pytest.raises(ConfigError, match="the file is a pipe, and no process writes into it"):
        read(tmp_path / "arc.conf")


def test_a_pipe_with_a_writer_is_read_to_its_end() -> None:
    """``--config <(command)`` of a shell."""
    reading, writing = os.pipe()
    with subprocess.Popen(["sh", "-c", "echo '[common]'"], stdout=writing):
        os.close(writing)
        assert read(Path(f"/dev/fd/{reading}")) == b"[common]\n"
    os.close(reading)
