"""Read-only access to the jobs of a user."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from arex.clock import Clock, SystemClock
from arex.config.model import Configuration
from arex.controldir import confined_fs, fifo
from arex.controldir.layout import LAYOUTS, Place
from arex.controldir.store import ControlDir
from arex.diagnosis import facts
from arex.errors import ArexError, ControlDirError, JobRefused, NoSuchJob
from arex.model.ids import JobId, job_id
from plugins.local import follow
from plugins.local.reasons import ServiceView
from plugins.local.status import ClientState, JobStatus, read_status

if TYPE_CHECKING:
    from plugins.local import session


class Output(StrEnum):
    """Files of a job that ``cat`` can print without a file name."""

    STDOUT = "stdout"
    STDERR = "stderr"
    LOG = "log"  #: the job's log, by the service and the batch system


class View:
    """Jobs of this user in one control directory; needs no daemon."""

    def __init__(
        self, config: Configuration, *, clock: Clock | None = None, pause: follow.Sleep = follow.sleep
    ) -> None:
        self.config = config
        self.store = ControlDir(LAYOUTS[config.service.layout](config.arex.controldir))
        self._clock = clock or SystemClock()
        self._pause = pause
        self._roots = tuple(entry.path for entry in config.arex.sessiondir)

    @property
    def served(self) -> bool:
        """Whether a daemon of arex or ARC is running for this control directory."""
        try:
            # a pipe without a reader cannot be opened for writing
            fd = os.open(self.store.root / fifo.NAME, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return stat.S_ISFIFO(os.fstat(fd).st_mode)
        finally:
            os.close(fd)

    def jobs(self) -> list[JobId]:
        """All jobs of this user in this control directory, unordered."""
        found: dict[JobId, None] = {}
        for place in Place:
            with contextlib.suppress(FileNotFoundError):
                found |= dict.fromkeys(job for job, _ in self.store.scan(place))
        return [*found]

    def status(self, ids: Iterable[str]) -> list[JobStatus | ArexError]:
        """The status of the jobs, in order; for unknown jobs and those of other users, an error."""
        answers: list[JobStatus | ArexError] = []
        now = self._clock.now()
        view = ServiceView(lambda: self.served, lambda: facts.read(self.store.root, now), self._accepting)
        for text in ids:
            try:
                answer = read_status(self.store, job_id(text), now=now, roots=self._roots, view=view)
            except ArexError as exc:
                answers.append(exc)
                continue
            except OSError as exc:
                answers.append(ControlDirError(f"can't read job {text}: {exc.filename}: {exc.strerror}"))
                continue
            answers.append(answer)
        return answers

    def one(self, job: str) -> JobStatus:
        """
        The status of one job.

        Raises:
            NoSuchJob, NotYourJob, UnsafePath: there is no status.
            ControlDirError: its files cannot be read.
        """
        [answer] = self.status([job])
        if isinstance(answer, ArexError):
            raise answer
        return answer

    def _accepting(self) -> dict[JobId, int]:
        """Jobs that wait in ACCEPTED, with their positions; the job with the oldest status file is first."""
        found = sorted(self.store.scan(Place.ACCEPTING), key=lambda pair: pair[1].st_ctime_ns)
        return {job: place for place, (job, _) in enumerate(found, 1)}

    def watch(self, ids: Collection[str], *, timeout_s: float | None = None) -> Iterator[JobStatus]:
        """
        The status of each job, then again after every change, until all have ended or ``timeout_s`` seconds have
        passed.

        A removed job is reported once more, as Deleted. Each poll takes two ``lstat`` calls per job. There are at most
        twenty polls a second, and one while nothing changes.
        """
        watched = JobWatch(self, ids)
        pace = follow.PollInterval(self._pause)
        while True:
            for status in watched.look():
                pace.hurry()
                yield status
            if watched.over or (timeout_s is not None and pace.passed_s >= timeout_s):
                return
            pace.wait()

    def status_after(self, job: JobId, before: JobStatus | None) -> JobStatus:
        """
        The status of a watched job; one that was removed is Deleted.

        Raises:
            NoSuchJob: there was no such job before.
            as ``one``.
        """
        try:
            return self.one(job)
        except NoSuchJob:
            if before is None:
                raise
            return replace(before, state=ClientState.DELETED, specific="", reason=None)

    def trace(self, job: JobId) -> tuple[object, ...]:
        """A value that changes whenever the state may have changed; takes a few ``lstat`` calls."""
        trace: list[object] = []
        for path in (
            *(self.store.layout.status_file(place, job) for place in Place),
            self.store.layout.job_file(job, "xml"),
        ):
            try:
                info = os.lstat(path)
            except OSError:
                continue
            trace.append((path, info.st_mtime_ns, info.st_ino))
        return tuple(trace)

    def fetch(self, job: str, target: Path, *, force: bool = False) -> session.Fetched:
        """
        Copy the results of a job that has ended; see ``plugins.local.session.fetch``.

        Raises:
            NoSuchJob, NotYourJob, ControlDirError
            JobRefused: the job has not ended.
        """
        from plugins.local import session  # noqa: PLC0415 - most commands touch no session

        status = self.one(job)
        if not status.state.final:
            raise JobRefused(f"Job has not finished yet: it is {status.state}")
        return session.fetch(session_of(status), target, force=force)

    def ls(self, job: str, name: str = "", *, recursive: bool = False) -> list[session.SessionEntry]:
        """
        The entries of the session directory, or of a directory in it.

        Raises:
            NoSuchJob, NotYourJob, ControlDirError, UnsafePath: the job or the name does not exist, or is not allowed.
        """
        return [*self.listing(job, name, recursive=recursive)]

    def listing(self, job: str, name: str = "", *, recursive: bool = False) -> Iterator[session.SessionEntry]:
        """
        Like ``ls``, but one entry at a time, while the tree is read.

        Raises:
            as ``ls``, and OSError: the directory cannot be read.
        """
        from plugins.local import session  # noqa: PLC0415 - as above

        return session.listing(session_of(self.one(job)), name, recursive=recursive)

    def cat(self, job: str, what: Output | str = Output.STDOUT, *, followed: bool = False) -> Iterator[bytes]:
        """
        The content of a file: a standard stream, the log, or a file in the session directory.

        With ``followed``, also new content until the job has ended.

        Raises:
            JobRefused: the job does not store this stream.
            ControlDirError: the file does not exist (yet).
            UnsafePath: the name is not a regular file, or leads out of the session directory.
        """
        tail = self.tail(job, what, patient=followed)
        return follow.contents(tail, lambda: not followed or self._ended(JobId(job)), follow.PollInterval(self._pause))

    def tail(self, job: str, what: Output | str = Output.STDOUT, *, patient: bool = True) -> follow.Tail:
        """
        Open a file as ``cat`` does, to read new parts repeatedly; with ``patient``, it need not exist yet.

        Raises:
            as ``cat``.
        """
        status = self.one(job)
        name = self.stream_name(job, what) if what in {Output.STDOUT, Output.STDERR} else str(what)

        def open_file() -> int | None:
            try:
                if what == Output.LOG:
                    return os.open(self.store.layout.job_file(status.id, "errors"), os.O_RDONLY | os.O_CLOEXEC)
                return confined_fs.open_file(session_of(status), name)
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
            JobRefused: the job does not store this stream.
        """
        from arex.jobdesc.control.grami import parse_grami  # noqa: PLC0415 - needed only here

        status = self.one(job)
        data = self.store.read(status.id, "grami")
        grami = None if data is None else parse_grami(data)
        path = "" if grami is None else grami.stdout if what == Output.STDOUT else grami.stderr
        name = path.removeprefix(f"{status.sessiondir}/")
        if not name or name.startswith("/"):
            raise JobRefused(f"Job does not store its {what}: its description names no file for it")
        return name


def session_of(status: JobStatus) -> Path:
    if status.sessiondir is None:
        raise ControlDirError(f"the session directory of job {status.id} is not known")
    return status.sessiondir


class JobWatch:
    """Finds changes of jobs without waiting, so that callers choose how to wait."""

    def __init__(self, view: View, ids: Collection[str]) -> None:
        self._view = view
        self._open = [job_id(one) for one in ids]
        self._seen: dict[JobId, tuple[object, ...]] = {}
        self._last: dict[JobId, JobStatus] = {}

    @property
    def over(self) -> bool:
        """Whether all jobs have ended."""
        return not self._open

    def look(self) -> Iterator[JobStatus]:
        """
        The jobs whose state has changed since the last look; at the first look, all jobs.

        Raises:
            NoSuchJob, NotYourJob, ControlDirError: a job cannot be watched; it is not looked at again.
        """
        for job in list(self._open):
            trace = self._view.trace(job)
            if self._seen.get(job) == trace:
                continue
            self._seen[job] = trace
            before = self._last.get(job)
            try:
                now = self._view.status_after(job, before)
            except ArexError:
                self._open.remove(job)
                raise
            if now.state.final:
                self._open.remove(job)
            if before is None or (before.state, before.specific) != (now.state, now.specific):
                self._last[job] = now
                yield now
