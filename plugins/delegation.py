"""
Credentials that jobs act with: copies in ``delegations.<user>/`` of the control directory.

Client, service and user are the same account here, so a copy of the user's own proxy does what a delegated one does
elsewhere. Source: spec of the control directory (ARC 6.17), section on the credential store.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from arex.controldir import atomic
from arex.credentials import Credential
from arex.errors import CredentialError
from arex.model.ids import JobId

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS rec(id, owner, uid, meta, UNIQUE(id, owner), UNIQUE(uid))",
    "CREATE TABLE IF NOT EXISTS lock(lockid, uid)",
    "CREATE INDEX IF NOT EXISTS lockid ON lock (lockid)",
    "CREATE INDEX IF NOT EXISTS uid ON lock (uid)",
)
_ESCAPED: Final = re.compile("['#%\r\n\b\0]")
_BUSY_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Delegated:
    """A credential in the store."""

    id: str
    expires: datetime
    pem: bytes


class Delegations:
    """The store of one user, and the credential that goes into it."""

    def __init__(self, directory: Path, credential: Credential) -> None:
        self._directory = directory
        self._credential = credential

    def keep(self, job: JobId) -> Delegated:
        """Put a copy into the store, locked for a job."""
        id_ = secrets.token_hex(6)
        self._put(id_)
        with _database(self._directory) as db:
            db.execute("INSERT INTO rec VALUES (?, ?, ?, '')", (id_, _escape(self._credential.identity), id_))
            db.execute("INSERT INTO lock VALUES (?, ?)", (_escape(job), id_))
        return Delegated(id_, self._credential.expires, self._credential.pem)

    def renew(self, id_: str) -> Delegated:
        """
        Replace the copy behind an id.

        Raises:
            CredentialError: the id is not one of ours.
        """
        if re.fullmatch("[0-9A-Za-z]{5,64}", id_) is None:
            raise CredentialError(f"not a delegation id: {id_[:80]!r}")
        self._put(id_)
        return Delegated(id_, self._credential.expires, self._credential.pem)

    def release(self, job: JobId) -> None:
        """Give back what a job held, and remove credentials that nothing holds any more."""
        if not (self._directory / "list").exists():
            return
        with _database(self._directory) as db:
            held = [uid for (uid,) in db.execute("SELECT uid FROM lock WHERE lockid = ?", (_escape(job),))]
            db.execute("DELETE FROM lock WHERE lockid = ?", (_escape(job),))
            db.executemany("DELETE FROM rec WHERE uid = ?", [(uid,) for uid in held])
        for uid in held:
            atomic.remove(str(self._path(uid)))

    def _put(self, id_: str) -> None:
        path = self._path(id_)
        for directory in reversed(path.relative_to(self._directory).parents):
            with contextlib.suppress(FileExistsError):
                os.mkdir(self._directory / directory, 0o700)
        atomic.put(str(path), self._credential.pem)

    def _path(self, uid: str) -> Path:
        """Three letters a directory, while more than four are left."""
        parts, rest = [], uid
        while len(rest) > 4:
            parts.append(rest[:3])
            rest = rest[3:]
        return self._directory.joinpath(*parts, rest)


def _escape(text: str) -> str:
    return _ESCAPED.sub(lambda match: f"%{ord(match[0]):02x}", text)


@contextlib.contextmanager
def _database(directory: Path) -> Iterator[sqlite3.Connection]:
    """The index, in one transaction."""
    try:
        with contextlib.closing(sqlite3.connect(directory / "list", timeout=_BUSY_S)) as db, db:
            for statement in _SCHEMA:
                db.execute(statement)
            db.execute("BEGIN IMMEDIATE")
            yield db
    except sqlite3.Error as exc:
        raise CredentialError(f"the credential store {directory} can't be used: {exc}") from exc
