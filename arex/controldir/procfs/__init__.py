"""What the kernel of this host knows about the processes that lock or open a file. Source: proc(5)."""

from __future__ import annotations

from arex.controldir.procfs.processes import (
    all_jobs,
    described,
    flock_owners,
    is_daemon,
    is_job,
    only_jobs_use,
    users_of,
)

__all__ = ["all_jobs", "described", "flock_owners", "is_daemon", "is_job", "only_jobs_use", "users_of"]
