"""
LOCAL: submit job descriptions to the service on this host.

All operations only use the control directory, so they also work while no daemon is running: a new job then waits in
ACCEPTED. Methods block. They keep no state between calls, so threads may share a plugin; from an event loop, call them
with ``asyncio.to_thread``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from arex.clock import Clock
from arex.config.model import Configuration
from arex.controldir import fifo
from arex.controldir.layout import Mark
from arex.controldir.session import SessionFiles
from arex.errors import CorruptFile, JobRefused
from arex.model.ids import JobId, is_job_id
from arex.model.state import State
from plugins.local import follow
from plugins.local.credentials import UserCredentials
from plugins.local.reading import read_local
from plugins.local.status import ClientState
from plugins.local.view import View, session_of

if TYPE_CHECKING:
    from arex.credentials import Credential
    from arex.jobdesc.client.complete import ClientUpload
    from plugins.local.creation import Description, JobCreator, Outcome
    from plugins.local.delegation import Delegated


class LocalPlugin(View):
    """Jobs of this user in one control directory: everything in ``View``, and submit, cancel, rerun, remove."""

    def __init__(
        self,
        config: Configuration,
        *,
        subject: str = "",
        clock: Clock | None = None,
        pause: follow.Sleep = follow.sleep,
        credential: Path | None = None,
    ) -> None:
        """
        Open the control directory of a configuration.

        ``subject`` is the owner of new jobs, instead of the identity of the user's credential or account.

        ``credential`` is a file with a proxy and its key, or with a token. Every new job gets this credential, and
        ``renew`` uses it. Without it, a job that needs a credential gets the user's own: a certificate with its key,
        otherwise a token.

        Raises:
            CredentialError: the file cannot be used.
        """
        super().__init__(config, clock=clock, pause=pause)
        self.credentials = UserCredentials(self.store.root, self._clock, subject=subject, brought=credential)
        self._renewed: dict[str, tuple[JobId, ...]] = {}

    @classmethod
    def from_config(cls, config: Configuration) -> Self:
        return cls(config)

    # --- who -----------------------------------------------------------------------------------------------------

    @property
    def credential(self) -> Credential | None:
        """The user's certificate or proxy; None if there is none that can be parsed. Jobs do not need one."""
        return self.credentials.certificate

    @property
    def credential_fault(self) -> str:
        """What is wrong with the user's certificate, proxy or token; empty if nothing is, or there is none."""
        return self.credentials.fault

    @property
    def subject(self) -> str:
        """The owner of new jobs: the identity of the credential, otherwise the name of the account."""
        return self.credentials.subject

    # --- in ------------------------------------------------------------------------------------------------------

    def submit(
        self,
        descriptions: Description | Iterable[Description],
        *,
        cwd: Path | None = None,
        queue: str = "",
        dryrun: bool = False,
        token: str = "",
        labels: Mapping[str, str] | None = None,
        strict: bool = False,
    ) -> list[Outcome]:
        """
        Submit jobs. An invalid description does not prevent the others. The outcomes are in the order of the
        descriptions.

        A text may describe several jobs, each with a separate outcome. 1000 small jobs take one or two seconds.

        Args:
            descriptions: one or many: xRSL, ADL or JDL texts in the user's dialect, or values.
            cwd: base directory for relative names of input files; None is the current directory.
            queue: queue for jobs that do not name one.
            dryrun: accept the jobs, but run nothing.
            token: any text that identifies this submission, for example a UUID. A submission whose outcome is unknown
                can be repeated with the same token and descriptions: jobs that exist are returned, not created twice.
            labels: texts to find the jobs by later, in addition to those of the descriptions.
            strict: refuse what can only be a mistake, such as a misspelt attribute, an impossible value or a limit that
                is exceeded. Otherwise, as with ARC, these are warnings: ``Submitted.warnings``.

        Raises:
            ControlDirError: the control directory cannot be used.
            ValueError: a label is not valid, see ``arex.model.labels``.
        """
        return list(
            self.submitting(
                descriptions, cwd=cwd, queue=queue, dryrun=dryrun, token=token, labels=labels, strict=strict
            )
        )

    def submitting(
        self,
        descriptions: Description | Iterable[Description],
        *,
        cwd: Path | None = None,
        queue: str = "",
        dryrun: bool = False,
        token: str = "",
        labels: Mapping[str, str] | None = None,
        strict: bool = False,
    ) -> Iterator[Outcome]:
        """Like ``submit``, but one at a time: when a job is yielded, it exists, even if a later one fails."""
        return self._creator.creating(
            descriptions, cwd=cwd, queue=queue, dryrun=dryrun, token=token, labels=labels, strict=strict
        )

    @cached_property
    def _creator(self) -> JobCreator:
        from plugins.local.creation import JobCreator  # noqa: PLC0415 - most commands create no jobs

        return JobCreator(self, self._clock, self.credentials)

    def describe(
        self, text: Description, *, cwd: Path | None = None, queue: str = "", strict: bool = False
    ) -> list[str]:
        """
        The ADL documents that ``submit`` would write.

        Raises:
            JobDescriptionError, JobRefused: ``submit`` would fail.
        """
        return self._creator.describe(text, cwd=cwd, queue=queue, strict=strict)

    # --- requests ------------------------------------------------------------------------------------------------

    def kill(self, job: str, *, clean: bool = False) -> None:
        """
        Cancel a job; with ``clean``, it is removed as soon as it has ended.

        Raises:
            NoSuchJob, NotYourJob
            JobRefused: the job has already ended.
        """
        if self.one(job).state.final:
            raise JobRefused("Job has already finished")
        self._ask(JobId(job), *([Mark.CANCEL, Mark.CLEAN] if clean else [Mark.CANCEL]))

    def evidence(self, job: str) -> list[tuple[str, str]]:
        """
        The latest evidence about the end of a job: ``record``, ``scan`` and others, with ``doubt`` if they are
        contradictory. Empty if there is no evidence yet, or if a daemon of ARC runs the job.

        Raises:
            NoSuchJob, NotYourJob
        """
        from arex.diagnosis.failed import read_evidence  # noqa: PLC0415 - few commands need it

        session = self.one(job).sessiondir
        try:
            return [] if session is None else read_evidence(SessionFiles(session))
        except OSError as exc:
            return [("doubt", f"the evidence cannot be read: {exc.strerror}")]
        except CorruptFile as exc:  # the payload can write there
            return [("doubt", f"the evidence cannot be read: {exc}")]

    def hold(self, job: str) -> None:
        """
        Hold a job that has not started, in arex or in its batch system.

        Raises:
            NoSuchJob, NotYourJob
            JobRefused: the job has already ended.
        """
        if self.one(job).state.final:
            raise JobRefused("Job has already finished")
        self._ask(JobId(job), Mark.HOLD)

    def release(self, job: str) -> None:
        """
        Release a held job.

        Raises:
            NoSuchJob, NotYourJob
            JobRefused: the job has already ended.
        """
        if self.one(job).state.final:
            raise JobRefused("Job has already finished")
        self._ask(JobId(job), Mark.RELEASE)

    def clean(self, job: str) -> None:
        """
        Remove a job that has ended, with its session directory.

        Raises:
            NoSuchJob, NotYourJob
            JobRefused: the job has not ended.
        """
        if not self.one(job).state.final:
            raise JobRefused("Job has not finished yet")
        self._ask(JobId(job), Mark.CLEAN)

    def restart(self, job: str) -> None:
        """
        Rerun a failed job from the state where it failed.

        Raises:
            NoSuchJob, NotYourJob
            JobRefused: the job has not failed, cannot be restarted, or has no reruns left.
        """
        status = self.one(job)
        if status.state not in {ClientState.FAILED, ClientState.KILLED}:
            raise JobRefused("Job has not failed")
        if not status.restartable:
            failed = read_local(self.store, status.id).failedstate is not None
            raise JobRefused("No more restarts allowed" if failed else "Job can not be restarted: it never started")
        self.store.drop_jobid(status.id)  # a daemon of ARC 6.17 would poll the old job
        self._ask(status.id, Mark.RESTART)

    def _ask(self, job: JobId, *marks: Mark) -> None:
        for mark in marks:
            self.store.set_mark(job, mark)
        fifo.ring(self.store.root, job)

    def upload(self, job: str, files: Sequence[ClientUpload], *, done: bool = False) -> None:
        """
        Upload more input files after the submission; ``done`` means that these are the last ones (ClientDataPush).

        Raises:
            NoSuchJob, NotYourJob, ControlDirError, JobDescriptionError
        """
        from plugins.local.upload import upload  # noqa: PLC0415 - few clients do this

        status = self.one(job)
        try:
            upload(self.store, status.id, session_of(status), files, self._pause, done=done)
        finally:
            fifo.ring(self.store.root, status.id)

    def renew(self, job: str) -> tuple[JobId, ...]:
        """
        Replace the credential of a job, for all jobs that share it, by the user's current one.

        Jobs that wait for a renewal continue. Renewing a second job with the same credential is cheap.

        Returns:
            the jobs with this credential, this job first.

        Raises:
            NoSuchJob, NotYourJob
            JobRefused: the job has no credential.
            CredentialError: the user has no usable credential of the same kind.
        """
        status = self.one(job)
        if not status.delegationid:
            raise JobRefused("Job has no delegated credential: there is nothing to renew")
        if status.delegationid not in self._renewed:
            renewing = self.credentials.renewing(status.delegationid)
            delegated, jobs = renewing.renew(status.delegationid, status.id)
            for holder in filter(is_job_id, jobs):
                self._pass_on(JobId(holder), delegated)
            self._renewed[status.delegationid] = tuple(jobs)
        fifo.ring(self.store.root, status.id)
        return self._renewed[status.delegationid]

    def _pass_on(self, job: JobId, given: Delegated) -> None:
        """Update the time of expiry and the copies of a job; if a file is locked now, the service updates it."""
        from arex.credentials import credential_files  # noqa: PLC0415 - few clients do this

        found = self.store.read_status(job)
        if found is None:
            return
        session = None
        with contextlib.suppress(BlockingIOError, CorruptFile):
            local = self.store.read_local(job)
            if local is not None:
                session = local.sessiondir
                self.store.put_local(job, replace(local, delegexpiretime=given.expires))
        if given.proxy is not None and (found.status is None or found.status.state is not State.DELETED):
            credential_files.hand_out(self.store, job, session, given.proxy)
        if found.status is not None and found.status.pending:
            fifo.ring(self.store.root, job)
