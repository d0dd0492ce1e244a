"""
The list of a user's jobs, ``~/.arc/jobs.dat``, which is shared with ARC's clients.

Rows of other services are kept unchanged. Several clients may write concurrently. All functions block.
Bytes that are not UTF-8 are surrogates in values, as in ``os.fsdecode``, and stay as they are in the file.
Source: the job database of ARC's clients, 6.17.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from arex.errors import ArexError
from arex.model.arc import LOCAL_INTERFACE

#: Column names as in ARC; all columns are text without a declared type.
COLUMNS: Final = (
    "id", "idfromendpoint", "name", "statusinterface", "statusurl", "managementinterfacename", "managementurl",
    "serviceinformationinterfacename", "serviceinformationurl", "serviceinformationhost", "sessiondir", "stageindir",
    "stageoutdir", "descriptiondocument", "localsubmissiontime", "delegationid", "type", "localidfrommanager",
    "description", "state", "restartstate", "exitcode", "computingmanagerexitcode", "error", "waitingposition",
    "userdomain", "owner", "localowner", "requestedtotalwallltime", "requestedtotalcputime", "requestedslots",
    "requestedapplicationenvironment", "stdin", "stdout", "stderr", "logdir", "executionnode", "queue",
    "usedtotalwallltime", "usedtotalcputime", "usedmainmemory", "submissiontime", "computingmanagersubmissiontime",
    "starttime", "computingmanagerendtime", "endtime", "workingareaerasetime", "proxyexpirationtime",
    "submissionhost", "submissionclienttime", "othermessages", "activityoldid",
)  # fmt: skip
_BRIEF: Final = ("id", "idfromendpoint", "name", "managementinterfacename")
#: Values that ARC writes for unknown properties.
_UNKNOWN: Final = {
    "state": "Undefined",
    "restartstate": "Undefined",
    "exitcode": "-1",
    "waitingposition": "-1",
    "requestedtotalwallltime": "PT",
    "requestedtotalcputime": "PT",
    "requestedslots": "-1",
    "usedtotalwallltime": "PT",
    "usedtotalcputime": "PT",
    "usedmainmemory": "-1",
}
_ENDPOINT: Final = "file://localhost"
#: Suffixes of the files of a database. Source: sqlite.org/tempfiles.html.
_FILES: Final = ("", "-journal", "-wal", "-shm")
_BUSY_S: Final = 30.0
#: Limit on the number of parameters in a statement, in the oldest versions of SQLite.
_CHUNK: Final = 900
#: A parameter of a statement, which ``_bytes`` fills.
_HOLE: Final = "CAST(? AS TEXT)"

Row = Mapping[str, str]


class JobListError(ArexError):
    """The list of jobs cannot be used; ``is_broken`` means that the file is not a list of jobs."""

    def __init__(self, text: str, *, is_broken: bool = False) -> None:
        self.is_broken = is_broken
        super().__init__(text)


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    return Path(environ.get("HOME") or "/") / ".arc/jobs.dat"


def local_row(
    *, id_: str, session: str, name: str, document: str, submitted: int, stdio: tuple[str, str, str] = ("", "", "")
) -> Row:
    """
    A row for a job on this host, as written by ARC's internal plugin.

    Args:
        id_: the id, without a URL.
        session: absolute path of the session directory.
        name: name of the job, may be empty.
        document: the description as xRSL.
        submitted: seconds since the epoch.
        stdio: names of stdin, stdout and stderr.
    """
    stdin, stdout, stderr = stdio
    return {
        **_UNKNOWN,
        "id": f"file://{session}",
        "idfromendpoint": id_,
        "name": name,
        **dict.fromkeys(
            ("statusinterface", "managementinterfacename", "serviceinformationinterfacename"), LOCAL_INTERFACE
        ),
        **dict.fromkeys(("statusurl", "managementurl", "serviceinformationurl"), _ENDPOINT),
        "serviceinformationhost": "localhost",
        **dict.fromkeys(("sessiondir", "stageindir", "stageoutdir"), f"file:{session}"),
        "descriptiondocument": document,
        "localsubmissiontime": str(submitted),
        "stdin": stdin,
        "stdout": stdout,
        "stderr": stderr,
    }


def _bytes(text: str) -> bytes:
    """A value for a hole of a statement; SQLite does not take text with surrogates."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # surrogates that do not stand for a byte
        return text.encode("utf-8", "replace")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _holes(count: int) -> str:
    return ", ".join([_HOLE] * count)


class JobList:
    """A file with a list of jobs; it is created when the first job is added."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self) -> None:
        """
        Find out whether jobs can be added, before there are any.

        Raises:
            JobListError: they cannot.
        """
        if self.path.exists():
            with self._open(create=True) as db:
                db.execute("BEGIN IMMEDIATE")
                db.rollback()
            return
        above = next(place for place in self.path.absolute().parents if place.exists())
        if not os.access(above, os.W_OK | os.X_OK):
            raise JobListError(f"the list of jobs {self.path} can't be used: {above} cannot be written")

    def add(self, rows: Iterable[Row]) -> None:
        """Add or replace rows in one transaction."""
        values = [tuple(_bytes(row.get(column, "")) for column in COLUMNS) for row in rows]
        if not values:
            return
        holes = _holes(len(COLUMNS))
        with self._open(create=True) as db:
            db.execute("BEGIN IMMEDIATE")
            db.executemany(f"INSERT OR REPLACE INTO jobs({', '.join(COLUMNS)}) VALUES ({holes})", values)  # noqa: S608
            db.commit()

    def remove(self, ids: Collection[str]) -> None:
        """Remove jobs by their URLs; unknown URLs are ignored."""
        if not ids or not self.path.exists():
            return
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            db.executemany(f"DELETE FROM jobs WHERE id = {_HOLE}", [(_bytes(one),) for one in ids])  # noqa: S608
            db.commit()

    def clear(self) -> None:
        if self.path.exists():
            with self._open() as db:
                db.execute("DELETE FROM jobs")
                db.commit()

    def move_aside(self) -> Path:
        """
        Give a file that is no list of jobs another name, which is returned; adding a job then makes a new list.

        Raises:
            JobListError: it cannot be renamed.
        """
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.broken-{number}")).exists():
            number += 1
        try:
            for suffix in _FILES:
                with contextlib.suppress(FileNotFoundError):
                    Path(f"{self.path}{suffix}").rename(f"{aside}{suffix}")
        except OSError as exc:
            raise JobListError(f"cannot move {self.path} aside: {exc.strerror}") from exc
        return aside

    def all(self) -> list[Row]:
        """All jobs, the oldest first; empty if there is no list yet."""
        return self._select("", ())

    def brief(self) -> list[Row]:
        """Like ``all``, but only with the columns that identify jobs: several times as fast for thousands of jobs."""
        return self._select("", (), _BRIEF)

    def find(self, names: Collection[str]) -> list[Row]:
        """Jobs whose URL, id or name is in ``names``; several jobs can have the same name."""
        found: dict[str, Row] = {}
        wanted = list(dict.fromkeys(names))
        for start in range(0, len(wanted), _CHUNK // 3):
            some = wanted[start : start + _CHUNK // 3]
            holes = _holes(len(some))
            where = f"WHERE id IN ({holes}) OR idfromendpoint IN ({holes}) OR name IN ({holes})"
            found |= {row["id"]: row for row in self._select(where, tuple(map(_bytes, some)) * 3)}
        return list(found.values())

    def _select(self, where: str, values: tuple[bytes, ...], columns: Sequence[str] = COLUMNS) -> list[Row]:
        if not self.path.exists():
            return []
        with self._open() as db:
            rows = db.execute(f"SELECT {', '.join(columns)} FROM jobs {where} ORDER BY rowid", values)  # noqa: S608
            return [{name: "" if text is None else str(text) for name, text in zip(columns, row, strict=True)}
                    for row in rows]  # fmt: skip

    @contextlib.contextmanager
    def _open(self, *, create: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            if create:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_private(create=create)
            with contextlib.closing(sqlite3.connect(self.path, timeout=_BUSY_S)) as db:
                db.text_factory = _text
                if create:
                    db.execute(f"CREATE TABLE IF NOT EXISTS jobs({', '.join(COLUMNS)}, UNIQUE(id))")
                    db.execute("CREATE INDEX IF NOT EXISTS serviceinformationhost ON jobs(serviceinformationhost)")
                    db.commit()
                yield db
        except (sqlite3.Error, OSError) as exc:
            is_broken = isinstance(exc, sqlite3.DatabaseError) and not isinstance(exc, sqlite3.OperationalError)
            cure = "; 'arcsync -T' moves the file aside and makes a new list" if is_broken else ""
            raise JobListError(f"the list of jobs {self.path} can't be used: {exc}{cure}", is_broken=is_broken) from exc

    def _make_private(self, *, create: bool) -> None:
        """
        Only the owner may read the list and the files that SQLite makes beside it: descriptions can contain passwords.
        SQLite gives those files the mode of the list.
        """
        if create:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        for suffix in _FILES:
            with contextlib.suppress(FileNotFoundError):
                path = Path(f"{self.path}{suffix}")
                info = path.stat()
                if info.st_uid == os.geteuid() and stat.S_ISREG(info.st_mode) and info.st_mode & 0o077:
                    path.chmod(0o600)
