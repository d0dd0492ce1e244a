"""Turns of jobs in a worker thread: drive a job and publish its state; an exception affects only this job."""

from __future__ import annotations

import contextlib
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, Self, TypeVar

from arex.clock import Clock, Timer
from arex.controldir.codec import trouble_line, trouble_over
from arex.controldir.temporary import writer_of
from arex.errors import ControlDirError, CorruptFile
from arex.gm.context import JobContext, KnownJob
from arex.gm.machine import Resting, drive
from arex.gm.publishing import activity
from arex.gm.steps import AskStatus, AskSubmit, Forget
from arex.logs import job_context
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.state import ACTIVE, State, Status

log = logging.getLogger(__name__)
_T = TypeVar("_T")

#: Seconds that the turns of one thread may take together before other workers get those that have not begun.
_LONG_S: Final = 0.1


def unknown(job: JobId) -> KnownJob:
    """A job of which only the id is known; its first turn reads the rest from disk."""
    long_ago = datetime.fromtimestamp(0, UTC)
    return KnownJob(id=job, status=Status(State.UNDEFINED), place=None, local=JobLocal(), changed=long_ago)


class Turns:
    """
    The turns of several jobs in one worker thread.

    ``run`` and ``sync`` are for threads, everything else is for the event loop.

    Results count once the files of their turns are on disk: the tag of an attempt, above all, has to be there before
    the job is submitted. Jobs are flushed together, because the first flush takes most of the time of all.
    """

    def __init__(self, contexts: Iterable[JobContext], clock: Clock) -> None:
        self._clock = clock
        self._ahead = deque(contexts)
        self._unsynced: deque[tuple[JobContext, Resting | Exception]] = deque()
        self._results: deque[tuple[JobContext, Resting | Exception]] = deque()
        self._begun: float | None = None  #: monotonic seconds
        self._timer: Timer | None = None

    @property
    def any_ended(self) -> bool:
        """Whether turns have ended that ``sync`` has not flushed yet."""
        return bool(self._unsynced)

    def watch(self, is_long: Callable[[Self], None]) -> None:
        """Call ``is_long`` if the turns take long; the time that they wait for a thread does not count."""
        taken_s = 0.0 if self._begun is None else self._clock.monotonic() - self._begun
        left_s = round(_LONG_S - taken_s, 3)
        if left_s > 0:
            self._timer = self._clock.call_later(left_s, self.watch, is_long)
        else:
            is_long(self)

    def unwatch(self) -> None:
        """Cancel the timer of ``watch``."""
        if self._timer is not None:
            self._timer.cancel()

    def run(self) -> None:
        """Drive each job; an exception is returned in place of the resting step."""
        self._begun = self._clock.monotonic()
        for context in _popped(self._ahead):
            self._unsynced.append((context, _take_turn(context)))
        self.sync()

    def sync(self) -> None:
        """Flush the files of the turns so far to disk; may run in another thread than ``run``."""
        for context, rest in _popped(self._unsynced):
            self._results.append((context, _synced(context, rest)))

    def withdraw(self) -> list[JobContext]:
        """Remove and return the jobs whose turns have not begun."""
        return list(_popped(self._ahead))

    def results(self) -> Iterator[tuple[JobContext, Resting | Exception]]:
        """The results since the last call."""
        return _popped(self._results)


def _popped(line: deque[_T]) -> Iterator[_T]:
    """Remove and return the items one by one, each to one thread only."""
    with contextlib.suppress(IndexError):
        while True:
            yield line.popleft()


def _synced(context: JobContext, rest: Resting | Exception) -> Resting | Exception:
    try:
        context.store.sync()
    except Exception as exc:  # noqa: BLE001 - as in _take_turn
        return exc
    return rest


def _take_turn(context: JobContext) -> Resting | Exception:
    token = job_context.set(context.job.id)
    before = context.job.status
    try:
        rest = drive(context)
        moved = context.job.status != before
        if (moved or context.retried) and not isinstance(rest, Forget | AskSubmit | AskStatus):
            # a submitted job is published with its phase within a second, so it is not published here
            _publish(context)
        if context.told and not isinstance(rest, Forget):
            _tell(context, trouble_over(context.services.clock.now()))
    except Exception as exc:  # noqa: BLE001 - an exception of one job must not affect others; it is logged and retried
        if context.retried and trouble(exc) != context.told:
            context.told = trouble(exc)
            _tell(context, trouble_line(context.services.clock.now(), context.told))
        if context.retried and is_about_files(exc):
            _repair(context)
        return exc
    finally:
        job_context.reset(token)
    if context.job.status != before:
        log.debug("%s -> %s", before, context.job.status, extra={"event": "job.moved", "job": context.job.id})
    return rest


def _repair(context: JobContext) -> None:
    """Remove what another process has put in the place of control files, so that the next turn can succeed."""
    job, store = context.job, context.services.store
    try:
        if removed := store.repair(job.id):
            facts = {"event": "job.repaired", "job": job.id}
            log.warning("removed what was in the place of control files: %s", ", ".join(removed), extra=facts)
        if "local" in removed and job.state in ACTIVE:
            store.put_local(job.id, job.local)
    except (OSError, ControlDirError) as exc:
        log.info("cannot repair the control files: %s", exc, extra={"event": "job.trouble", "job": job.id})


def _publish(context: JobContext) -> None:
    """
    Write the document for clients of ARC; the job does not wait for it.

    Raises:
        OSError: the disk is full or the like, and the job has ended, so that there is no later turn: repeat this one.
    """
    job = context.job
    try:
        activity.publish(context)
    except (OSError, CorruptFile) as exc:
        if job.state not in ACTIVE and not isinstance(exc, CorruptFile | IsADirectoryError | PermissionError):
            raise
        facts = {"event": "xml.failed", "job": job.id}
        log.warning("cannot write the GLUE2 document of the job: %s", exc, extra=facts)
    except Exception as exc:  # noqa: BLE001 - it is logged and counted
        context.services.keeper.note("publisher", exc, job.id)


def _tell(context: JobContext, line: str) -> None:
    """Add a line to the job's log; if that fails, the owner does not see it, but the service's log has it."""
    try:
        if context.store.read_status(context.job.id) is None:
            return  # the removal of the job has come as far as that; nothing would remove a new log
        context.store.note(context.job.id, line)
        context.store.flush()
    except (OSError, ControlDirError) as exc:
        log.info("cannot write to the job's log: %s", exc, extra={"event": "job.untold", "job": context.job.id})


def trouble(exc: Exception) -> str:
    """The text about an exception that ended a turn, without the names of temporary files."""
    if isinstance(exc, OSError) and exc.strerror:
        name, target = (_path(each) for each in (exc.filename, exc.filename2))
        shown = target if target and writer_of(name) is not None else name
        return f"{exc.strerror}: {shown}" if shown else exc.strerror
    text = str(exc) if is_about_files(exc) else f"internal error of arex: {type(exc).__name__}: {exc}"
    return " ".join(text.split())


def _path(name: object) -> str:
    """The file in an exception; empty if it is a descriptor, or unknown."""
    return os.fsdecode(name) if isinstance(name, str | bytes) else ""


def is_about_files(exc: Exception) -> bool:
    """Whether a turn ended because files were not accessible, and not because of a bug of arex."""
    return isinstance(exc, OSError | ControlDirError | MemoryError)


def log_failure(job: JobId, exc: Exception) -> None:
    """Log an exception that ended a turn."""
    if is_about_files(exc):
        facts = {"event": "job.trouble", "job": job}
        log.warning("cannot access the files of the job; arex retries within a minute: %s", exc, extra=facts)
    else:
        log.error("internal error; arex retries the job", exc_info=exc, extra={"event": "job.bug", "job": job})
