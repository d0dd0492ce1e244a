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
    Write the job script into RUNDIR; a second call changes nothing.

    Raises:
        SubmitRejected: there is no session directory.
        OSError: it cannot be written.
    """
    directory = submission.grami.directory
    if not directory.is_dir():
        raise SubmitRejected(f"The session directory {directory} does not exist.")
    _put(submission.rundir, os.fsencode(job_script(submission, settings, submission.runtimes, submission.settled)))


def _put(rundir: Path, script: bytes) -> None:
    """
    The first script of an attempt is written in place: it cannot start before it is submitted.

    Later ones replace it, because a running copy continues to read the file that it has opened.
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
    The submissions that are on disk now, and the rejected ones.

    One that cannot be prepared now is in neither: it was certainly not accepted, and is tried again.
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
