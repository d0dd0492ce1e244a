"""
Moving session directories on the front end: what HTCondor gets, and what happens to the files that it returns.

``RUNDIR/in.KEY`` is sent: the directories of the session, and links to its files, so that nothing is copied. A start
marker on a node cannot keep a second copy of an attempt from running, so the key does. Each submission has a new key
and takes over the files of the one before: a job that HTCondor accepts late has no files to start with.
``RUNDIR/log.KEY`` is HTCondor's log of a submission.

``RUNDIR/back`` is received, see ``lrms.jobscript.sandbox``. It replaces the session by renaming, once HTCondor's log
says that it is complete; until then the session is unchanged. Every step may be repeated. The completion record,
``RUNDIR/done``, is written last: when it exists, the session is as the job has left it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shlex
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from arex.controldir import atomic, confined_fs, trees
from arex.errors import CorruptFile, UnsafePath
from arex.model.ids import LocalId
from lrms.attempt.record import UnreadableRecord, parse_done, read_done, read_file
from lrms.htcondor.eventlog import EventSummary, parse_log
from lrms.jobscript.sandbox import BACK

_KEY: Final = "key"
_READY: Final = "ready"
_SENT: Final = re.compile(rb"entries=(\d{1,18})\nbytes=(\d{1,18})\ncomplete=yes\n")
#: Errors for names that no file system accepts, which only a forged list contains.
_FORGED: Final = frozenset({errno.ENOENT, errno.ENAMETOOLONG, errno.EINVAL, errno.ENOTDIR, errno.ELOOP})
#: Limit for names and targets of links, and for accounting lines, bytes.
_MOST: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Link:
    """The target of links into a cache of this service, and the directory with the files."""

    seen: str
    path: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Permission for a new submission with this key; or none, because this job was accepted."""

    key: str = ""
    taken: LocalId | None = None


# --- what is sent -----------------------------------------------------------------------------------------------------


def inputs(key: str) -> str:
    """The directory that a submission sends."""
    return f"in.{key}"


def log_of(key: str) -> str:
    """HTCondor's log of a submission."""
    return f"log.{key}"


def lay_out(rundir: Path, session: Path, caches: tuple[Link, ...] = ()) -> None:
    """
    Prepare the files to be sent, unless they are there.

    Links into a cache of arex become files on the node; other links stay links.
    """
    if _sent_with(rundir):
        return
    half = rundir / f"half.{secrets.token_hex(4)}"
    for directory in (half, half / BACK, half / "session"):
        directory.mkdir(mode=0o700)
    lines = list(_mirror(session, half / "session", tuple(_of_job(each, session.name) for each in caches)))
    (half / "links").write_bytes(os.fsencode("".join(lines)))
    half.rename(rundir / inputs(secrets.token_hex(4)))


def claim(rundir: Path) -> Claim:
    """
    Prepare a new submission, after which no earlier one can start; unless an earlier one was accepted.

    Raises:
        OSError: the disk has an error, or the files are missing.
    """
    [known] = _sent_with(rundir) or [""]
    if (taken := summary_of(rundir).taken) is not None:
        if known not in {"", key := _key(rundir)}:  # a crash came in between
            (rundir / inputs(known)).rename(rundir / inputs(key))
        return Claim(taken=taken)
    key = secrets.token_hex(4)
    (rundir / inputs(known)).rename(rundir / inputs(key))
    # a job that was accepted by now may have started; one that is accepted later has no files to start with
    if (taken := summary_of(rundir).taken) is not None:
        (rundir / inputs(key)).rename(rundir / inputs(known))
        return Claim(taken=taken)
    atomic.put(str(rundir / _KEY), key.encode())
    return Claim(key=key)


def _sent_with(rundir: Path) -> list[str]:
    """The key of the files to be sent; empty if there are none."""
    return [name.removeprefix("in.") for name in os.listdir(rundir) if name.startswith("in.")]  # noqa: PTH208 - names


def _of_job(cache: Link, job: str) -> Link:
    return Link(f"{cache.seen}/joblinks/{job}/", f"{cache.path}/joblinks/{job}/")


def _mirror(session: Path, mirror: Path, caches: tuple[Link, ...]) -> Iterator[str]:
    """Create directories and links to files; yields the commands that create the other links."""
    below = [""]
    while below:
        directory = below.pop()
        with os.scandir(session / directory) as entries:
            for entry in entries:
                name = f"{directory}{entry.name}"
                if entry.is_symlink():
                    target = os.readlink(entry.path)  # noqa: PTH115 - its very text
                    if (path := _cached(target, caches)) is None:
                        yield f"ln -s -- {shlex.quote(target)} {shlex.quote(f'./{name}')} || return 1\n"
                    else:
                        (mirror / name).symlink_to(path)
                elif entry.is_dir():
                    (mirror / name).mkdir()
                    (mirror / name).chmod(stat.S_IMODE(entry.stat().st_mode) & 0o777 | 0o700)
                    below.append(f"{name}/")
                elif entry.is_file():
                    (mirror / name).symlink_to(entry.path)


def _cached(target: str, caches: tuple[Link, ...]) -> str | None:
    for each in caches:
        if target.startswith(each.seen) and ".." not in target.split("/"):
            return each.path + target.removeprefix(each.seen)
    return None


# --- what comes back --------------------------------------------------------------------------------------------------


def summary_of(rundir: Path) -> EventSummary:
    """The content of HTCondor's log of this attempt; raises OSError."""
    data = _read(log_file(rundir))
    return parse_log((data or b"").decode(errors="replace"))


def log_file(rundir: Path) -> Path:
    """The log of the current submission."""
    return rundir / log_of(_key(rundir))


def _key(rundir: Path) -> str:
    return (_read(rundir / _KEY) or b"").decode(errors="replace")


def note_start(rundir: Path) -> None:
    """Write the start marker of an attempt that has started on a node: without it, the attempt has not started."""
    if os.path.lexists(rundir / "started") or (began := summary_of(rundir).began) is None:
        return
    atomic.put(str(rundir / "started"), f"id {began}\n".encode())


def is_open(rundir: Path) -> bool:
    """Whether files have arrived that are not in their place yet."""
    return os.path.lexists(rundir / BACK / "done") and not os.path.lexists(rundir / "done")


def take_in(rundir: Path, session: Path, *, certain: bool = False) -> bool:
    """
    Replace the session with the files that have arrived; False if they are incomplete.

    ``certain``: it has not changed for long, so it may be complete although the log does not say so.

    Raises:
        OSError: the disk; to be retried.
    """
    if os.path.lexists(rundir / "done"):
        return True
    returned = summary_of(rundir).returned
    text = _record(rundir / BACK)
    if text is None or not (returned or certain):
        return False
    try:
        if not os.path.lexists(rundir / BACK / _READY) and not _make_ready(rundir / BACK, text, exactly=not returned):
            return False
    except _Damaged as exc:
        text = _spoiled(text, str(exc))
    ready = os.path.lexists(rundir / BACK / _READY)
    if ready:
        _swap(rundir, session)
    _add_diag(rundir / BACK / "diag", session.with_name(f"{session.name}.diag"))
    note_start(rundir)
    # the previous session, and what a second copy would start with; the record comes after, because it allows cleaning
    _remove(rundir, ("before.", "half.", "in."))
    atomic.put(str(rundir / "done"), text.encode())
    if ready:
        confined_fs.remove_tree(rundir / BACK)
    return True


class _Damaged(Exception):
    """The files that have arrived are not those that were sent."""


def _record(back: Path) -> str | None:
    """The text of the record, if it is complete."""
    try:
        if read_done(back / "done") is None:
            return None
        data = read_file(back / "done")
    except UnreadableRecord:
        return None
    return None if data is None else data.decode(errors="replace")


def _make_ready(back: Path, text: str, *, exactly: bool) -> bool:
    """Compare with the counts of the script and create the links; False: files may still be missing."""
    sent = _SENT.fullmatch(_read(back / "sent") or b"")
    if sent is None:
        if parse_done(text).exit_code is not None:
            raise _Damaged("the files of the job were not returned")
        return True  # the record says why there are none
    wanted, came = (int(sent[1]), int(sent[2])), _measured(back / "session")
    if exactly and came != wanted:
        return False
    # a process that outlived the payload may have written after the files were counted
    if came[0] < wanted[0]:
        raise _Damaged(f"{wanted[0] - came[0]} of {wanted[0]} files of the job were not returned")
    try:
        _make_links(back)
    except (UnsafePath, CorruptFile, ValueError, OSError) as exc:
        if isinstance(exc, OSError) and exc.errno not in _FORGED:
            raise
        raise _Damaged(f"the links of the session directory can't be created again: {exc}") from exc
    (back / _READY).touch()
    return True


def _measured(tree: Path) -> tuple[int, int]:
    """Number of entries, including the directory itself, and bytes of files; a link does not count as a tree."""
    if not tree.is_dir() or tree.is_symlink():
        return 0, 0
    entries = size = 0
    for info in trees.measured(tree):
        entries += 1
        size += info.st_size if stat.S_ISREG(info.st_mode) else 0
    return entries, size


def _make_links(back: Path) -> None:
    data = atomic.read(str(back / "links"), limit=_MOST)
    if data is None:
        raise CorruptFile(back / "links", "the list of links was not returned")
    words = os.fsdecode(data).split("\0")
    for name, target in zip(words[:-1:2], words[1::2], strict=True):
        with confined_fs.parent_of(back / "session", name) as (fd, last), contextlib.suppress(FileExistsError):
            os.symlink(target, last, dir_fd=fd)


def _swap(rundir: Path, session: Path) -> None:
    """Swap the directories. The session is missing for a moment; after a crash, the next call continues."""
    tree = rundir / BACK / "session"
    if not os.path.lexists(tree):
        return
    tree.chmod(stat.S_IMODE(tree.stat().st_mode) & 0o777 | 0o700)
    with contextlib.suppress(FileNotFoundError):
        session.rename(rundir / f"before.{secrets.token_hex(4)}")
    tree.rename(session)


def _add_diag(came: Path, diag: Path) -> None:
    lines = _read(came)
    known = _read(diag) or b""
    if lines and not known.endswith(lines):
        atomic.put(str(diag), known + lines)


def _spoiled(text: str, why: str) -> str:
    """The record of a job whose payload may have succeeded, but whose files are missing."""
    kept = [line for line in text.splitlines() if not line.startswith(("exitcode=", "signal=", "cause=", "message="))]
    return "\n".join(["exitcode=", "signal=", "cause=lost", f"message={' '.join(why.split())}", *kept, ""])


def forget(rundir: Path) -> None:
    """After the end: remove the files with which a queued copy would start; raises OSError."""
    _remove(rundir, ("in.",))


def _remove(rundir: Path, beginnings: tuple[str, ...]) -> None:
    for name in os.listdir(rundir):  # noqa: PTH208 - names are all that is wanted
        if name.startswith(beginnings):
            confined_fs.remove_tree(rundir / name)


def _read(path: Path) -> bytes | None:
    try:
        return atomic.read(str(path), limit=_MOST)
    except (CorruptFile, NotADirectoryError):
        return None
