"""
LOCAL: a description on this host becomes a job of this host.

Everything happens in the control directory, so it works while the daemon is down too: a new job then waits in
ACCEPTED. Calls block and hold no state between them: threads may share one plugin. An event loop calls them
through ``asyncio.to_thread``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from arex.clock import Clock, SystemClock
from arex.config.model import Configuration
from arex.controldir import beneath, fifo
from arex.controldir.layout import LAYOUTS, Mark, Place
from arex.controldir.store import ControlDir
from arex.errors import ArexError, ControlDirError, JobRefused, NoSuchJob
from arex.jobdesc import Dialect, JobDescription, parse
from arex.jobdesc.complete import Upload, complete
from arex.model.ids import JobId, job_id
from plugins import follow
from plugins.status import ClientState, JobStatus, read_local, read_status
from plugins.submission import Refused, Submitted, Writer

if TYPE_CHECKING:
    from arex.credentials import Credential
    from plugins import session
    from plugins.delegation import Delegations

Description = str | bytes | JobDescription
#: What became of one description: a job, or why there is none.
Outcome = Submitted | Refused
_REFUSED_LIMIT: Final = "No more jobs allowed: maxjobs limits the number of jobs in the control directory"


class Output(StrEnum):
    """Files of a job that ``cat`` knows without a name."""

    STDOUT = "stdout"
    STDERR = "stderr"
    LOG = "log"  #: what the service and the batch system noted about the job


class LocalPlugin:
    """Jobs of this user in one control directory."""

    def __init__(
        self,
        config: Configuration,
        *,
        subject: str = "",
        clock: Clock | None = None,
        pause: follow.Sleep = follow.sleep,
    ) -> None:
        """``subject``: owner of new jobs, in place of what the user's credential or account says."""
        self._subject = subject
        self.config = config
        self.store = ControlDir(LAYOUTS[config.service.layout](config.arex.controldir))
        self._clock = clock or SystemClock()
        self._pause = pause
        self._roots = tuple(entry.path for entry in config.arex.sessiondir)

    @classmethod
    def from_config(cls, config: Configuration) -> Self:
        return cls(config)

    # --- who -----------------------------------------------------------------------------------------------------

    @cached_property
    def credential(self) -> Credential | None:
        """The user's certificate or proxy, if there is one; jobs need none."""
        from arex import credentials  # noqa: PLC0415 - most users have none

        path = credentials.find()
        return None if path is None else credentials.read(path)

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

    @property
    def served(self) -> bool:
        """Whether a daemon, ours or ARC's, listens here now."""
        # a lone NUL asks for a rescan, which harms nobody
        return fifo.ring(self.store.root)

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
        self.store.prepare(user_name())
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

    # --- what is there -------------------------------------------------------------------------------------------

    def jobs(self) -> list[JobId]:
        """Every job of this user here, in no order."""
        found: dict[JobId, None] = {}
        for place in Place:
            with contextlib.suppress(FileNotFoundError):
                found |= dict.fromkeys(job for job, _ in self.store.scan(place))
        return [*found]

    def status(self, ids: Iterable[str]) -> list[JobStatus | ArexError]:
        """How the jobs are, in order; for those that are not here (or not ours), why there is no answer."""
        queue: dict[str, int] | None = None
        answers: list[JobStatus | ArexError] = []
        now = self._clock.now()
        for text in ids:
            try:
                answer = read_status(self.store, job_id(text), now=now, roots=self._roots)
            except ArexError as exc:
                answers.append(exc)
                continue
            if answer.state is ClientState.ACCEPTED:
                queue = self._accepting() if queue is None else queue
                answer = replace(answer, position=queue.get(answer.id))
            answers.append(answer)
        return answers

    def one(self, job: str) -> JobStatus:
        """
        How one job is.

        Raises:
            NoSuchJob, NotYourJob, UnsafePath: there is no answer.
        """
        [answer] = self.status([job])
        if isinstance(answer, ArexError):
            raise answer
        return answer

    def _accepting(self) -> dict[str, int]:
        """Jobs that wait to be taken up and their place in the line: the oldest status file is the first."""
        found = sorted(self.store.scan(Place.ACCEPTING), key=lambda pair: pair[1].st_ctime_ns)
        return {job: place for place, (job, _) in enumerate(found, 1)}

    def watch(self, ids: Collection[str], *, timeout_s: float | None = None) -> Iterator[JobStatus]:
        """
        Each job now, then again at every change, until all have ended or ``timeout_s`` seconds have passed.

        A job that goes away is told once more, as Deleted. Costs two ``lstat`` calls a job and look, at most
        twenty looks a second and one when nothing happens.
        """
        seen: dict[JobId, tuple[object, ...]] = {}
        last: dict[JobId, JobStatus] = {}
        open_jobs = [job_id(one) for one in ids]
        pace = follow.Pace(self._pause)
        while open_jobs:
            for job in list(open_jobs):
                trace = self._trace(job)
                if seen.get(job) == trace:
                    continue
                seen[job] = trace
                now = self._told(job, last.get(job))
                if now.state.final:
                    open_jobs.remove(job)
                if (before := last.get(job)) is None or (before.state, before.specific) != (now.state, now.specific):
                    last[job] = now
                    pace.hurry()
                    yield now
            if not open_jobs or (timeout_s is not None and pace.passed_s >= timeout_s):
                return
            pace.wait()

    def _told(self, job: JobId, before: JobStatus | None) -> JobStatus:
        try:
            return self.one(job)
        except NoSuchJob:
            if before is None:
                raise
            return replace(before, state=ClientState.DELETED, specific="", waiting="")

    def _trace(self, job: JobId) -> tuple[object, ...]:
        """What differs whenever the status may differ."""
        trace: list[object] = []
        for path in (
            *(self.store.layout.status_file(place, job) for place in Place),
            self.store.layout.job_file(job, "xml"),
        ):
            try:
                info = os.lstat(path)
            except FileNotFoundError:
                continue
            trace.append((path, info.st_mtime_ns, info.st_ino))
        return tuple(trace)

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
            upload(self.store, status.id, _session(status), files, self._pause, done=done)
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
        from arex.errors import CredentialError  # noqa: PLC0415

        status = self.one(job)
        if not status.delegationid:
            raise JobRefused("Job has no delegated credential: there is nothing to renew")
        if self._delegations is None:
            raise CredentialError("there is no proxy with a private key to renew from")
        given = self._delegations.renew(status.delegationid)
        self.store.put(status.id, "proxy", given.pem)
        fifo.ring(self.store.root, status.id)

    # --- out -----------------------------------------------------------------------------------------------------

    def fetch(self, job: str, target: Path, *, force: bool = False) -> session.Fetched:
        """
        Copy the results of a job that has ended; see ``plugins.session.fetch``.

        Raises:
            NoSuchJob, NotYourJob, ControlDirError
            JobRefused: it has not ended.
        """
        from plugins import session  # noqa: PLC0415 - most commands touch no session

        status = self.one(job)
        if not status.state.final:
            raise JobRefused(f"Job has not finished yet: it is {status.state}")
        return session.fetch(_session(status), target, force=force)

    def ls(self, job: str, name: str = "", *, recursive: bool = False) -> list[session.Entry]:
        """
        What is in the session directory, or in one directory of it.

        Raises:
            NoSuchJob, NotYourJob, ControlDirError, UnsafePath: there is nothing of that name.
        """
        from plugins import session  # noqa: PLC0415 - as above

        return [*session.listing(_session(self.one(job)), name, recursive=recursive)]

    def cat(self, job: str, what: Output | str = Output.STDOUT, *, followed: bool = False) -> Iterator[bytes]:
        """
        The content of a file: a standard stream, the log, or a name in the session directory.

        ``followed``: as it grows, until the job has ended.

        Raises:
            JobRefused: the job has no such stream.
            ControlDirError: there is no such file (yet).
            UnsafePath: it is not a regular file, or leads out of the session directory.
        """
        tail = self.tail(job, what, patient=followed)
        return follow.contents(tail, lambda: not followed or self._ended(JobId(job)), follow.Pace(self._pause))

    def tail(self, job: str, what: Output | str = Output.STDOUT, *, patient: bool = True) -> follow.Tail:
        """
        The same file, to be read bit by bit; ``patient``: it need not be there yet.

        Raises:
            as ``cat``.
        """
        status = self.one(job)
        name = self.stream_name(job, what) if what in {Output.STDOUT, Output.STDERR} else str(what)

        def open_file() -> int | None:
            try:
                if what == Output.LOG:
                    return os.open(self.store.layout.job_file(status.id, "errors"), os.O_RDONLY | os.O_CLOEXEC)
                return beneath.open_file(_session(status), name)
            except FileNotFoundError as exc:
                if patient:
                    return None
                raise ControlDirError(f"Job has no {what} (yet)") from exc

        return follow.Tail(open_file)

    def _ended(self, job: JobId) -> bool:
        try:
            return self.one(job).state.final
        except NoSuchJob:
            return True

    def stream_name(self, job: str, what: str) -> str:
        """
        The name of standard output or error in the session directory.

        Raises:
            JobRefused: the job does not keep it.
        """
        from arex.jobdesc.grami import parse_grami  # noqa: PLC0415 - for this question only

        status = self.one(job)
        data = self.store.read(status.id, "grami")
        grami = None if data is None else parse_grami(data)
        path = "" if grami is None else grami.stdout if what == Output.STDOUT else grami.stderr
        name = path.removeprefix(f"{status.sessiondir}/")
        if not name or name.startswith("/"):
            raise JobRefused(f"Job does not keep its {what}: its description names no file for it")
        return name


def _adjusted(job: JobDescription, queue: str, *, dryrun: bool) -> JobDescription:
    resources = replace(job.resources, queue=queue) if queue and not job.resources.queue else job.resources
    return replace(
        job,
        dryrun=job.dryrun or dryrun,
        resources=resources,
        alternatives=tuple(_adjusted(other, queue, dryrun=dryrun) for other in job.alternatives),
    )


def _session(status: JobStatus) -> Path:
    if status.sessiondir is None:
        raise ControlDirError(f"the session directory of job {status.id} is not known")
    return status.sessiondir


def user_name() -> str:
    """Of the process; the number where the system knows no name."""
    import pwd  # noqa: PLC0415

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
