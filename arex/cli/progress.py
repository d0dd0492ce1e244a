"""Progress of long work on stderr: one line in place on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Final

from arex.cli.jobtable import counts, short_ids
from arex.cli.output import ProgressLine, printable, remark
from arex.cli.site import Site
from arex.model.reason import ReasonKind
from plugins.local.status import ClientState, JobStatus

#: Reasons of jobs that go on by themselves, mostly within a moment.
_PASSING: Final = frozenset(
    {ReasonKind.NEW, ReasonKind.STEP, ReasonKind.SUBMISSION, ReasonKind.QUEUED, ReasonKind.TRANSFER}
)


def wait_for(site: Site, jobs: Sequence[str], timeout_s: float | None = None) -> bool:
    """
    Wait until all jobs have ended; True if all of them finished successfully.

    After an interrupt, it says that the jobs go on.
    """
    last: dict[str, JobStatus] = {}
    ids, line = short_ids(jobs), ProgressLine()
    try:
        for status in site.plugin.watch(jobs, timeout_s=timeout_s):
            last[status.id] = status
            if not sys.stderr.isatty() or (status.state.final and status.state is not ClientState.FINISHED):
                line.clear()
                remark(f"{_label(status, ids)}: {describe(status)}")
            line.show(counts(last.values()))
    except KeyboardInterrupt:
        line.clear()
        open_jobs = sum(not last[job].state.final if job in last else True for job in jobs)
        _still(open_jobs)
        raise
    line.clear()
    if sys.stderr.isatty() and len(jobs) > 1:
        remark(counts(last.values()))
    if open_jobs := sum(not status.state.final for status in last.values()):
        site.warn(f"{open_jobs} of {len(jobs)} jobs have not ended within {timeout_s:g} s; they go on")
    return all(status.state is ClientState.FINISHED for status in last.values())


def _still(open_jobs: int) -> None:
    if open_jobs:
        jobs = "the job goes" if open_jobs == 1 else f"{open_jobs} jobs go"
        remark(f"\n{jobs} on: 'arcstat -a -w' waits again, 'arckill' cancels")


def _label(status: JobStatus, ids: dict[str, str]) -> str:
    short = ids.get(status.id, status.id)
    return f"{printable(status.name)} ({short})" if status.name else short


def describe(status: JobStatus) -> str:
    """The state, with the reason for a failure or for waiting that a person may have to know."""
    reason = status.reason
    if reason is None or (reason.kind in _PASSING and reason.next_try is None):
        return str(status.state)
    return f"{status.state} ({printable(reason.text)})"


def ended_counts(statuses: Sequence[JobStatus]) -> str:
    """``198 finished, 2 failed`` of jobs that have ended."""
    found = Counter("finished" if each.state is ClientState.FINISHED else "failed" for each in statuses)
    return ", ".join(f"{found[word]} {word}" for word in ("finished", "failed") if found[word])
