"""
What became of a user's jobs after they were fetched or removed: a database beside the list of jobs.

ARC's clients forget such jobs. This file still answers for the last ``KEPT`` of them. All functions block.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from arex.errors import ArexError
from arex.model.labels import PARENT

KEPT: Final = 10_000
#: The database is cut to ``KEPT`` jobs when it has so many more.
_SLACK: Final = 500
_BUSY_S: Final = 10.0
_COLUMNS: Final = "id, name, value, action, at, results"
#: Shortest beginning of an id that selects a job.
SHORTEST: Final = 4


class JobHistoryError(ArexError):
    """The history of jobs cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastJob:
    """A job that is no longer at the service."""

    id: str
    name: str
    value: Mapping[str, Any]  #: the job as in JSON documents, when it was last seen
    action: str  #: what became of it: ``fetched``, ``removed``, ``canceled``, ``submitted again as ID``
    at: datetime
    results: str = ""  #: directory of the results, if they were fetched


def path_beside(joblist: Path) -> Path:
    return joblist.with_name(f"{joblist.name}.history")


class JobHistory:
    """The database of one user; it is created when the first job is added."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, jobs: Iterable[PastJob]) -> None:
        """Add jobs, or replace what is known about them."""
        rows = [(job.id, job.name, json.dumps(job.value), job.action, job.at.timestamp(), job.results) for job in jobs]
        if not rows:
            return
        with self._open(create=True) as db:
            db.executemany(
                "INSERT OR REPLACE INTO jobs(id, name, value, action, at, results) VALUES (?,?,?,?,?,?)", rows
            )
            [count] = db.execute("SELECT count(*) FROM jobs").fetchone()
            if count > KEPT + _SLACK:
                newest = "SELECT id FROM jobs ORDER BY at DESC, rowid DESC LIMIT ?"
                db.execute(f"DELETE FROM jobs WHERE id NOT IN ({newest})", (KEPT,))  # noqa: S608
            db.commit()

    def all(self) -> list[PastJob]:
        """All jobs, the oldest first."""
        return self._select("", ())

    def find(self, name: str) -> list[PastJob]:
        """Jobs with this id, name or URL, with an id or of an array whose id begins like this, the oldest first."""
        bare = name.rstrip("/").rpartition("/")[2]
        if found := self._select("WHERE id = ? OR name = ?", (bare, name)):
            return found
        if len(name) < SHORTEST or not name.isalnum():
            return []
        if found := self._select("WHERE substr(id, 1, ?) = ?", (len(name), name)):
            return found
        return [job for job in self.all() if str((job.value.get("labels") or {}).get(PARENT, "")).startswith(name)]

    def _select(self, where: str, values: tuple[object, ...]) -> list[PastJob]:
        if not self.path.exists():
            return []
        with self._open() as db:
            rows = db.execute(f"SELECT {_COLUMNS} FROM jobs {where} ORDER BY at, rowid", values).fetchall()  # noqa: S608
        try:
            return [
                PastJob(
                    id=job, name=name, value=json.loads(value), action=action, results=results,
                    at=datetime.fromtimestamp(at, UTC),
                )
                for job, name, value, action, at, results in rows
            ]  # fmt: skip
        except (ValueError, TypeError) as exc:
            raise JobHistoryError(f"the history of jobs {self.path} cannot be parsed: {exc}; move it away") from exc

    @contextlib.contextmanager
    def _open(self, *, create: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            if create:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                # names of files and error texts can be private
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            with contextlib.closing(sqlite3.connect(self.path, timeout=_BUSY_S)) as db:
                if create:
                    db.execute(
                        "CREATE TABLE IF NOT EXISTS jobs(id TEXT PRIMARY KEY, name TEXT, value TEXT, action TEXT, "
                        "at REAL, results TEXT)"
                    )
                yield db
        except (sqlite3.Error, OSError) as exc:
            raise JobHistoryError(f"the history of jobs {self.path} cannot be used: {exc}; move it away") from exc
