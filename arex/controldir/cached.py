"""
The control directory with a cache for one turn of one job. A turn takes milliseconds.

A file that the turn has read or written is not read again, and each mark is checked only once. If another process
changes one of these files during the turn, it also wakes the job, so the next turn sees the change. Lines for
``.errors`` are collected and written together, before the status file.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from arex.controldir import atomic, codec
from arex.controldir.layout import Mark, Place
from arex.controldir.store import ControlDir
from arex.model.ids import JobId
from arex.model.state import Status


class CachedControlDir(ControlDir):
    """
    The control directory for one turn of ``job``; not thread-safe.

    ``put_status`` and ``flush`` write the lines of ``note`` to ``.errors``; ``sync`` flushes durable files to disk.
    """

    def __init__(self, store: ControlDir, job: JobId) -> None:
        super().__init__(store.layout, durable=store.durable)
        self._job = job
        self._files: dict[str, bytes | None] = {}  #: by suffix; None: there is no such file
        self._marks: dict[Mark, bool] = {}
        self._notes: list[str] = []
        self._unsynced: set[str] = set()  #: suffixes of files that may not be on disk yet

    def flush(self) -> None:
        """Append the lines of ``note`` to ``.errors``; on OSError, they are kept for the next call."""
        if self._notes:
            super().append(self._job, "errors", "".join(self._notes))
            self._notes.clear()

    def sync(self) -> None:
        """
        Flush the files that were written with ``durable`` to disk.

        The worker calls this for several jobs in a row, after their turns: the first flush then usually includes the
        files of the others, and the remaining calls are cheap.

        Raises:
            OSError: a file could not be flushed.
        """
        for suffix in self._unsynced:
            atomic.force(self.layout.job_file(self._job, suffix))
        self._unsynced.clear()

    # --- files ---

    def read(self, job: JobId, suffix: str, *, limit: int = atomic.MAX_SIZE) -> bytes | None:
        if suffix == "errors":
            self.flush()
            return super().read(job, suffix, limit=limit)
        if suffix not in self._files:
            self._files[suffix] = super().read(job, suffix, limit=limit)
        return self._files[suffix]

    def put(self, job: JobId, suffix: str, data: bytes, *, mode: int = 0o600, durable: bool = False) -> None:
        self._files.pop(suffix, None)
        super().put(job, suffix, data, mode=mode)
        self._files[suffix] = data
        if durable and self.durable:
            self._unsynced.add(suffix)

    def create(self, job: JobId, suffix: str, data: bytes, *, durable: bool = False) -> bool:
        if self._files.get(suffix) is not None or not super().create(job, suffix, data):
            return False
        self._files[suffix] = data
        if durable and self.durable:
            self._unsynced.add(suffix)
        return True

    def append(self, job: JobId, suffix: str, text: str) -> None:
        before = self._files.pop(suffix, None)
        super().append(job, suffix, text)
        if before is not None:
            self._files[suffix] = before + codec.encode(text)

    def note(self, job: JobId, text: str) -> None:
        del job
        self._notes.append(text if text.endswith("\n") else text + "\n")

    def touch(self, job: JobId, suffix: str) -> None:
        if not self.create(job, suffix, b""):  # a new file is known to be empty
            super().touch(job, suffix)

    def take(self, job: JobId, suffix: str, path: Path, data: bytes | None = None) -> bool:
        self._files.pop(suffix, None)
        if taken := super().take(job, suffix, path):
            self._files.update({} if data is None else {suffix: data})
        return taken

    def remove(self, job: JobId, suffixes: Iterable[str]) -> None:
        for suffix in suffixes:
            if suffix == "errors":
                self._notes.clear()
            self._unsynced.discard(suffix)
            if self._files.get(suffix, b"") is not None:
                super().remove(job, (suffix,))
                self._files[suffix] = None

    def forget(self, job: JobId) -> None:
        self._files.clear()  # remove all files, including those created since the last read
        super().forget(job)

    # --- status and marks ---

    def put_status(self, job: JobId, status: Status, at: Place | None) -> Place:
        self.flush()
        return super().put_status(job, status, at)

    def has_mark(self, job: JobId, mark: Mark) -> bool:
        if mark not in self._marks:
            self._marks[mark] = super().has_mark(job, mark)
        return self._marks[mark]

    def set_mark(self, job: JobId, mark: Mark) -> None:
        self._marks.pop(mark, None)
        super().set_mark(job, mark)

    def drop_mark(self, job: JobId, mark: Mark) -> None:
        self.flush()  # the answer to a request is on disk before the request is gone
        super().drop_mark(job, mark)
        self._marks[mark] = False
