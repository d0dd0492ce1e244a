"""
``joblog``: a line when a job starts and a line when it is finished, in local time.

A line that cannot be written is lost: a job does not wait for it. ``arex status`` shows that lines are lost.

Source: the format of ``joblog`` in ARC 6.17.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from arex.controldir import atomic, codec
from arex.gm.context import JobContext
from arex.taskkeeper import TaskKeeper

log = logging.getLogger(__name__)


def prepare(path: Path | None, keeper: TaskKeeper) -> None:
    """Make the directory of the job log, and the file, so that an unusable one is reported at the start."""
    if path is None:
        return
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic.append(str(path), b"")
    except OSError as exc:
        _lost(keeper, exc)


def _lost(keeper: TaskKeeper, exc: OSError) -> None:
    log.warning("cannot write the job log, its lines are lost: %s", exc, extra={"event": "joblog.failed"})
    keeper.count("job log", exc)


def started(context: JobContext) -> None:
    _line(context, "Started", "")


def finished(context: JobContext) -> None:
    local = context.job.local
    lrmsid = f", lrmsid: {local.localid}" if local.localid else ""
    failure = context.store.failure(context.job.id).strip()
    _line(context, "Finished", f"{lrmsid}, failure: {_quoted(failure)}" if failure else lrmsid)


def _line(context: JobContext, word: str, rest: str) -> None:
    path = context.settings.joblog
    if path is None:
        return
    local = context.job.local
    stamp = context.services.clock.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
    text = (
        f"{stamp} {word} - job id: {context.job.id}, unix user: {os.geteuid()}:{os.getegid()}, "
        f"name: {_quoted(local.jobname or '')}, owner: {_quoted(local.subject or '')}, "
        f"lrms: {context.lrms}, queue: {local.queue or ''}{rest}\n"
    )
    try:
        atomic.append(str(path), codec.encode(text))
    except OSError as exc:
        _lost(context.services.keeper, exc)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", ".").replace("\r", ".") + '"'
