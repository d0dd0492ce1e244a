"""The blocking form of the Python API."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from arex.clock import SystemClock
from arex.config.load import load
from arex.config.model import Configuration
from arex.errors import NoSuchJob, NotServed
from arex.jobdesc import JobDescription
from plugins.local import LocalPlugin
from plugins.local.session import Fetched, SessionEntry
from plugins.local.status import ClientState, JobStatus
from plugins.local.submission import Refused, Submitted
from plugins.local.view import Output

Description = str | bytes | JobDescription
NO_LABELS: Final[Mapping[str, str]] = {}


class Client:
    """
    The jobs of this account at one service.

    Methods block, mostly for milliseconds. A client has no connection and no state between calls: it can be kept, and
    threads can share it. Everything also works while the service does not run; jobs then wait.
    """

    def __init__(self, config: Path | str | Configuration | None = None, *, listed: bool = False) -> None:
        """
        Args:
            config: the configuration of the service, or its file; None searches the usual places, as the commands do.
            listed: whether submitted jobs are added to the list of jobs of the commands, ``~/.arc/jobs.dat``. Without
                it, ``arcsync`` adds them.

        Raises:
            ConfigError: the configuration is invalid.
        """
        if not isinstance(config, Configuration):
            config, _ = load(None if config is None else Path(config))
        self.config = config
        self.local: Final = LocalPlugin(config)  #: the interface below this one
        self._listed = listed

    @property
    def served(self) -> bool:
        """Whether a service is running."""
        return self.local.served

    # --- submit ------------------------------------------------------------------------------------------------------

    def submit(
        self,
        descriptions: Description | Iterable[Description],
        *,
        cwd: Path | None = None,
        queue: str = "",
        token: str = "",
        labels: Mapping[str, str] = NO_LABELS,
        strict: bool = False,
    ) -> list[Submitted | Refused]:
        """
        Submit jobs; an invalid description does not affect the others.

        Args:
            descriptions: one or many, as xRSL, ADL or JDL, or as ``JobDescription``.
            cwd: base directory for relative names of input files; None is the current directory.
            queue: queue for jobs that do not name one.
            token: any text that identifies this submission. A submission whose outcome is unknown, for example after a
                crash, can be repeated with the same token and descriptions: it returns the jobs that exist already.
            labels: texts to find the jobs by; a key has up to 64 letters, digits, ``_``, ``.`` or ``-``.
            strict: refuse what is probably a mistake, as ``arcsub`` does.

        Returns:
            one outcome for each job, in the order of the descriptions.

        Raises:
            ControlDirError: the control directory cannot be used.
            ValueError: a label is invalid.
        """
        outcomes = self.local.submit(descriptions, cwd=cwd, queue=queue, token=token, labels=labels, strict=strict)
        if self._listed:
            self._add_to_list([each for each in outcomes if isinstance(each, Submitted)])
        return outcomes

    def submit_one(
        self,
        description: Description,
        *,
        cwd: Path | None = None,
        queue: str = "",
        token: str = "",
        labels: Mapping[str, str] = NO_LABELS,
        strict: bool = False,
    ) -> Job:
        """
        Submit a description of a single job; see ``submit``.

        Raises:
            JobDescriptionError, JobRefused: the job is refused.
            ControlDirError: the control directory cannot be used.
            ValueError: the description has more than one job; all of them have been submitted.
        """
        outcomes = self.submit(description, cwd=cwd, queue=queue, token=token, labels=labels, strict=strict)
        for outcome in outcomes:
            if isinstance(outcome, Refused):
                raise outcome.error
        [job, *more] = [each for each in outcomes if isinstance(each, Submitted)]
        if more:
            raise ValueError(f"the description has {len(more) + 1} jobs: use submit")
        return self.job(job.id)

    def _add_to_list(self, jobs: Sequence[Submitted]) -> None:
        from arex.userjobs.joblist import JobList, default_path  # noqa: PLC0415 - it needs sqlite3
        from plugins.local.listrow import list_row  # noqa: PLC0415 - the same

        JobList(default_path()).add(map(list_row, jobs))

    # --- find --------------------------------------------------------------------------------------------------------

    def job(self, job: str) -> Job:
        """A job by its id or URL; whether it exists is checked by its methods."""
        return Job(job.rstrip("/").rpartition("/")[2], self)

    def jobs(
        self,
        *,
        states: Collection[ClientState] = (),
        name: str = "",
        queue: str = "",
        labels: Mapping[str, str] = NO_LABELS,
        older: timedelta | None = None,
        newer: timedelta | None = None,
    ) -> list[Job]:
        """
        The jobs of this account at the service, the oldest first.

        Args:
            states: only jobs in one of these states.
            name: only jobs whose names match this pattern, such as ``sim*``.
            queue: only jobs of this queue.
            labels: only jobs with all of these labels.
            older: only jobs that were submitted at least so long ago.
            newer: only jobs that were submitted at most so long ago.
        """
        now = SystemClock().now()

        def wanted(status: JobStatus) -> bool:
            age = None if status.submitted is None else now - status.submitted
            return (
                (not states or status.state in states)
                and (not name or fnmatchcase(status.name, name))
                and (not queue or status.queue == queue)
                and all(status.labels.get(key) == value for key, value in labels.items())
                and (older is None or (age is not None and age >= older))
                and (newer is None or (age is not None and age <= newer))
            )

        found = [each for each in self.local.status(self.local.jobs()) if isinstance(each, JobStatus) and wanted(each)]
        found.sort(key=lambda each: (each.submitted is not None, each.submitted, each.id))
        return [Job(each.id, self) for each in found]

    def statuses(self, jobs: Iterable[Job | str]) -> dict[str, JobStatus]:
        """The status of each job by its id; jobs that do not exist or cannot be read are missing."""
        answers = self.local.status(map(_id, jobs))
        return {each.id: each for each in answers if isinstance(each, JobStatus)}

    # --- follow ------------------------------------------------------------------------------------------------------

    def changes(self, jobs: Iterable[Job | str], *, timeout_s: float | None = None) -> Iterator[JobStatus]:
        """
        The status of each job, then again after each change of its state, until all have ended or the time is over.

        A job that is removed meanwhile is reported as Deleted.

        Raises:
            NoSuchJob, NotYourJob: a job does not exist, or belongs to another account.
        """
        return self.local.watch(list(map(_id, jobs)), timeout_s=timeout_s)

    def wait(self, jobs: Iterable[Job | str], *, timeout_s: float | None = None) -> dict[str, JobStatus]:
        """
        Wait until all jobs have ended, or for ``timeout_s`` seconds; the last known status of each job by its id.

        Raises:
            NoSuchJob, NotYourJob: as for ``changes``.
            NotServed: without a time limit, if no service is running.
        """
        ids = list(map(_id, jobs))
        self.require_service(timeout_s)
        return {status.id: status for status in self.changes(ids, timeout_s=timeout_s)}

    def require_service(self, timeout_s: float | None) -> None:
        """
        Raises:
            NotServed: no service is running, and there is no time limit: the wait might have no end.
        """
        if timeout_s is None and not self.served:
            raise NotServed(
                f"no service is running for {self.config.arex.controldir}: start it with 'arex start', or wait with a "
                "time limit"
            )


def _id(job: Job | str) -> str:
    return job.id if isinstance(job, Job) else job


@dataclass(frozen=True, slots=True)
class Job:
    """
    One job.

    All methods raise ``NoSuchJob`` if it does not exist, and ``NotYourJob`` if it belongs to another account.
    """

    id: str
    client: Client

    def __str__(self) -> str:
        return self.id

    def status(self) -> JobStatus:
        """The status now."""
        return self.client.local.one(self.id)

    def wait(self, *, timeout_s: float | None = None) -> JobStatus:
        """
        Wait until the job has ended, or for ``timeout_s`` seconds; the last known status.

        Raises:
            NotServed: without a time limit, if no service is running.
        """
        return self.client.wait([self], timeout_s=timeout_s)[self.id]

    def changes(self, *, timeout_s: float | None = None) -> Iterator[JobStatus]:
        """The status, then again after each change of the state; see ``Client.changes``."""
        return self.client.changes([self], timeout_s=timeout_s)

    def cancel(self, *, remove: bool = False) -> None:
        """
        Cancel the job; with ``remove``, its files are removed as soon as it has ended.

        Raises:
            JobRefused: it has already ended.
        """
        self.client.local.kill(self.id, clean=remove)

    def hold(self) -> None:
        """
        Keep the job from starting.

        Raises:
            JobRefused: it has already ended.
        """
        self.client.local.hold(self.id)

    def release(self) -> None:
        """
        Let a held job start.

        Raises:
            JobRefused: it has already ended.
        """
        self.client.local.release(self.id)

    def rerun(self) -> None:
        """
        Run a failed job again, from the state in which it failed.

        Raises:
            JobRefused: it has not failed, or has no reruns left.
        """
        self.client.local.restart(self.id)

    def remove(self) -> None:
        """
        Remove the job and all its files; it must have ended.

        Raises:
            JobRefused: it has not ended.
        """
        self.client.local.clean(self.id)

    def fetch(self, target: Path, *, overwrite: bool = False) -> Fetched:
        """
        Copy the results to a new directory; the job must have ended, and stays.

        Raises:
            JobRefused: it has not ended.
            TargetExists: the directory exists, and ``overwrite`` is off.
        """
        return self.client.local.fetch(self.id, target, force=overwrite)

    def read(self, what: Output | str = Output.STDOUT) -> bytes:
        """
        The standard output, the standard error, the log, or a file of the session directory.

        Raises:
            JobRefused: the description names no file for this stream.
            ControlDirError: there is no such file (yet).
        """
        return b"".join(self.client.local.cat(self.id, what))

    def files(self, directory: str = "") -> list[SessionEntry]:
        """
        The entries of the session directory, or of a directory in it.

        Raises:
            ControlDirError: there is no such directory.
        """
        return self.client.local.ls(self.id, directory)

    @property
    def exists(self) -> bool:
        """Whether the service has the job."""
        try:
            self.status()
        except NoSuchJob:
            return False
        return True
