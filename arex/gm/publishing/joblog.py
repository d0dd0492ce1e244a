"""
``joblog``: a line when a job starts and a line when it is finished, in local time.

Source: the format of ``joblog`` in ARC 6.17.
"""

from __future__ import annotations

import os

from arex.controldir import atomic, codec
from arex.gm.context import JobContext


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
    atomic.append(str(path), codec.encode(text))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", ".").replace("\r", ".") + '"'
