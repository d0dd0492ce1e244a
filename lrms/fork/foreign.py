"""Jobs that ARC's own fork backend has started: they have no tag, no run directory and no supervisor of ours."""

from __future__ import annotations

from arex.model.report import EndCause, Phase, Report
from arex.ports import LocalJob
from lrms import processes
from lrms.attempt import traces
from lrms.attempt.record import lost
from lrms.fork.supervisors import pid_of
from lrms.processes import ProcessIdentity


def is_running(job: LocalJob) -> bool:
    """The watcher of ARC's submit-fork-job shows the grami file, and so the job id, on its command line."""
    pid = pid_of(job.localid)
    return pid is not None and job.job.encode() in processes.command_line(pid)


def report_of(job: LocalJob) -> Report:
    """
    The report that follows from what is left of the job.

    Raises:
        OSError: its accounting lines cannot be read now.
    """
    if is_running(job):
        return Report(phase=Phase.RUNNING)
    code = traces.exit_code(job.session)
    if code is None:
        return lost()
    return Report(phase=Phase.ENDED, exit_code=code, cause=EndCause.EXIT_CODE)


def tree_of(job: LocalJob, boot: str) -> list[ProcessIdentity]:
    """ARC's watcher and its descendants: bash does not react to TERM while it waits for the job script."""
    if not is_running(job):
        return []
    pids = [int(job.localid), *processes.descendants(int(job.localid))]
    return [found for pid in pids if (found := processes.identify(pid, boot)) is not None]
