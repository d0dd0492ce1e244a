"""
Facts about processes of this machine, from ``/proc``; standard library only, for the forkserver imports it.

A pid alone is not unique for long: an identity is pid, start time and boot.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024
_TICKS = os.sysconf("SC_CLK_TCK")
_KERNEL_THREAD: Final = 0x00200000  #: flag in /proc/PID/stat; source: PF_KTHREAD in the kernel's include/linux/sched.h
_EXEC_S: Final = 2.0  #: after this, a process that shows neither command line nor environment has none


class ProcessIdentity(NamedTuple):
    """One process, for all time."""

    pid: int
    start: int  #: clock ticks after boot
    boot: str  #: id of that boot


class Stat(NamedTuple):
    """Of one process: what we read in ``/proc/PID/stat``."""

    state: str
    parent: int
    cpu_s: float  #: its own and that of children it has waited for
    start: int  #: clock ticks after boot
    rss_kb: int
    name: str  #: of the process (``comm``): 15 bytes at most, which only the process itself can change


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        chunks = []
        while chunk := os.read(fd, 65536):
            chunks.append(chunk)
        return b"".join(chunks)
    finally:
        os.close(fd)


def _read_line(path: str) -> bytes:
    """Content of a file that the kernel gives in one piece."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)


def parse_stat(text: bytes) -> Stat:
    """Source: proc(5). The name of the program may contain anything, so we count from its last parenthesis."""
    end = text.rindex(b")")
    words = text[end + 2 :].split()
    name = os.fsdecode(text[text.index(b"(") + 1 : end])
    cpu = sum(map(int, words[11:15])) / _TICKS
    return Stat(words[0].decode(), int(words[1]), cpu, int(words[19]), int(words[21]) * _PAGE_KB, name)


def stat(pid: int) -> Stat | None:
    """None: there is no such process."""
    try:
        return parse_stat(_read_line(f"/proc/{pid}/stat"))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None  # with hidepid, /proc shows processes of other users to no one


def boot_id() -> str:
    return _read("/proc/sys/kernel/random/boot_id").decode().strip()


def identify(pid: int, boot: str) -> ProcessIdentity | None:
    """The process that has this pid now; None: there is none, or it has ended and waits to be collected."""
    found = stat(pid)
    return None if found is None or found.state in "ZX" else ProcessIdentity(pid, found.start, boot)


def is_alive(pid: int) -> bool:
    """Whether a process has this pid and has not ended; does not open a file."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def pids() -> Iterator[int]:
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib is too heavy for every job's supervisor
        if name.isdigit():
            yield int(name)


def children(pid: int) -> list[int]:
    """The processes whose parent it is, ended ones that were not waited for included."""
    if _lists_children(pid):
        return _children(pid)
    return _children_by_parent().get(pid, [])


def _lists_children(pid: int) -> bool:
    # /proc/PID/task/TID/children is much cheaper than looking at every process, and not in every kernel
    return os.path.exists(f"/proc/{pid}/task/{pid}/children")  # noqa: PTH110 - as above


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - as above
            found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        pass  # it ended while we looked, or belongs to another user
    return found


def _children_by_parent() -> dict[int, list[int]]:
    tree: dict[int, list[int]] = {}
    for pid in pids():
        if (found := stat(pid)) is not None:
            tree.setdefault(found.parent, []).append(pid)
    return tree


def descendants(root: int) -> list[int]:
    """Everything below a process; children that come and go meanwhile may be missing."""
    quick = _lists_children(root)
    tree = {} if quick else _children_by_parent()
    found: list[int] = []
    ahead = [root]
    while ahead:
        pid = ahead.pop()
        below = _children(pid) if quick else tree.get(pid, [])
        found += below
        ahead += below
    return found


def owner(pid: int) -> int | None:
    """The effective user id of a process; None: there is no such process."""
    try:
        return os.stat(f"/proc/{pid}").st_uid  # noqa: PTH116 - as above
    except OSError:
        return None


def user_of(pid: int) -> str:
    """``root``, or the number of the user to whom a process belongs; no name service is asked."""
    user = owner(pid)
    return "root" if user == 0 else "an unknown user" if user is None else f"user {user}"


def hides_processes() -> bool:
    """
    Whether ``/proc`` is mounted with ``hidepid``.

    It then shows a process that is not dumpable to root only. Source: proc(5).
    """
    with open("/proc/self/mounts", "rb") as mounts:  # noqa: PTH123 - as above
        found = [line.split()[3].split(b",") for line in mounts if line.split()[1:3] == [b"/proc", b"proc"]]
    options = found[-1] if found else []
    return any(each.startswith(b"hidepid=") and each not in {b"hidepid=0", b"hidepid=off"} for each in options)


def having_environment(*marks: bytes) -> list[int]:
    """Processes of ours that were started with one of these ``NAME=value``."""
    wanted = set(marks)
    found = []
    for pid in pids():
        try:
            if wanted & set(_shown(pid, "environ").split(b"\0")):
                found.append(pid)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # gone, or of another user
    return found


def command_line(pid: int) -> bytes:
    """Empty: there is no such process, or it has ended."""
    try:
        return _shown(pid, "cmdline")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


def _shown(pid: int, name: Literal["cmdline", "environ"]) -> bytes:
    """What the kernel shows of a process; it shows nothing for a moment while the process becomes another program."""
    path = f"/proc/{pid}/{name}"
    limit = time.monotonic() + _EXEC_S
    while not (text := _read(path)) and time.monotonic() < limit:
        if not _is_in_exec(pid):
            return _read(path)
        time.sleep(0.001)  # noqa: TID251 - with no event loop in sight, and for as long as a program is loaded
    return text


def _is_in_exec(pid: int) -> bool:
    if _read(f"/proc/{pid}/cmdline") or _read(f"/proc/{pid}/environ"):
        return False
    text = _read_line(f"/proc/{pid}/stat")
    flags = int(text[text.rindex(b")") + 2 :].split()[6])
    return parse_stat(text).state not in "ZX" and not flags & _KERNEL_THREAD
