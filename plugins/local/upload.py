"""
Upload of input files after the submission, and the confirmation for the service.

Source: ``docs/developers/control-directory.md``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from arex.controldir import codec, hostlock
from arex.controldir.store import ControlDir
from arex.errors import ControlDirError
from arex.jobdesc.client.complete import ClientUpload
from arex.jobdesc.control.filelists import pfn
from arex.model.files import FileEntry
from arex.model.ids import JobId
from plugins.local.follow import Sleep
from plugins.local.submission import copy_in

_STALE_S: Final = 30.0
_ATTEMPTS: Final = 10
#: Confirmation of all files of a job with ClientDataPush.
ALL: Final = "/"


def upload(
    store: ControlDir, job: JobId, session: Path, files: Sequence[ClientUpload], pause: Sleep, *, done: bool
) -> None:
    """
    Copy files into a session directory and confirm them; with ``done``, confirm that there will be no more files.

    Raises:
        JobDescriptionError: a file cannot be read; the files before it are copied and confirmed.
        ControlDirError: another client has held the lock of the confirmations for too long.
    """
    brought: list[str] = []
    try:
        for file in files:
            copy_in(file, session)
            brought.append(pfn(file.name))
    finally:
        confirm(store, job, [*brought, *([ALL] if done and len(brought) == len(files) else [])], pause)


def confirm(store: ControlDir, job: JobId, names: Sequence[str], pause: Sleep) -> None:
    """Add names to ``.input_status`` under its lock, unless they are already in the file."""
    with lock(store.layout.job_file(job, "input_status"), pause):
        data = store.read(job, "input_status") or b"\n"
        known = set(codec.parse_input_status(data))
        new = [FileEntry(name) for name in names if name not in known]
        store.put(job, "input_status", data + codec.dump_entries(new))


@contextlib.contextmanager
def lock(path: str, pause: Sleep) -> Iterator[None]:
    """
    Hold ARC's lock of a file: ``FILE.lock`` with the content ``PID@HOST``, see ``arex.controldir.hostlock``.

    Raises:
        ControlDirError: the lock was not released within ten seconds.
    """
    name = f"{path}.lock"
    _take(name, pause)
    try:
        yield
    finally:
        hostlock.release(name)


def _take(name: str, pause: Sleep) -> None:
    for _ in range(_ATTEMPTS):
        if hostlock.take(name, _STALE_S) is not hostlock.LockResult.NO:
            return
        pause(1.0)
    raise ControlDirError(f"{name} is locked by another client; remove the file if there is no such client")
