"""Which processes have a file open or locked, and whether they are jobs or daemons."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

from arex.controldir.procfs.locks import PROC, file_locks, kernel_name
from arex.controldir.temporary import process_exists

#: Variables in the environment of every job. Source: the job scripts of arex and ARC 6.17.
_JOB_VARIABLES: Final = (b"AREX_TAG=", b"GRID_GLOBAL_JOBID=")
_PROGRAM: Final = ("arex", "arex/__main__.py")
_COMMANDS: Final = ("run", "start")


def is_job(pid: int, *, proc: Path = PROC) -> bool:
    """
    Whether the process belongs to a job of a computing element.

    False for a daemon of arex, even if it was started in a job: its environment cannot be read.
    """
    variables = _read(proc / str(pid) / "environ").split(b"\0")
    return any(each.startswith(_JOB_VARIABLES) for each in variables)


def only_jobs_use(path: Path, *, proc: Path = PROC) -> bool:
    """
    Whether jobs have a file open, and no other process of this account has, nor can have.

    Daemons of arex do not show their open files. They do not count if they have locked another directory than that of
    the file, since each locks the directory that it serves. With ``hidepid``, nothing is known about daemons.
    """
    if not (proc / "1").exists() or not all_jobs(users_of(path, proc=proc), proc=proc):
        return False
    try:
        info, inode = os.stat(path), str(os.stat(path.parent).st_ino)
    except OSError:
        return False
    locked = [lock for lock in file_locks(proc) if lock.exclusive]
    here = {lock.pid for lock in locked if lock.inode == inode}
    elsewhere = {lock.pid for lock in locked} - here
    daemons = (pid for pid in _pids(proc) if pid not in elsewhere and _is_our_daemon(pid, proc))
    return not any(has_open(pid, info, proc=proc) is None for pid in daemons)


def all_jobs(pids: Collection[int], *, proc: Path = PROC) -> bool:
    """Whether there is at least one process, and all of them belong to jobs."""
    return bool(pids) and all(is_job(pid, proc=proc) for pid in pids)


def is_daemon(pid: int, *, proc: Path = PROC) -> bool:
    """
    Whether the command line is one of a daemon of arex: ``arex run``, or Python with ``arex/__main__.py run``.

    With the option ``hidepid``, procfs does not show a daemon even to its own account, unlike most other processes.
    """
    if not (proc / str(pid)).exists():
        return process_exists(pid)
    words = _words(pid, proc)
    return any(_is_arex(word) and command in _COMMANDS for word, command in pairwise(words))


def _is_arex(word: str) -> bool:
    return any(word == name or word.endswith(f"/{name}") for name in _PROGRAM)


def described(pid: int, *, proc: Path = PROC) -> str:
    """``pid 4711, sleep``, for messages; without the program if it is unknown."""
    words = _words(pid, proc)
    return f"pid {pid}, {os.path.basename(words[0])}" if words and words[0] else f"pid {pid}"


def users_of(path: Path, *, proc: Path = PROC) -> list[int]:
    """Pids of the processes of this account that have a file open, except daemons of arex, which do not show it."""
    try:
        info = os.stat(path)
    except OSError:
        return []
    return [pid for pid in _pids(proc) if has_open(pid, info, proc=proc)]


def flock_owners(path: Path, *, shared: bool = False, proc: Path = PROC) -> list[int]:
    """
    Pids of the processes that have locked a file or directory with ``flock``.

    Empty if there is none, and where the kernel shows another device number than ``stat`` (btrfs), or cannot lock this
    file. If the process that took a lock has left it to others and ended, these are all that have the file open.

    Args:
        path: the locked file.
        shared: also shared locks.
        proc: where procfs is mounted.
    """
    try:
        info = os.stat(path)
    except OSError:
        return []
    name = kernel_name(info)
    takers = [lock.pid for lock in file_locks(proc) if lock.file == name and (lock.exclusive or shared)]
    owners = [pid for pid in takers if has_open(pid, info, proc=proc) is not False]
    if len(owners) < len(takers):
        owners += [pid for pid in users_of(path, proc=proc) if pid != os.getpid()]
    return list(dict.fromkeys(owners))


def _pids(proc: Path) -> Iterator[int]:
    with contextlib.suppress(OSError), os.scandir(proc) as entries:
        yield from (int(entry.name) for entry in entries if entry.name.isdigit())


def has_open(pid: int, info: os.stat_result, *, proc: Path = PROC) -> bool | None:
    """Whether a process has this file open; None if it does not show its open files."""
    directory = proc / str(pid) / "fd"
    try:
        names = os.listdir(directory)
    except (FileNotFoundError, ProcessLookupError):
        return None if process_exists(pid) else False  # hidden by the option ``hidepid`` of procfs
    except OSError:
        return None
    for name in names:
        try:
            if os.path.samestat(os.stat(directory / name), info):
                return True
        except PermissionError:
            return None
        except OSError:
            continue
    return False


def _is_our_daemon(pid: int, proc: Path) -> bool:
    """Whether this is another daemon of this account. Its real user counts, since ``/proc/PID`` belongs to root."""
    if pid == os.getpid() or not is_daemon(pid, proc=proc):
        return False
    found = [line.split() for line in _read(proc / str(pid) / "status").splitlines() if line.startswith(b"Uid:")]
    return not found or int(found[0][1]) == os.getuid()


def _words(pid: int, proc: Path) -> list[str]:
    return _read(proc / str(pid) / "cmdline").decode("utf-8", "replace").split("\0")


def _read(path: Path) -> bytes:
    """Content of a file; empty if it cannot be read, or the process has ended."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
