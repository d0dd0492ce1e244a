"""Writing job scripts to run directories, the same for all backends."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence

from arex.controldir import atomic
from arex.errors import SubmitRejected
from arex.model.ids import Tag
from lrms.jobscript.runtimes import Prepared
from lrms.jobscript.script import job_script
from lrms.jobscript.settings import ScriptSettings

log = logging.getLogger(__name__)


def lay_out(submission: Prepared, settings: ScriptSettings) -> None:
    """
    Put the job script into RUNDIR, whole at once; a second time changes nothing.

    A copy that runs already keeps reading the file that it has opened.

    Raises:
        SubmitRejected: there is no session directory.
        OSError: the disk.
    """
    directory = submission.grami.directory
    if not directory.is_dir():
        raise SubmitRejected(f"The session directory {directory} does not exist.")
    script = os.fsencode(job_script(submission, settings, submission.runtimes, submission.settled))
    submission.rundir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = submission.rundir / "script"
    if not path.exists() or path.read_bytes() != script:
        atomic.put(str(path), script)


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
