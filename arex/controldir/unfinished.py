"""Submissions that were killed: a description without a status file, and what else they have made."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from arex.controldir.layout import NestedLayout, Place
from arex.controldir.session import SessionFiles
from arex.controldir.store import ControlDir
from arex.errors import CorruptFile
from arex.model.ids import JobId, is_job_id

#: Age in seconds at which a description without a status file counts as what a killed submission has left.
_UNFINISHED_S: Final = 3600.0


def sweep(store: ControlDir, now: datetime) -> int:
    """
    Remove submissions that were killed an hour ago; returns their number.

    Raises:
        OSError: the control directory cannot be read.
    """
    begun = set(_descriptions(store))
    for place in Place:
        begun.difference_update(store.scan_names(place))
    return sum(drop(store, job, now.timestamp() - _UNFINISHED_S) for job in begun)


def drop(store: ControlDir, job: JobId, before: float) -> bool:
    """
    Remove the files of a submission that was killed before ``before`` (seconds since the epoch).

    Returns False if it is at work, complete, or younger, or if a file cannot be removed now.
    """
    path = store.layout.job_file(job, "description")
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        info = os.fstat(fd)
        same = os.path.samestat(info, os.lstat(path))
        if not same or not store.trusts(info) or info.st_mtime > before or store.read_status(job) is not None:
            return False
        local = store.read_local(job)
        if local is not None and local.sessiondir is not None:
            session = SessionFiles(local.sessiondir)
            if not session.objection(job):
                session.remove()
        store.forget(job)
    except (OSError, CorruptFile):
        return False
    finally:
        os.close(fd)
    return True


def _descriptions(store: ControlDir) -> Iterator[JobId]:
    """All jobs with a description, whether they are complete or not."""
    if isinstance(store.layout, NestedLayout):
        found = ("".join(path.parts[-5:-1]) for path in store.root.glob("jobs/*/*/*/*/description"))
    else:
        names = (entry.name for entry in os.scandir(store.root))
        found = (name[4:-12] for name in names if name.startswith("job.") and name.endswith(".description"))
    yield from (JobId(text) for text in found if is_job_id(text))
