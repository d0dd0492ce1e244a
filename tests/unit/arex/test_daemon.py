from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from arex import daemon
from arex.errors import AlreadyRunning, ControlDirError, ServiceError

SNAPSHOT = daemon.Snapshot(
    pid=1, started="then", updated="now", version="0", controldir="/ctl", wakeups="poll: why", states={"INLRMS": 2},
    waiting=3, lrms={"fork": "ok"},
)  # fmt: skip


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock, and ends at TERM as a daemon does."""
    code = (
        f"import sys, pathlib, signal; sys.path.insert(0, {str(Path.cwd())!r}); from arex import daemon; "
        f"lock = daemon.Lock(pathlib.Path({str(tmp_path)!r})); lock.take(); print('held', flush=True); signal.pause()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert b"held\n" == process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_one_daemon_holds_a_directory_and_the_other_is_told_which(
    tmp_path: Path, other: subprocess.Popen[bytes]
) -> None:
    with pytest.raises(AlreadyRunning, match=rf"another arex \(pid {other.pid}\) serves {tmp_path}"):
        daemon.Lock(tmp_path).take()
    assert other.pid == daemon.holder(tmp_path)


def test_a_lock_goes_with_its_holder_however_it_ends(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    other.kill()
    other.wait()
    lock = daemon.Lock(tmp_path)
    lock.take()

    assert other.pid == lock.previous
    assert os.getpid() == int((tmp_path / daemon.LOCK).read_text())
    lock.release()
    assert daemon.holder(tmp_path) is None


@pytest.mark.parametrize("junk", [b"", b"junk", b"\xff" * 100, "²".encode(), b"-1\n", b"9" * 31])
def test_junk_in_a_lock_file_is_no_pid_that_matters(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / daemon.LOCK).write_bytes(junk)
    lock = daemon.Lock(tmp_path)
    lock.take()

    assert lock.previous is None or junk == b"9" * 31
    assert f"{os.getpid()}\n" == (tmp_path / daemon.LOCK).read_text()
    lock.release()


@pytest.mark.parametrize("kind", ["directory", "link", "pipe"])
def test_what_is_no_file_is_no_lock(tmp_path: Path, kind: str) -> None:
    path = tmp_path / daemon.LOCK
    match kind:
        case "directory":
            path.mkdir()
        case "link":
            (tmp_path / "precious").write_text("x")
            path.symlink_to("precious")
        case _:
            os.mkfifo(path)

    with pytest.raises(ControlDirError, match=str(path)):
        daemon.Lock(tmp_path).take()


def test_without_a_daemon_there_is_no_holder(tmp_path: Path) -> None:
    assert daemon.holder(tmp_path) is None
    (tmp_path / daemon.LOCK).write_text("123\n")
    assert daemon.holder(tmp_path) is None


# --- the pid file -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pidfile", "cfg"),
    [("arex.pid", "arex.cfg"), ("arex", "arex.cfg"), ("a.b.pid", "a.b.cfg"), ("arched.x", "arched.cfg")],
)
def test_the_processed_configuration_lies_beside_the_pid_file(tmp_path: Path, pidfile: str, cfg: str) -> None:
    """Clients of ARC replace the extension."""
    written = daemon.write_pidfile(tmp_path / "run" / pidfile, "[common]\n")

    assert tmp_path / "run" / cfg == written
    assert f"{os.getpid()}\n" == (tmp_path / "run" / pidfile).read_text()
    assert "[common]\n" == written.read_text()
    assert (0o644, 0o600) == tuple(stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "run" / pidfile, written))


def test_only_our_own_pid_file_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "arex.pid"
    daemon.remove_pidfile(path)
    for text in ("1\n", "junk", ""):
        path.write_text(text)
        daemon.remove_pidfile(path)
        assert path.exists()
    path.write_text(f"{os.getpid()}\n")
    daemon.remove_pidfile(path)
    assert not path.exists()


def test_a_pid_file_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").touch()

    with pytest.raises(ServiceError, match=r"cannot write .*/run: File exists; set another pidfile"):
        daemon.write_pidfile(tmp_path / "run" / "arex.pid", "")


# --- stop, status, start ----------------------------------------------------------------------------------------------


def test_stopping_ends_the_daemon(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    reaper = threading.Thread(target=other.wait)
    reaper.start()

    assert other.pid == daemon.stop(tmp_path)
    reaper.join()
    assert daemon.stop(tmp_path) is None


def test_a_daemon_that_does_not_end_is_named(tmp_path: Path) -> None:
    lock = daemon.Lock(tmp_path)
    lock.take()
    patient = subprocess.Popen(["/bin/sh", "-c", "trap '' TERM; echo ready; exec sleep 60"], stdout=subprocess.PIPE)
    assert patient.stdout is not None
    patient.stdout.readline()
    (tmp_path / daemon.LOCK).write_text(f"{patient.pid}\n")
    try:
        with pytest.raises(ServiceError, match=f"pid {patient.pid} did not exit within 0.1 s"):
            daemon.stop(tmp_path, patience_s=0.1)
    finally:
        patient.kill()
        patient.wait()
        patient.stdout.close()
        lock.release()


def test_a_snapshot_comes_back(tmp_path: Path) -> None:
    assert daemon.read_snapshot(tmp_path) is None
    daemon.write_snapshot(tmp_path, SNAPSHOT)

    assert SNAPSHOT == daemon.read_snapshot(tmp_path)
    daemon.write_snapshot(tmp_path, replace(SNAPSHOT, waiting=0))
    assert replace(SNAPSHOT, waiting=0) == daemon.read_snapshot(tmp_path)


@pytest.mark.parametrize("junk", [b"", b"{}", b"[]", b"\xff\xfe", b"null", b'{"pid": 1}'])
def test_a_snapshot_that_cannot_be_parsed_is_an_error(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / daemon.STATUS).write_bytes(junk)

    with pytest.raises(ServiceError, match="cannot be parsed"):
        daemon.read_snapshot(tmp_path)


def test_a_link_in_the_place_of_a_snapshot_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / daemon.STATUS).symlink_to("/etc/passwd")

    with pytest.raises(ServiceError, match="cannot be parsed"):
        daemon.read_snapshot(tmp_path)


@pytest.mark.parametrize(
    ("written", "answer"),
    [(b"ready\n", ""), (b"no such directory\n", "no such directory"), (b"", "it exited without an error message")],
)
def test_a_start_tells_how_it_went(written: bytes, answer: str) -> None:
    reading, writing = os.pipe()
    os.write(writing, written)
    os.close(writing)

    assert answer == daemon.wait_ready(reading, 1, Path("arex.log"))
    os.close(reading)


def test_a_start_that_says_nothing_is_not_waited_for_for_ever() -> None:
    reading, writing = os.pipe()

    with pytest.raises(ServiceError, match=r"not ready within 0\.01 s; see its log: arex\.log"):
        daemon.wait_ready(reading, 0.01, Path("arex.log"))
    os.close(reading)
    os.close(writing)
