"""Turns of jobs in a worker thread: drive a job and publish its state; an exception affects only this job."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, Self, TypeVar

from arex.clock import Clock, Timer
from arex.errors import ControlDirError
from arex.gm.context import Job, JobContext
from arex.gm.machine import Resting, drive
from arex.gm.publishing import activity
from arex.gm.steps import AskStatus, AskSubmit, Forget
from arex.logs import job_context
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.state import State, Status

log = logging.getLogger(__name__)
_T = TypeVar("_T")

#: Seconds that the turns of one thread may take together before other workers get those that have not begun.
_LONG_S: Final = 0.1


def unknown(job: JobId) -> Job:
    """A job of which only the id is known; its first turn reads the rest from disk."""
    long_ago = datetime.fromtimestamp(0, UTC)
    return Job(id=job, status=Status(State.UNDEFINED), place=None, local=JobLocal(), changed=long_ago)


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
    except OSError as exc:
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
            activity.publish(context)
    except Exception as exc:  # noqa: BLE001 - an exception of one job must not affect others; it is logged and retried
        return exc
    finally:
        job_context.reset(token)
    if context.job.status != before:
        log.debug("%s -> %s", before, context.job.status, extra={"event": "job.moved", "job": context.job.id})
    return rest


def log_failure(job: JobId, exc: Exception) -> None:
    """Log an exception that ended a turn."""
    if isinstance(exc, OSError | ControlDirError):
        facts = {"event": "job.trouble", "job": job}
        log.warning("cannot access the files of the job; arex retries within a minute: %s", exc, extra=facts)
    else:
        log.error("internal error; arex retries the job", exc_info=exc, extra={"event": "job.bug", "job": job})
