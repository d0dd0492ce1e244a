"""Writing job scripts to run directories, the same for all backends."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from arex.controldir import atomic
from arex.errors import CorruptFile, SubmitRejected
from arex.model.ids import Tag
from arex.ports import NotSubmitted
from lrms.jobscript.runtimes import Prepared
from lrms.jobscript.script import job_script
from lrms.jobscript.settings import ScriptSettings


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
        for directory in (rundir.parent, rundir):  # with ``parents``, mkdir uses the mode for the last one only
            directory.mkdir(mode=0o700, exist_ok=True)
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
) -> tuple[list[Prepared], dict[Tag, SubmitRejected | NotSubmitted]]:
    """The submissions that are on disk now, and the answers about the others."""
    ready: list[Prepared] = []
    others: dict[Tag, SubmitRejected | NotSubmitted] = {}
    for each in batch:
        try:
            lay_out_one(each)
            ready.append(each)
        except SubmitRejected as exc:
            others[each.tag] = exc
        except OSError as exc:
            others[each.tag] = NotSubmitted(f"the job script cannot be written: {exc}")
        except ValueError as exc:  # a text that is not in the encoding of any file
            others[each.tag] = SubmitRejected(f"the job script cannot be written: {exc}")
    return ready, others
