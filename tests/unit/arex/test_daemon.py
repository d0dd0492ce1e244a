from __future__ import annotations

import fcntl
import json
import os
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from arex import daemon
from arex.controldir import procfs
from arex.daemon import fingerprint
from arex.errors import AlreadyRunning, ControlDirError, ServiceError, ServiceLost
from tests.processes import ready

SNAPSHOT = daemon.Snapshot(
    pid=1, started="then", updated="now", version="0", controldir="/ctl", wakeups="poll: why", states={"INLRMS": 2},
    waiting=3, lrms={"fork": "ok"},
)  # fmt: skip


@contextmanager
def holding(root: Path, code: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has run some code, with a command line like a daemon's."""
    setup = (
        f"import sys, os, fcntl, pathlib, signal, struct; sys.path.insert(0, {str(Path.cwd())!r}); "
        f"from arex import daemon; root = pathlib.Path({str(root)!r}); {code}; print('held', flush=True); "
        "[signal.pause() for _ in range(9)]"
    )
    with ready([sys.executable, "-c", setup, "arex", "run"], "held", **environment) as process:
        yield process


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock, and ends at TERM as a daemon does."""
    with holding(tmp_path, "lock = daemon.Lock(root); lock.take()") as process:
        yield process


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

    assert os.getpid() == int((tmp_path / daemon.LOCK).read_text())
    lock.release()
    assert daemon.holder(tmp_path) is None


@pytest.mark.parametrize("junk", [b"", b"junk", b"\xff" * 100, "²".encode(), b"-1\n", b"9" * 31])
def test_junk_in_a_lock_file_is_no_pid_that_matters(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / daemon.LOCK).write_bytes(junk)
    lock = daemon.Lock(tmp_path)
    lock.take()

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
    code = "signal.signal(signal.SIGTERM, signal.SIG_IGN); lock = daemon.Lock(root); lock.take()"
    with holding(tmp_path, code) as patient, pytest.raises(ServiceError) as raised:
        daemon.stop(tmp_path, patience_s=0.1)

    assert f"pid {patient.pid} did not exit within 0.1 s; see its log" == str(raised.value)


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

    assert answer == daemon.wait_ready(reading, 30, Path("arex.log"))
    os.close(reading)


def test_a_start_that_says_nothing_is_not_waited_for_for_ever() -> None:
    reading, writing = os.pipe()

    with pytest.raises(ServiceError, match=r"not ready within 0\.01 s; see its log: arex\.log"):
        daemon.wait_ready(reading, 0.01, Path("arex.log"))
    os.close(reading)
    os.close(writing)


# --- a lock that others meddle with -----------------------------------------------------------------------------------


def test_a_reader_does_not_keep_a_daemon_from_its_lock(tmp_path: Path) -> None:
    """Neither ours, nor a shared lock of a stranger."""
    (tmp_path / daemon.LOCK).touch()
    with (tmp_path / daemon.LOCK).open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        lock = daemon.Lock(tmp_path)
        lock.take()

    assert os.getpid() == daemon.holder(tmp_path)
    lock.release()


def test_a_lock_file_that_is_removed_lets_no_second_daemon_in_and_is_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lock = daemon.Lock(tmp_path)
    lock.take()
    (tmp_path / daemon.LOCK).unlink()
    with pytest.raises(AlreadyRunning):
        daemon.Lock(tmp_path).take()
    assert lock.is_in_place()

    assert os.getpid() == daemon.holder(tmp_path)
    assert "is made again" in caplog.text
    lock.release()


def test_a_daemon_learns_that_another_one_has_its_lock(tmp_path: Path) -> None:
    """Possible only where a directory itself cannot be locked."""
    lock = daemon.Lock(tmp_path)
    lock.take()
    (tmp_path / daemon.LOCK).unlink()
    with (tmp_path / daemon.LOCK).open("w") as other:
        other.write("4711\n")
        other.flush()
        fcntl.fcntl(other, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        with pytest.raises(ServiceLost, match="another arex"):
            lock.is_in_place()
    lock.release()


def test_a_directory_that_is_gone_or_another_one_is_noticed_and_its_return_too(tmp_path: Path) -> None:
    root = tmp_path / "ctl"
    root.mkdir()
    lock = daemon.Lock(root)
    lock.take()
    root.rename(tmp_path / "moved")
    assert not lock.is_in_place()
    root.mkdir()
    assert not lock.is_in_place()
    assert [] == list(root.iterdir()), "nothing is written into a strange directory"
    root.rmdir()
    (tmp_path / "moved").rename(root)

    assert lock.is_in_place()
    lock.release()


def test_the_daemon_is_private_and_hears_of_its_programs_whatever_its_parent_ignores() -> None:
    code = (
        f"import sys, ctypes, os; sys.path.insert(0, {str(Path.cwd())!r}); from arex import daemon; daemon.seclude(); "
        "code = os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn('/bin/sh', ['sh', '-c', 'exit 3'], {}), 0)[1]); "
        "print(code, ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )

    done = subprocess.run(
        ["/bin/sh", "-c", 'trap "" CHLD; exec "$@"', "sh", sys.executable, "-c", code],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert ["3", "0"] == done.stdout.split()


# --- processes that pretend to be the daemon, or keep it from its start -----------------------------------------------

SHARED = "fd = os.open(root, os.O_RDONLY); fcntl.flock(fd, fcntl.LOCK_SH)"
FILE = (
    "fd = os.open(root / daemon.LOCK, os.O_RDWR | os.O_CREAT); "
    "fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack('hhqqi4x', fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))"
)
EXCLUSIVE = "fd = os.open(root, os.O_RDONLY); fcntl.flock(fd, fcntl.LOCK_EX)"


def test_the_pid_in_the_lock_file_does_not_decide_which_process_is_stopped(
    tmp_path: Path, other: subprocess.Popen[bytes]
) -> None:
    with ready(["/bin/sh", "-c", "echo here; read _"], "here") as victim:
        (tmp_path / daemon.LOCK).write_text(f"{victim.pid}\n")
        reaper = threading.Thread(target=other.wait)
        reaper.start()
        stopped = daemon.stop(tmp_path)
        reaper.join()

        assert (other.pid, None) == (stopped, victim.poll())


@pytest.mark.parametrize("text", ["0\n", "1\n", "-1\n", "", "junk", "SELF"])
def test_where_directories_have_no_locks_only_the_pid_of_a_daemon_counts(
    tmp_path: Path, other: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(procfs, "flock_owners", lambda *_, **__: [])
    assert other.pid == daemon.holder(tmp_path)
    (tmp_path / daemon.LOCK).write_text(text.replace("SELF", f"{os.getpid()}\n"))

    assert daemon.UNKNOWN_PID == daemon.holder(tmp_path)
    with pytest.raises(ServiceError, match=f"arex serves {tmp_path}, but its pid is unknown"):
        daemon.stop(tmp_path)
    assert other.poll() is None


@pytest.mark.parametrize("code", [SHARED, EXCLUSIVE, FILE])
def test_jobs_that_hold_a_lock_do_not_keep_a_daemon_from_its_start(
    tmp_path: Path, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    lock = daemon.Lock(tmp_path)
    with holding(tmp_path, code, AREX_TAG="x-1") as job:
        assert daemon.holder(tmp_path) is None
        lock.take()

        assert "jobs have locked" in caplog.text
        assert f"pid {job.pid}" in caplog.text
        assert f"{os.getpid()}\n" == (tmp_path / daemon.LOCK).read_text()
        assert daemon.holder(tmp_path) is not None
        with pytest.raises(AlreadyRunning):
            daemon.Lock(tmp_path).take()
    assert lock.is_in_place()
    assert [os.getpid()] == procfs.flock_owners(tmp_path), "the lock of the directory is taken later"
    lock.release()


@pytest.mark.parametrize("code", [SHARED, EXCLUSIVE, FILE])
def test_other_processes_that_hold_a_lock_are_named(tmp_path: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procfs, "is_daemon", lambda _: False)
    with holding(tmp_path, code) as stranger, pytest.raises(AlreadyRunning) as raised:
        daemon.Lock(tmp_path).take()

    assert f"another process (pid {stranger.pid}, python" in str(raised.value)


def test_a_job_that_replaces_and_locks_the_lock_file_does_not_end_the_daemon(tmp_path: Path) -> None:
    lock = daemon.Lock(tmp_path)
    lock.take()
    (tmp_path / daemon.LOCK).unlink()
    with holding(tmp_path, FILE, AREX_TAG="x-1"):
        assert lock.is_in_place()

    assert os.getpid() == daemon.holder(tmp_path)
    lock.release()


def test_the_fingerprint_of_the_program_changes_with_its_files(tmp_path: Path) -> None:
    (tmp_path / "arex/cli").mkdir(parents=True)
    (tmp_path / "arex/cli/a.py").write_text("1")
    before = fingerprint(tmp_path)
    assert before == fingerprint(tmp_path)

    (tmp_path / "arex/__pycache__").mkdir()
    (tmp_path / "arex/__pycache__/a.pyc").write_text("compiled")
    (tmp_path / "other.py").write_text("of another package")
    assert before == fingerprint(tmp_path)
    os.utime(tmp_path / "arex/cli/a.py", (1, 1))
    assert before != fingerprint(tmp_path)


def test_an_older_status_file_can_be_read(tmp_path: Path) -> None:
    old = {"pid": 7, "started": "s", "updated": "u", "version": "0", "controldir": "/ctl", "wakeups": "poll: why"}
    (tmp_path / daemon.STATUS).write_text(json.dumps({**old, "states": {}, "waiting": 0, "lrms": {"fork": "ok"}}))

    snapshot = daemon.read_snapshot(tmp_path)

    assert snapshot is not None
    assert ("", {}, False) == (snapshot.config, snapshot.queues, snapshot.stopped)
