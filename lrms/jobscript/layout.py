"""Writing job scripts to run directories, the same for all backends."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from arex.controldir import atomic
from arex.errors import CorruptFile, SubmitRejected
from arex.model.ids import Tag
from lrms.jobscript.runtimes import Prepared
from lrms.jobscript.script import job_script
from lrms.jobscript.settings import ScriptSettings

log = logging.getLogger(__name__)


def lay_out(submission: Prepared, settings: ScriptSettings) -> None:
    """
    Put the job script into RUNDIR; a second time changes nothing.

    Raises:
        SubmitRejected: there is no session directory.
        OSError: the disk.
    """
    directory = submission.grami.directory
    if not directory.is_dir():
        raise SubmitRejected(f"The session directory {directory} does not exist.")
    _put(submission.rundir, os.fsencode(job_script(submission, settings, submission.runtimes, submission.settled)))


def _put(rundir: Path, script: bytes) -> None:
    """
    The first script of an attempt is written in place: nothing starts it before it is handed over.

    Later ones replace it, for a copy that runs keeps reading the file that it has opened.
    """
    path = str(rundir / "script")
    try:
        atomic.create(path, script)
    except FileNotFoundError:
        rundir.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic.put(path, script)
    except FileExistsError:
        if not _holds(path, script):
            atomic.put(path, script)


def _holds(path: str, script: bytes) -> bool:
    try:
        return atomic.read(path) == script
    except CorruptFile:
        return False  # the payload has put something else there


def lay_out_all(
    batch: Sequence[Prepared], lay_out_one: Callable[[Prepared], None]
) -> tuple[list[Prepared], dict[Tag, SubmitRejected]]:
    """
    Those that are on disk now, and those that are rejected.

    One that cannot be prepared now is in neither: it was certainly not taken, and comes again.
    """
    ready: list[Prepared] = []
    rejected: dict[Tag, SubmitRejected] = {}
    for each in batch:
        try:
            lay_out_one(each)
            ready.append(each)
        except SubmitRejected as exc:
            rejected[each.tag] = exc
        except OSError as exc:
            log.warning("attempt %s can't be prepared: %s", each.tag, exc, extra={"event": "submit.disk"})
    return ready, rejected
