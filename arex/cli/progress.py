"""Wait for jobs and print a line on stderr for each change."""

from __future__ import annotations

from collections.abc import Sequence

from arex.cli.output import printable, remark
from arex.cli.site import Site
from plugins.local.status import ClientState, JobStatus


def wait_for(site: Site, jobs: Sequence[str], timeout_s: float | None = None) -> bool:
    """Wait until all jobs have ended; True if all of them finished successfully."""
    last: dict[str, JobStatus] = {}
    for status in site.plugin.watch(jobs, timeout_s=timeout_s):
        last[status.id] = status
        remark(f"{status.id} {printable(status.name)}: {describe(status)}")
    open_jobs = [job for job, status in last.items() if not status.state.final]
    if open_jobs:
        site.warn(f"{len(open_jobs)} of {len(jobs)} jobs have not ended within {timeout_s:g} s")
    return all(status.state is ClientState.FINISHED for status in last.values())


def describe(status: JobStatus) -> str:
    """The state, with the reason for a failure or for waiting."""
    if status.failure:
        return f"{status.state} ({printable(status.failure.splitlines()[0])})"
    if status.waiting:
        return f"{status.state} ({printable(status.waiting)})"
    return str(status.state)
