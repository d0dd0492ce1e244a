"""
LOCAL: a description on this host becomes a job of this host.

Everything happens in the control directory, so it works while the daemon is down too: a new job then waits in
ACCEPTED. Calls block and hold no state between them: threads may share one plugin. An event loop calls them
through ``asyncio.to_thread``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from arex.clock import Clock
from arex.config.model import Configuration
from arex.controldir import atomic, codec, fifo
from arex.controldir.layout import Mark, Place
from arex.controldir.store import SessionFiles
from arex.errors import ArexError, ControlDirError, CredentialError, JobRefused
from arex.jobdesc import Dialect, JobDescription, parse
from arex.jobdesc.complete import Upload, complete
from arex.model.ids import JobId
from plugins import follow
from plugins.status import ClientState, read_local
from plugins.submission import Refused, Submitted, Writer
from plugins.view import View, session_of

if TYPE_CHECKING:
    from arex.credentials import Credential
    from plugins.delegation import Delegations

Description = str | bytes | JobDescription
#: What became of one description: a job, or why there is none.
Outcome = Submitted | Refused
_REFUSED_LIMIT: Final = "No more jobs allowed: maxjobs limits the number of jobs in the control directory"


class LocalPlugin(View):
    """Jobs of this user in one control directory: told as ``View`` does, and made, ended, restarted, removed."""

    def __init__(
        self,
        config: Configuration,
        *,
        subject: str = "",
        clock: Clock | None = None,
        pause: follow.Sleep = follow.sleep,
    ) -> None:
        """``subject``: owner of new jobs, in place of what the user's credential or account says."""
        super().__init__(config, clock=clock, pause=pause)
        self._subject = subject

    @classmethod
    def from_config(cls, config: Configuration) -> Self:
        return cls(config)

    # --- who -----------------------------------------------------------------------------------------------------

    @cached_property
    def _found(self) -> tuple[Credential | None, str]:
        from arex import credentials  # noqa: PLC0415 - most users have none

        path = credentials.find()
        try:
            return None if path is None else credentials.read(path), ""
        except CredentialError as exc:
            return None, str(exc)

    @property
    def credential(self) -> Credential | None:
        """The user's certificate or proxy, if there is one that reads; jobs need none."""
        return self._found[0]

    @property
    def credential_fault(self) -> str:
        """What is wrong with the user's certificate or proxy; empty if nothing is, or there is none."""
        return self._found[1]

    @cached_property
    def subject(self) -> str:
        """The owner that jobs get: the identity of the credential, else the name of the account."""
        if self._subject:
            return self._subject
        return f"/O=local/CN={user_name()}" if self.credential is None else self.credential.identity

    @cached_property
    def _delegations(self) -> Delegations | None:
        credential = self.credential
        if credential is None or not credential.has_key:
            return None
        from plugins.delegation import Delegations  # noqa: PLC0415 - it needs sqlite3

        name = f"delegations.{user_name()}" if os.geteuid() else "delegations"
        return Delegations(self.store.root / name, credential)

    # --- in ------------------------------------------------------------------------------------------------------

    def submit(
        self,
        descriptions: Description | Iterable[Description],
        *,
        cwd: Path | None = None,
        queue: str = "",
        dryrun: bool = False,
    ) -> list[Outcome]:
        """
        Make jobs; a bad description does not stop the others, and the outcomes stand in their order.

        A text may hold several jobs, each has its own outcome. 1000 small jobs take one or two seconds.

        Args:
            descriptions: xRSL or ADL texts in the user's dialect, or values; one or many.
            cwd: where relative names of input files start; None is the current directory.
            queue: for jobs that name none.
            dryrun: take the jobs in, but run nothing.

        Raises:
            ControlDirError: the control directory can't be used at all.
        """
        return list(self.submitting(descriptions, cwd=cwd, queue=queue, dryrun=dryrun))

    def submitting(
        self,
        descriptions: Description | Iterable[Description],
        *,
        cwd: Path | None = None,
        queue: str = "",
        dryrun: bool = False,
    ) -> Iterator[Outcome]:
        """As ``submit``, one by one: what has been yielded is a job, whatever happens to the rest."""
        self._prepare()
        single = isinstance(descriptions, str | bytes | JobDescription)
        texts: Iterable[Description] = [descriptions] if single else descriptions  # type: ignore[list-item, assignment]
        directory = Path.cwd() if cwd is None else cwd
        room = self._room()
        for source, text in enumerate(texts):
            for job in self._jobs(text):
                outcome: Outcome
                if isinstance(job, ArexError):
                    outcome = Refused(source=source, error=job)
                elif room is not None and room <= 0:
                    outcome = Refused(source=source, error=JobRefused(_REFUSED_LIMIT))
                else:
                    outcome = self._submit(source, _adjusted(job, queue, dryrun=dryrun), directory)
                room = room - 1 if room is not None and isinstance(outcome, Submitted) else room
                yield outcome

    def _prepare(self) -> None:
        root = self.store.root
        self.store.prepare(user_name(), correct=False)
        if not os.access(root / Place.ACCEPTING, os.W_OK):
            raise ControlDirError(f"Failed registering job in A-REX: {root / Place.ACCEPTING} can't be written")

    def _room(self) -> int | None:
        """How many jobs ``maxjobs`` still lets in; None is no limit."""
        limit = self.config.arex.maxjobs.total
        return None if limit is None else limit - len(self.jobs())

    def _jobs(self, text: Description) -> Sequence[JobDescription | ArexError]:
        if isinstance(text, JobDescription):
            return [text]
        try:
            return parse(text, Dialect.USER, max_size=self.config.ws_jobs.maxjobdesc)
        except ArexError as exc:
            return [exc]

    @cached_property
    def _writer(self) -> Writer:
        return Writer(self.store, self.config, self._clock, subject=self.subject, delegations=self._delegations)

    def _submit(self, source: int, job: JobDescription, cwd: Path) -> Outcome:
        refusal: ArexError | None = None
        for candidate in (replace(job, alternatives=()), *job.alternatives):
            try:
                return self._writer.write(source, complete(candidate, cwd))
            except ControlDirError as exc:
                return Refused(source=source, error=exc)
            except ArexError as exc:
                refusal = refusal or exc
        assert refusal is not None
        return Refused(source=source, error=refusal)

    def describe(self, text: Description, *, cwd: Path | None = None, queue: str = "") -> list[str]:
        """
        The ADL documents that ``submit`` would write.

        Raises:
            JobDescriptionError, JobRefused: it would not.
        """
        documents = []
        for job in self._jobs(text):
            if isinstance(job, ArexError):
                raise job
            ready = complete(_adjusted(job, queue, dryrun=False), Path.cwd() if cwd is None else cwd)
            self._writer.admit(ready.description)
            documents.append(self._writer.adl(ready.description).decode())
        return documents

    # --- requests ------------------------------------------------------------------------------------------------

    def kill(self, job: str, *, clean: bool = False) -> None:
        """
        Ask for the end of a job; with ``clean`` it is removed as soon as it has ended.

        Raises:
            NoSuchJob, NotYourJob
            JobRefused: it has ended already.
        """
        if self.one(job).state.final:
            raise JobRefused("Job has already finished")
        self._ask(JobId(job), *([Mark.CANCEL, Mark.CLEAN] if clean else [Mark.CANCEL]))

    def evidence(self, job: str) -> list[tuple[str, str]]:
        """
        What the witnesses of a job in its batch system said last: ``record``, ``scan`` and so on, with ``doubt``
        if they disagree. Empty while nobody has said anything, or for a daemon of ARC.

        Raises:
            NoSuchJob, NotYourJob
            CorruptFile: something else lies in its place.
        """
        session = self.one(job).sessiondir
        data = None if session is None else atomic.read(str(SessionFiles(session).evidence))
        lines = codec.decode(data or b"").splitlines()
        return [(key, value) for key, _, value in (line.partition("=") for line in lines)]

    def hold(self, job: str) -> None:
        """
        Ask that a job that has not started does not: it is not submitted, or is held in its batch system.

        Raises:
            NoSuchJob, NotYourJob
            JobRefused: it has ended already.
        """
        if self.one(job).state.final:
            raise JobRefused("Job has already finished")
        self._ask(JobId(job), Mark.HOLD)

    def release(self, job: str) -> None:
        """
        Ask that a held job may start again.

        Raises:
            NoSuchJob, NotYourJob
            JobRefused: it has ended already.
        """
        if self.one(job).state.final:
            raise JobRefused("Job has already finished")
        self._ask(JobId(job), Mark.RELEASE)

    def clean(self, job: str) -> None:
        """
        Ask for the removal of a job that has ended, with its session directory.

        Raises:
            NoSuchJob, NotYourJob
            JobRefused: it has not ended.
        """
        if not self.one(job).state.final:
            raise JobRefused("Job has not finished yet")
        self._ask(JobId(job), Mark.CLEAN)

    def restart(self, job: str) -> None:
        """
        Ask for another attempt at a failed job, from where it failed.

        Raises:
            NoSuchJob, NotYourJob
            JobRefused: it has not failed, not in a way that can be mended, or too often.
        """
        status = self.one(job)
        if status.state not in {ClientState.FAILED, ClientState.KILLED}:
            raise JobRefused("Job has not failed")
        if not status.restartable:
            failed = read_local(self.store, status.id).failedstate is not None
            raise JobRefused("No more restarts allowed" if failed else "Job can not be restarted: it never started")
        self.store.drop_jobid(status.id)  # a daemon of ARC 6.17 would look for the dead job
        self._ask(status.id, Mark.RESTART)

    def _ask(self, job: JobId, *marks: Mark) -> None:
        for mark in marks:
            self.store.set_mark(job, mark)
        fifo.ring(self.store.root, job)

    def upload(self, job: str, files: Sequence[Upload], *, done: bool = False) -> None:
        """
        Bring more input files after the submission; ``done`` says that they were the last (ClientDataPush).

        Raises:
            NoSuchJob, NotYourJob, ControlDirError, JobDescriptionError
        """
        from plugins.upload import upload  # noqa: PLC0415 - few clients do this

        status = self.one(job)
        try:
            upload(self.store, status.id, session_of(status), files, self._pause, done=done)
        finally:
            fifo.ring(self.store.root, status.id)

    def renew(self, job: str) -> None:
        """
        Put the user's present credential in place of the one that a job was given.

        Raises:
            NoSuchJob, NotYourJob
            JobRefused: the job has no credential: there is nothing to renew.
            CredentialError: the user has none that could be used.
        """
        status = self.one(job)
        if not status.delegationid:
            raise JobRefused("Job has no delegated credential: there is nothing to renew")
        if self._delegations is None:
            raise CredentialError(self.credential_fault or "there is no proxy with a private key to renew from")
        given = self._delegations.renew(status.delegationid)
        self.store.put(status.id, "proxy", given.pem)
        fifo.ring(self.store.root, status.id)


def _adjusted(job: JobDescription, queue: str, *, dryrun: bool) -> JobDescription:
    resources = replace(job.resources, queue=queue) if queue and not job.resources.queue else job.resources
    return replace(
        job,
        dryrun=job.dryrun or dryrun,
        resources=resources,
        alternatives=tuple(_adjusted(other, queue, dryrun=dryrun) for other in job.alternatives),
    )


def user_name() -> str:
    """Of the process; the number where the system knows no name."""
    import pwd  # noqa: PLC0415

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
