"""Locks and open files, read from a procfs made by hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from arex.controldir import procfs
from arex.controldir.procfs.locks import kernel_name

DAEMON = ("/usr/bin/python3", "-I", "/opt/arex/arex/__main__.py", "run", "--config", "arc.conf")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "proc").mkdir()
    return tmp_path / "proc"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    return tmp_path / "file"


def process(
    proc: Path, pid: int, *words: str, environ: bytes = b"", opened: Path | None = None, hidden: bool = False
) -> None:
    """A process; one that is hidden does not show its open files and its environment."""
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in words))
    (proc / str(pid) / "status").write_text(f"Name:\tx\nUid:\t{os.getuid()}\t0\t0\t0\n")
    if hidden:
        (proc / str(pid) / "fd").touch()  # cannot be listed
        return
    (proc / str(pid) / "environ").write_bytes(environ)
    (proc / str(pid) / "fd").mkdir()
    if opened is not None:
        (proc / str(pid) / "fd" / "3").symlink_to(opened)


def locks(proc: Path, file: Path, *lines: str) -> None:
    (proc / "locks").write_text("".join(f"{line.replace('FILE', kernel_name(file.stat()))}\n" for line in lines))


@pytest.mark.parametrize(
    ("line", "owners", "with_shared"),
    [
        ("1: FLOCK  ADVISORY  WRITE 71 FILE 0 EOF", [71], [71]),
        ("1: FLOCK  ADVISORY  READ 71 FILE 0 EOF", [], [71]),
        ("1: -> FLOCK  ADVISORY  WRITE 71 FILE 0 EOF", [], []),
        ("1: FLOCK  ADVISORY  WRITE -1 FILE 0 EOF", [], []),
        ("1: FLOCK  ADVISORY  WRITE 0 FILE 0 EOF", [], []),
        ("1: FLOCK  ADVISORY  WRITE 71 FILE7 0 EOF", [], []),
        ("1: POSIX  ADVISORY  WRITE 71 FILE 0 EOF", [], []),
        ("1: OFDLCK ADVISORY  WRITE -1 FILE 0 EOF", [], []),
        ("junk", [], []),
    ],
)
def test_the_owner_of_a_lock_is_the_process_that_the_kernel_names(
    proc: Path, file: Path, line: str, owners: list[int], with_shared: list[int]
) -> None:
    process(proc, 71, "flock", opened=file)
    locks(proc, file, line)

    assert owners == procfs.flock_owners(file, proc=proc)
    assert with_shared == procfs.flock_owners(file, shared=True, proc=proc)


def test_a_daemon_that_hides_its_files_is_an_owner(proc: Path, file: Path) -> None:
    process(proc, 71, *DAEMON, hidden=True)
    locks(proc, file, "1: FLOCK  ADVISORY  WRITE 71 FILE 0 EOF")

    assert [71] == procfs.flock_owners(file, proc=proc)


def test_a_lock_that_its_owner_has_left_to_a_child_is_the_child_s(proc: Path, file: Path) -> None:
    process(proc, 71, "innocent")  # has the pid of the process that took the lock
    process(proc, 72, "sleep", opened=file)
    locks(proc, file, "1: FLOCK  ADVISORY  WRITE 71 FILE 0 EOF")

    assert [72] == procfs.flock_owners(file, proc=proc)


def test_an_entry_that_one_reading_of_a_long_list_skips_is_found(
    proc: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process(proc, 71, *DAEMON, opened=file)
    others = [f"{number}: POSIX  ADVISORY  WRITE 9 00:01:{number} 0 EOF" for number in range(100)]
    locks(proc, file, *others, "100: FLOCK  ADVISORY  WRITE 71 FILE 0 EOF")
    whole = (proc / "locks").read_text()
    readings = iter([whole[: whole.rindex("100:")], whole, whole, whole])
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", lambda *_args, **_options: next(readings))
        first, second = procfs.flock_owners(file, proc=proc), procfs.flock_owners(file, proc=proc)

    assert [[71], [71]] == [first, second]


def test_no_list_of_locks_and_no_file_are_no_owner(proc: Path, file: Path) -> None:
    assert [] == procfs.flock_owners(file, proc=proc)
    assert [] == procfs.flock_owners(proc / "nosuch", proc=proc)
    assert [] == procfs.users_of(proc / "nosuch", proc=proc)


JOB = b"AREX_TAG=x-1\0"


def test_users_have_the_file_open(proc: Path, file: Path) -> None:
    process(proc, 71, "sleep", opened=file)
    process(proc, 72, "sleep")
    process(proc, 73, *DAEMON, hidden=True)

    assert [71] == procfs.users_of(file, proc=proc)


def test_a_daemon_might_use_a_file_unless_it_serves_another_directory(proc: Path, file: Path) -> None:
    process(proc, 1, "init")
    process(proc, 71, "sleep", opened=file, environ=JOB)
    process(proc, 74, "ssh-agent", hidden=True)
    before = procfs.only_jobs_use(file, proc=proc)
    process(proc, 75, *DAEMON, hidden=True)
    unsure = procfs.only_jobs_use(file, proc=proc)
    locks(proc, file, "1: FLOCK  ADVISORY  WRITE 75 fe:00:1 0 EOF")
    elsewhere = procfs.only_jobs_use(file, proc=proc)
    locks(proc, file, f"1: FLOCK  ADVISORY  WRITE 75 00:99:{file.parent.stat().st_ino} 0 EOF")  # as on btrfs
    here = procfs.only_jobs_use(file, proc=proc)

    assert (True, False, True, False) == (before, unsure, elsewhere, here)


def test_no_user_and_a_user_that_is_no_job_are_not_only_jobs(proc: Path, file: Path) -> None:
    process(proc, 1, "init")
    unused = procfs.only_jobs_use(file, proc=proc)
    process(proc, 71, "sleep", opened=file, environ=JOB)
    process(proc, 72, "sleep", opened=file)

    assert (False, False) == (unused, procfs.only_jobs_use(file, proc=proc))


def test_where_processes_are_hidden_a_daemon_is_one_that_exists(proc: Path, file: Path) -> None:
    """As with hidepid=2."""
    process(proc, 71, "sleep", opened=file, environ=JOB)
    locks(proc, file, f"1: FLOCK  ADVISORY  WRITE {os.getpid()} FILE 0 EOF")

    assert [os.getpid()] == procfs.flock_owners(file, proc=proc)
    assert procfs.is_daemon(os.getpid(), proc=proc)
    assert not procfs.is_daemon(2**31, proc=proc)
    assert not procfs.only_jobs_use(file, proc=proc)


def test_jobs_are_known_by_their_environment(proc: Path) -> None:
    process(proc, 71, "sleep", environ=b"HOME=/\0AREX_TAG=x-1\0")
    process(proc, 72, "sleep", environ=b"GRID_GLOBAL_JOBID=x\0")
    process(proc, 73, "sleep", environ=b"X=AREX_TAG=x\0")
    process(proc, 74, *DAEMON, hidden=True)

    assert [True, True, False, False, False] == [procfs.is_job(pid, proc=proc) for pid in (71, 72, 73, 74, 75)]
    assert [True, False, False] == [procfs.all_jobs(pids, proc=proc) for pids in ([71, 72], [71, 74], [])]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (DAEMON, True),
        (("/usr/bin/python3", "/usr/bin/arex", "run"), True),
        (("python3", "-m", "arex", "start", "--foreground"), True),
        (("vi", "arex"), False),
        (("sh", "run", "arex"), False),
        (("sleep", "60"), False),
        ((), False),
    ],
)
def test_daemons_are_known_by_their_command_line(proc: Path, words: tuple[str, ...], expected: bool) -> None:
    process(proc, 71, *words)

    assert expected is procfs.is_daemon(71, proc=proc)


def test_a_process_is_described_by_its_pid_and_program(proc: Path) -> None:
    process(proc, 71, "/bin/sleep", "60")

    assert ("pid 71, sleep", "pid 72") == (procfs.described(71, proc=proc), procfs.described(72, proc=proc))
