"""Jobs that leave the service: they are taken off the list of jobs, and stay in the user's history."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from arex.cli.bulk import chosen_value
from arex.cli.output import plain
from arex.cli.select import Chosen
from arex.cli.site import Site
from arex.model.reason import Reason, ReasonKind
from arex.userjobs.history import JobHistoryError, PastJob
from plugins.local.status import ClientState, JobStatus

#: The action of jobs that are removed as soon as they have ended.
CANCELED: Final = "canceled"
#: So many jobs are written together; a killed command leaves at most as many in the list.
_TOGETHER: Final = 50


class Leaving:
    """Collects jobs that were removed, and writes both files in between and at the end."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._jobs: list[tuple[Chosen, PastJob]] = []
        self._warned = False

    def note(self, job: Chosen, action: str, results: str = "") -> None:
        """The job leaves the service; see ``PastJob`` for the action."""
        now = datetime.now(UTC)  # noqa: TID251 - a command for people, the service is not involved
        if action == CANCELED and isinstance(job.status, JobStatus) and not job.status.state.final:
            reason = Reason(ReasonKind.CANCELED, "canceled by its owner", now)
            job = replace(job, status=replace(job.status, state=ClientState.KILLED, reason=reason, ended=now))
        value = plain(chosen_value(job))
        self._jobs.append((job, PastJob(id=job.id, name=job.name, value=value, action=action, at=now, results=results)))
        if len(self._jobs) >= _TOGETHER:
            self.close()

    def close(self) -> None:
        """
        Write what has been collected.

        Raises:
            JobListError: the list cannot be written.
        """
        jobs, self._jobs = self._jobs, []
        if not jobs:
            return
        try:
            self._site.history.add(past for _, past in jobs)
        except JobHistoryError as exc:
            if not self._warned:
                self._warned = True
                self._site.warn(str(exc))
        self._site.joblist.remove([job.url for job, _ in jobs])
