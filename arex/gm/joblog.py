"""
``joblog``: a line when a job starts and a line when it is finished, in local time.

Source: spec of the control directory (ARC 6.17), other service files.
"""

from __future__ import annotations

import os

from arex.controldir import atomic, codec
from arex.gm.case import Case


def started(case: Case) -> None:
    _line(case, "Started", "")


def finished(case: Case) -> None:
    local = case.job.local
    lrmsid = f", lrmsid: {local.localid}" if local.localid else ""
    failure = case.store.failure(case.job.id).strip()
    _line(case, "Finished", f"{lrmsid}, failure: {_quoted(failure)}" if failure else lrmsid)


def _line(case: Case, word: str, rest: str) -> None:
    path = case.settings.joblog
    if path is None:
        return
    local = case.job.local
    stamp = case.world.clock.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
    text = (
        f"{stamp} {word} - job id: {case.job.id}, unix user: {os.geteuid()}:{os.getegid()}, "
        f"name: {_quoted(local.jobname or '')}, owner: {_quoted(local.subject or '')}, "
        f"lrms: {case.lrms}, queue: {local.queue or ''}{rest}\n"
    )
    atomic.append(str(path), codec.encode(text))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", ".").replace("\r", ".") + '"'
