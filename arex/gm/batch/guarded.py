"""
A backend whose bugs, and whose trouble with the files of a job, concern only single jobs.

A call about many jobs that ends with an exception is repeated for parts of them, until the job is found that causes it.
That job is asked about alone, and less and less often. Errors of the machine, such as too many open files, are no
answer: nothing is known about any job.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from arex.backoff import backoff_s
from arex.clock import Clock
from arex.errors import BatchUnavailable, SubmitRejected
from arex.model.ids import JobId, LocalId, Tag
from arex.model.report import Report
from arex.ports import Backend, Capacity, LocalJob, Submission, Submitted
from arex.taskkeeper import TaskKeeper

log = logging.getLogger(__name__)

_K = TypeVar("_K", LocalId, Tag)
_I = TypeVar("_I", LocalJob, Submission)
_A = TypeVar("_A")

_OF_THE_MACHINE: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOBUFS})
#: Calls that may end with an exception before a request counts as unanswered.
_MOST_FAILURES: Final = 24
#: Attempts to submit a job alone that may end with an exception.
_MOST_TRIES: Final = 3
#: How many jobs are remembered whose requests end with an exception; the oldest may have gone meanwhile.
_MOST_SUSPECTS: Final = 10_000


@dataclass(slots=True)
class _Suspect:
    """A job whose requests end with an exception."""

    error: str
    failures: int
    due: float  #: monotonic seconds: time of the next request


class GuardedBackend:
    """The port ``Backend`` over another backend. Only BatchUnavailable leaves its methods."""

    def __init__(self, backend: Backend, clock: Clock, keeper: TaskKeeper) -> None:
        self.name = backend.name
        self._backend = backend
        self._clock = clock
        self._keeper = keeper
        self._suspects: dict[tuple[str, str], _Suspect] = {}  #: by method, and tag or local id
        self._unsure: set[Tag] = set()  #: jobs about which ``find`` ended with an exception

    async def start(self) -> None:
        await self._backend.start()

    async def close(self) -> None:
        await self._backend.close()

    def capacity(self) -> Capacity:
        return self._backend.capacity()

    def figures(self) -> Mapping[str, int]:
        return self._backend.figures()

    async def watch(self, ended: Callable[[LocalId], None]) -> None:
        await self._backend.watch(ended)

    async def tagged(self) -> Mapping[LocalId, JobId]:
        try:
            return await self._backend.tagged()
        except BatchUnavailable:
            raise
        except Exception as exc:
            self._keeper.note(f"{self.name}: tagged", exc)
            raise BatchUnavailable(f"internal error of arex: {_words(exc)}") from exc

    # --- submissions ---

    async def submit(self, batch: Sequence[Submission]) -> Mapping[Tag, Submitted]:
        """
        As the port says. After an exception, the jobs of the call are unsure and submitted one by one from then on.

        A job that causes exceptions when it is submitted alone is refused in the end. The grid manager has looked for
        it before each attempt, so the batch system does not have it.
        """
        answers: dict[Tag, Submitted] = {}
        parts: list[list[Submission]] = [[]]
        for each in batch:
            known = self._suspects.get(("submit", each.tag))
            if each.tag in self._unsure:
                continue
            if known is None:
                parts[0].append(each)
            elif known.failures < _MOST_TRIES:
                parts.append([each])
            else:
                del self._suspects["submit", each.tag]
                answers[each.tag] = SubmitRejected(f"internal error of arex: {known.error}")
        for part in filter(None, parts):
            answers |= await self._submit(part)
        return answers

    async def _submit(self, batch: Sequence[Submission]) -> Mapping[Tag, Submitted]:
        try:
            answers = await self._backend.submit(batch)
        except BatchUnavailable:
            raise
        except Exception as exc:  # noqa: BLE001 - it is logged, and ends in a refusal
            self._pass_machine_errors(exc)
            self._keeper.note(f"{self.name}: submit", exc)
            for each in batch:
                self._suspect("submit", each.tag, exc)
            return {}
        for each in batch:
            self._suspects.pop(("submit", each.tag), None)
        return answers

    async def find(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId]:
        """As the port says. A job that causes an exception is not submitted before ``find`` has an answer about it."""
        found, errors = await self._isolated("find", self._backend.find, batch, _tag)
        self._unsure -= {each.tag for each in batch}
        self._unsure |= errors.keys()
        return found

    # --- questions and requests about jobs ---

    async def recorded(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        return (await self._isolated("recorded", self._backend.recorded, jobs, _localid))[0]

    async def status(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        return (await self._isolated("status", self._backend.status, jobs, _localid))[0]

    async def cancel(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        return await self._asked("cancel", self._backend.cancel, jobs)

    async def hold(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        return await self._asked("hold", self._backend.hold, jobs)

    async def release(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        return await self._asked("release", self._backend.release, jobs)

    async def _asked(
        self,
        what: str,
        ask: Callable[[Sequence[LocalJob]], Awaitable[Mapping[LocalId, str]]],
        jobs: Collection[LocalJob],
    ) -> Mapping[LocalId, str]:
        answers, errors = await self._isolated(what, ask, jobs, _localid)
        return {**answers, **{localid: f"internal error of arex: {why}" for localid, why in errors.items()}}

    async def _isolated(
        self,
        what: str,
        ask: Callable[[Sequence[_I]], Awaitable[Mapping[_K, _A]]],
        items: Collection[_I],
        key: Callable[[_I], _K],
    ) -> tuple[dict[_K, _A], dict[_K, str]]:
        """The answers, and an error for each job that causes an exception or did so a moment ago."""
        now = self._clock.monotonic()
        names = [key(each) for each in items]
        known = {name: self._suspects[what, name] for name in names if (what, name) in self._suspects}
        errors = {name: suspect.error for name, suspect in known.items() if suspect.due > now}
        parts = [[each] for each in items if key(each) in known and key(each) not in errors]
        if others := [each for each in items if key(each) not in known]:
            parts.append(others)
        answers: dict[_K, _A] = {}
        failures = 0
        while parts:
            part = parts.pop()
            try:
                answers |= await ask(part)
            except BatchUnavailable:
                raise
            except Exception as exc:
                self._pass_machine_errors(exc)
                failures += 1
                if failures > _MOST_FAILURES:
                    self._keeper.note(f"{self.name}: {what}", exc)
                    raise BatchUnavailable(f"internal error of arex: {_words(exc)}") from exc
                if len(part) > 1:
                    parts += [part[: len(part) // 2], part[len(part) // 2 :]]
                else:
                    self._keeper.note(f"{self.name}: {what}", exc, job=part[0].job)
                    self._suspect(what, key(part[0]), exc)
                    errors[key(part[0])] = _words(exc)
            else:
                for each in part:
                    self._suspects.pop((what, key(each)), None)
        return answers, errors

    def _suspect(self, what: str, name: str, exc: Exception) -> None:
        known = self._suspects.get((what, name))
        failures = 0 if known is None else known.failures
        due = self._clock.monotonic() + backoff_s(failures)
        self._suspects[what, name] = _Suspect(_words(exc), failures + 1, due)
        if len(self._suspects) > _MOST_SUSPECTS:
            del self._suspects[next(iter(self._suspects))]

    def _pass_machine_errors(self, exc: Exception) -> None:
        """
        Raises:
            BatchUnavailable: the exception is about this machine, not about a job.
        """
        is_thread = isinstance(exc, RuntimeError) and "thread" in str(exc)
        if isinstance(exc, MemoryError) or is_thread or (isinstance(exc, OSError) and exc.errno in _OF_THE_MACHINE):
            raise BatchUnavailable(f"this machine has a shortage: {_words(exc)}") from exc


def _tag(submission: Submission) -> Tag:
    return submission.tag


def _localid(job: LocalJob) -> LocalId:
    return job.localid


def _words(exc: Exception) -> str:
    if isinstance(exc, OSError) and exc.strerror:
        return f"{exc.strerror}: {exc.filename}" if exc.filename else exc.strerror
    return f"{type(exc).__name__}: {exc}".rstrip(": ")
