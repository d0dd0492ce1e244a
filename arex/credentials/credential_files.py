"""Credentials of jobs in the store: path, kind and expiry; and the copies that jobs have."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from arex.controldir import atomic, confined_fs
from arex.controldir.store import ControlDir
from arex.controldir.temporary import temporary_name
from arex.credentials import token
from arex.credentials.file import LARGEST, from_pem
from arex.errors import CorruptFile, CredentialError, UnsafePath
from arex.model.ids import JobId

#: Where the environment ``ENV/PROXY`` puts a job's copy, below its session directory.
IN_SESSION: Final = "user.proxy"
_MOST_SEEN: Final = 10_000


def is_certificate(data: bytes) -> bool:
    """Whether these bytes are certificates rather than a token."""
    return b"-----BEGIN" in data


@dataclass(frozen=True, slots=True)
class Kept:
    """What a credential file says."""

    expires: datetime
    certificate: bool  #: else it is a token
    version: tuple[int, int]  #: another one after a change


_seen: Final[dict[tuple[str, tuple[int, int]], Kept | None]] = {}


def look(path: str) -> Kept | None:
    """
    What a credential file says; None if it is missing or invalid. The file is read again only after a change.

    Threads may call this at the same time: at worst, two of them read the file.
    """
    try:
        info = os.lstat(path)
    except OSError:
        return None
    key = path, (info.st_mtime_ns, info.st_ino)
    if key not in _seen:
        if len(_seen) >= _MOST_SEEN:
            _seen.clear()
        _seen[key] = found = _read(*key)
        return found
    return _seen.get(key)


def _read(path: str, version: tuple[int, int]) -> Kept | None:
    try:
        data = atomic.read(path, limit=LARGEST) or b""
        if is_certificate(data):
            return Kept(from_pem(Path(path), data).expires, certificate=True, version=version)
        return Kept(token.from_bytes(data, path).expires, certificate=False, version=version)
    except (CorruptFile, CredentialError, OSError):
        return None


def hand_out(store: ControlDir, job: JobId, session: Path | None, pem: bytes) -> bool:
    """
    Update the copies of a job: ``.proxy``, and the copy that ``ENV/PROXY`` has made in the session directory.

    If the file in the session directory differs from the old ``.proxy``, the job has written it, and it stays.

    Returns:
        whether anything was changed.
    """
    old = store.read(job, "proxy")
    if old == pem:
        return False
    if old and session is not None:
        with contextlib.suppress(UnsafePath, OSError):  # the job has put something else there, or is gone
            _replace(session, old, pem)
    store.put(job, "proxy", pem)
    return True


def _replace(session: Path, old: bytes, new: bytes) -> None:
    with os.fdopen(confined_fs.open_file(session, IN_SESSION), "rb") as stream:
        if stream.read(LARGEST) != old:
            return
    with confined_fs.parent_of(session, IN_SESSION) as (fd, name):
        temporary = temporary_name(f".{name}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        out = os.open(temporary, flags, 0o600, dir_fd=fd)
        try:
            atomic.write_all(out, new)
        finally:
            os.close(out)
        os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)
