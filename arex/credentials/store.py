"""
The credentials that jobs act with: ``delegations[.<user>]/`` of the control directory, as ARC keeps it.

A list in SQLite and a file for each credential. Jobs share credentials; each job has a row that locks the one that it
uses. A credential without a lock is removed a day after its last use. Calls block, also while another process writes:
use a worker thread.
Source: ARC 6.17.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from arex.controldir import atomic
from arex.controldir.delegations import credential_path
from arex.credentials.file import LARGEST
from arex.errors import CorruptFile, CredentialError
from arex.model.ids import JobId

#: A credential that no job holds is kept for so long after its last use.
UNUSED: Final = timedelta(hours=24)
#: The list, made as ARC makes it.
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS rec(id, owner, uid, meta, UNIQUE(id, owner), UNIQUE(uid))",
    "CREATE TABLE IF NOT EXISTS lock(lockid, uid)",
    "CREATE INDEX IF NOT EXISTS lockid ON lock (lockid)",
    "CREATE INDEX IF NOT EXISTS uid ON lock (uid)",
)
_ESCAPED: Final = re.compile("['#%\r\n\b\0]")
_BUSY_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Tidied:
    """What a round of tidying removed."""

    locks: int = 0
    credentials: int = 0


class Store:
    """One directory of credentials; holds nothing open, so threads and processes may share it."""

    def __init__(self, directory: Path, *, busy_s: float = _BUSY_S) -> None:
        """``busy_s``: how long to wait for another process that writes."""
        self.directory = directory
        self._busy_s = busy_s

    def path(self, id_: str) -> Path:
        """
        Where the credential of an id lies.

        Raises:
            CredentialError: that is no id.
        """
        return credential_path(self.directory, id_)

    def read(self, id_: str) -> bytes | None:
        """
        A credential; None if there is none of that id.

        Raises:
            CredentialError: that is no id, or the file cannot be read.
        """
        try:
            return atomic.read(str(self.path(id_)), limit=LARGEST)
        except (CorruptFile, OSError) as exc:
            raise CredentialError(f"cannot read the credential {id_}: {exc}") from exc

    # --- for those who submit ------------------------------------------------------------------------------------

    def keep(self, owner: str, data: bytes, job: JobId) -> str:
        """
        Lock a credential for a job. The same credential of the same owner is stored once.

        Returns:
            its id.
        """
        with self._changing() as db:
            known = db.execute("SELECT uid FROM rec WHERE owner = ?", (_escape(owner),)).fetchall()
            id_ = next((uid for (uid,) in known if self._holds(uid, data)), None)
            if id_ is None:
                id_ = secrets.token_hex(6)
                self._put(id_, data)
                db.execute("INSERT INTO rec VALUES (?, ?, ?, '')", (id_, _escape(owner), id_))
            db.execute("INSERT INTO lock VALUES (?, ?)", (_escape(job), id_))
        with contextlib.suppress(FileNotFoundError):
            os.utime(self.path(id_))
        return id_

    def _holds(self, uid: str, data: bytes) -> bool:
        try:
            path = self.path(uid)
            return path.stat().st_size == len(data) and self.read(uid) == data
        except (CredentialError, OSError):
            return False  # the record of another owner, or one without a file: in any case a different one

    def renew(self, id_: str, owner: str, data: bytes, job: JobId) -> list[JobId]:
        """
        Replace the credential of an id for all jobs that share it; a lost record is created again for ``job``.

        Returns:
            the jobs that lock it, ``job`` among them.

        Raises:
            CredentialError: that is no id.
        """
        with self._changing() as db:
            self._put(id_, data)
            if db.execute("SELECT 1 FROM rec WHERE uid = ?", (id_,)).fetchone() is None:
                db.execute("INSERT INTO rec VALUES (?, ?, ?, '')", (id_, _escape(owner), id_))
            holders = [lock for (lock,) in db.execute("SELECT lockid FROM lock WHERE uid = ?", (id_,))]
            if _escape(job) not in holders:
                db.execute("INSERT INTO lock VALUES (?, ?)", (_escape(job), id_))
        return [*dict.fromkeys((job, *map(JobId, holders)))]

    def give_back(self, job: JobId) -> None:
        """The job was not created: remove what was stored for it alone."""
        with self._changing() as db:
            held = [uid for (uid,) in db.execute("SELECT uid FROM lock WHERE lockid = ?", (_escape(job),))]
            db.execute("DELETE FROM lock WHERE lockid = ?", (_escape(job),))
            for uid in held:
                if db.execute("SELECT 1 FROM lock WHERE uid = ?", (uid,)).fetchone() is None:
                    self._remove(db, uid)

    # --- for the service -----------------------------------------------------------------------------------------

    def held(self) -> Mapping[JobId, Collection[str]]:
        """Jobs, and the ids of the credentials that they lock. Empty if nothing was ever stored."""
        found: dict[JobId, set[str]] = {}
        if (self.directory / "list").exists():
            with self._database() as db:
                for job, uid in db.execute("SELECT lockid, uid FROM lock"):
                    found.setdefault(JobId(job), set()).add(uid)
        return found

    def tidy(self, gone: Collection[JobId], now: datetime) -> Tidied:
        """Release credentials of removed jobs, and remove credentials that were not used for a day."""
        if not (self.directory / "list").exists():
            return Tidied()
        with self._changing() as db:
            locks = 0
            for job in gone:
                locks += db.execute("DELETE FROM lock WHERE lockid = ?", (_escape(job),)).rowcount
            free = db.execute("SELECT uid FROM rec WHERE uid NOT IN (SELECT uid FROM lock)").fetchall()
            expired = [uid for (uid,) in free if self._unused_since(uid) < now - UNUSED]
            for uid in expired:
                self._remove(db, uid)
        return Tidied(locks, len(expired))

    def _unused_since(self, uid: str) -> datetime:
        try:
            stamp = os.lstat(self.path(uid)).st_mtime
        except (FileNotFoundError, CredentialError):
            stamp = 0.0  # a record without a file is of no use to anybody
        return datetime.fromtimestamp(stamp, tz=UTC)

    # --- files and list ------------------------------------------------------------------------------------------

    def _put(self, id_: str, data: bytes) -> None:
        path = self.path(id_)
        for directory in reversed(path.relative_to(self.directory).parents):
            (self.directory / directory).mkdir(0o700, exist_ok=True)
        atomic.put(str(path), data)

    def _remove(self, db: sqlite3.Connection, uid: str) -> None:
        db.execute("DELETE FROM rec WHERE uid = ?", (uid,))
        with contextlib.suppress(CredentialError):  # not a name of ours: the record goes, no file is touched
            path = self.path(uid)
            atomic.remove(str(path))
            for directory in path.relative_to(self.directory).parents[:-1]:
                try:
                    (self.directory / directory).rmdir()
                except OSError:  # there are others in it
                    break

    @contextlib.contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """The list for a change: one at a time, all or nothing."""
        with self._database() as db:
            db.execute("BEGIN IMMEDIATE")
            with db:
                yield db

    @contextlib.contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        path = self.directory / "list"
        try:
            if not path.exists():
                self.directory.mkdir(0o700, exist_ok=True)
                atomic.touch(str(path))  # before SQLite does, which would let others read it
            with contextlib.closing(sqlite3.connect(path, timeout=self._busy_s, isolation_level=None)) as db:
                self._make_tables(db)
                yield db
        except (sqlite3.Error, CorruptFile) as exc:
            raise CredentialError(f"cannot use the credential store {self.directory}: {exc}") from exc

    @staticmethod
    def _make_tables(db: sqlite3.Connection) -> None:
        names = "SELECT count(*) FROM sqlite_master WHERE name IN ('rec', 'lock', 'lockid', 'uid')"
        if db.execute(names).fetchone() != (4,):
            for statement in _SCHEMA:
                db.execute(statement)


def _escape(text: str) -> str:
    return _ESCAPED.sub(lambda match: f"%{ord(match[0]):02x}", text)
