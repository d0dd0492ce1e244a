"""
Create a job from a description. The files and their order are those of ARC's clients; the status file comes last.

Source: submission in ARC 6.17, with two differences. Uploads are copied *before* the status file exists, and
``.input_status`` lists them at once, so that the daemon does not have to wait for the client. Parent directories of
uploads are created, and the x bit of uploads is kept.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arex.clock import Clock
from arex.config.model import Configuration
from arex.controldir import atomic, codec, confined_fs, fifo, unfinished
from arex.controldir.session import SessionFiles
from arex.controldir.store import ControlDir
from arex.errors import ArexError, ControlDirError, CredentialError, JobDescriptionError, JobRefused
from arex.jobdesc.adl.acl import acl_document
from arex.jobdesc.adl.writer import write_adl
from arex.jobdesc.check import check
from arex.jobdesc.client.complete import ClientUpload, CompletedDescription
from arex.jobdesc.control.filelists import local_from, pfn
from arex.jobdesc.control.grami import build_grami, dump_grami
from arex.jobdesc.model import JobDescription, Remark
from arex.model import labels
from arex.model.arc import LOCAL_INTERFACE, WITH_PROXY
from arex.model.files import FileEntry
from arex.model.ids import JobId, new_job_id
from arex.model.local import JobLocal
from arex.model.state import State, Status

if TYPE_CHECKING:
    from plugins.local.delegation import Delegations  # needs sqlite3, which few submissions use

_ATTEMPTS: Final = 100
_BEGINS_S: Final = 5.0
_CHUNK: Final = 1024 * 1024
_ACL_MODE: Final = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A submitted job."""

    source: int  #: index of the description, from 0
    id: JobId
    session: Path
    name: str
    submitted_s: int  #: seconds since the epoch
    record: JobDescription  #: completed description; local sources are absolute paths
    announced: bool  #: False: the job waits, because no daemon is running

    @property
    def url(self) -> str:
        return f"file://{self.session}"

    @property
    def warnings(self) -> tuple[Remark, ...]:
        """What has no effect in the description, or another effect than was probably meant."""
        return self.record.warnings


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A refused description; all its files have been removed."""

    source: int  #: index of the description, from 0
    error: ArexError


class Writer:
    """Writes jobs of one owner into one control directory. It has no mutable state, so threads may share it."""

    def __init__(
        self,
        store: ControlDir,
        config: Configuration,
        clock: Clock,
        *,
        subject: str,
        delegations: Callable[[], Delegations | None],
        always: bool = False,
    ) -> None:
        """
        ``subject`` is the owner of the jobs. ``delegations`` returns the user's credential; it is only called for jobs
        that need one. With ``always``, every job needs it.
        """
        self._store = store
        self._config = config
        self._clock = clock
        self._subject = subject
        self._delegations = delegations
        self._always = always

    def admit(self, job: JobDescription) -> None:
        """
        Check whether the service accepts the job.

        Raises:
            JobRefused: the job is refused, with ARC's wording.
        """
        if not self._config.ws_jobs.allownew:
            raise JobRefused("New job submission is not allowed")
        if not self._config.queues:
            raise JobRefused("Request has no queue defined and none is allowed for this user")
        check(job, queues=[queue.name for queue in self._config.queues])
        self._queue(job)

    def _queue(self, job: JobDescription) -> str:
        """The requested queue, otherwise the first one that the description does not exclude."""
        names = [self._config.default_queue.name, *(queue.name for queue in self._config.queues)]
        wanted = [name for name in names if name not in job.resources.excluded_queues]
        if not job.resources.queue and not wanted:
            raise JobRefused("Requested queue does not match any of available queues")
        return job.resources.queue or wanted[0]

    def adl(self, job: JobDescription) -> bytes:
        """
        The description as ADL for the service.

        Raises:
            JobDescriptionError: the description cannot be written as ADL.
            JobRefused: the description is larger than the service allows.
        """
        data = codec.encode(write_adl(job, whole=True))
        limit = self._config.ws_jobs.maxjobdesc
        if limit and len(data) > limit:
            raise JobRefused(f"Job description is too big: {len(data)} bytes; the limit is {limit}")
        return data

    def write(self, source: int, ready: CompletedDescription, *, wanted: JobId | None = None) -> Submitted:
        """
        Create the job for description number ``source``, with the id ``wanted`` or a random one.

        After a crash at any point, either the job is complete, or there are files without a status file, which daemons
        and clients do not consider a job. After any other failure, all written files are removed. Nothing is flushed to
        disk here: after a power failure within seconds, a job may be missing, as with ARC's clients.

        Raises:
            JobRefused, JobDescriptionError: nothing was written.
            ControlDirError: the control or session directory is not writable; all written files have been removed.
            CredentialError: the credential for the job cannot be stored; all written files have been removed.
        """
        self.admit(ready.description)
        data = self.adl(ready.description)
        root = self._session_root()
        try:
            job, reserved = self._reserve(data, wanted)
        except OSError as exc:
            raise _unwritable(self._store.root, exc) from exc
        session = root / job
        try:
            submitted_s = self._filled(job, session, ready)
        finally:
            os.close(reserved)
        return Submitted(
            source=source,
            id=job,
            session=session,
            name=ready.description.name,
            submitted_s=submitted_s,
            record=ready.record,
            announced=fifo.ring(self._store.root, job),
        )

    def known(self, source: int, job: JobId, record: JobDescription) -> Submitted | None:
        """
        The job with this id, if an earlier submission has created it; the service is notified again.

        Raises:
            ControlDirError: an earlier submission is at work, or its files cannot be read.
        """
        try:
            found = self._store.read_status(job)
            local = None if found is None else self._store.read_local(job)
        except OSError as exc:
            raise _unwritable(self._store.root, exc) from exc
        if local is None or local.sessiondir is None:
            return None
        return Submitted(
            source=source,
            id=job,
            session=local.sessiondir,
            name=local.jobname or "",
            submitted_s=int((local.starttime or self._clock.now()).timestamp()),
            record=record,
            announced=fifo.ring(self._store.root, job),
        )

    def _reserve(self, data: bytes, wanted: JobId | None) -> tuple[JobId, int]:
        if wanted is not None:
            # a submission that was killed is replaced; seconds after its begin it may not have locked its file yet
            unfinished.drop(self._store, wanted, self._clock.now().timestamp() - _BEGINS_S)
        for _ in range(_ATTEMPTS if wanted is None else 1):
            job = wanted or new_job_id()
            with contextlib.suppress(FileExistsError):
                return job, self._store.begin(job, data)
        if wanted is not None:
            raise ControlDirError("Another submission with this id is at work, or was just interrupted: try again soon")
        raise ControlDirError(f"Failed to generate unique job id in {self._store.root}")

    def _filled(self, job: JobId, session: Path, ready: CompletedDescription) -> int:
        """Time of the submission, in seconds since the epoch; if the job cannot be created, its files are removed."""
        try:
            return self._fill(job, SessionFiles(session), ready)
        except OSError as exc:
            self._undo(job, session, ready)
            raise _unwritable(exc.filename or session, exc) from exc
        except BaseException:
            self._undo(job, session, ready)
            raise

    def _fill(self, job: JobId, session: SessionFiles, ready: CompletedDescription) -> int:
        now = self._clock.now()
        store, description = self._store, ready.description
        base = JobLocal(
            globalid=job,
            interface=LOCAL_INTERFACE,
            lrms=self._config.lrms.lrms.name,
            queue=self._queue(description),
            subject=self._subject,
            starttime=now,
            delegexpiretime=now,
            sessiondir=session.path,
        )
        if self._needs(ready) and (delegations := self._delegations()) is not None:
            given = delegations.keep(job)
            base = replace(base, delegationid=given.id, delegexpiretime=given.expires)
            if given.proxy is not None:
                store.put(job, "proxy", given.proxy)
        local = local_from(description, base)
        local = replace(local, extra=(*local.extra, *labels.lines(description.labels)))
        store.put_local(job, local)
        if description.acl:
            store.put(job, "acl", codec.encode(acl_document(description.acl)), mode=_ACL_MODE)
        grami = build_grami(description, local, jobid=job, session=session.path, controldir=store.root)
        store.put(job, "grami", dump_grami(grami))
        session.make()
        for upload in ready.uploads:
            copy_in(upload, session.path)
        store.put(job, "input_status", input_status(ready))
        store.put_status(job, Status(State.ACCEPTED), None)
        return int(now.timestamp())

    def _needs(self, ready: CompletedDescription) -> bool:
        runtimes = ready.description.resources.runtimes
        return self._always or ready.needs_delegation or any(each.full_name == WITH_PROXY for each in runtimes)

    def _undo(self, job: JobId, session: Path, ready: CompletedDescription) -> None:
        with contextlib.suppress(OSError, CredentialError):  # report the first error
            if self._store.read_status(job) is None:
                SessionFiles(session).remove()
                self._store.forget(job)
                if self._needs(ready) and (delegations := self._delegations()) is not None:
                    delegations.release(job)

    def _session_root(self) -> Path:
        roots = [entry.path for entry in self._config.arex.sessiondir if not entry.drain]
        if not roots:
            raise JobRefused("No non-draining session dirs available")
        return roots[0] if len(roots) == 1 else secrets.choice(roots)


def _unwritable(path: Path | str, exc: OSError) -> ControlDirError:
    return ControlDirError(f"Failed registering job in A-REX: {path}: {exc.strerror or exc}")


def input_status(ready: CompletedDescription) -> bytes:
    """Content of ``.input_status`` for complete uploads: an empty line, as ARC's clients write it, and the names."""
    return b"\n" + codec.dump_entries(FileEntry(pfn(upload.name)) for upload in ready.uploads)


def copy_in(upload: ClientUpload, session: Path) -> None:
    """
    Copy a user's file into a session directory. Only its owner gets access; it is executable if the source is, or if
    the description requests it.

    Raises:
        JobDescriptionError: the file cannot be read.
        UnsafePath: the name leads out of the session directory, or already exists.
    """
    if upload.content is not None:
        _create(session, upload, [upload.content], executable=upload.executable)
        return
    try:
        source = os.open(upload.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as exc:
        raise JobDescriptionError(f"Failed to copy input file: {upload.path} to {upload.name}: {exc.strerror}") from exc
    try:
        executable = upload.executable or bool(os.fstat(source).st_mode & 0o100)
        _create(session, upload, chunks(source), executable=executable)
    finally:
        os.close(source)


def _create(session: Path, upload: ClientUpload, pieces: Iterable[bytes], *, executable: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    target = confined_fs.open_file(session, upload.name, flags, 0o700 if executable else 0o600, create_parents=True)
    try:
        for data in pieces:
            atomic.write_all(target, data)
    finally:
        os.close(target)


def chunks(fd: int) -> Iterator[bytes]:
    while data := os.read(fd, _CHUNK):
        yield data
