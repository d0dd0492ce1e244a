"""
Sends mail and runs ``notify_command`` after the turns of jobs; no job waits for either, or changes because of them.

A program is run again only if it has not started or asks for it. The queue is in memory: what waits in it when the
service ends is lost, so that nothing is sent twice.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from arex import process
from arex.aio import WakeUp
from arex.backoff import backoff_s
from arex.gm.context import KnownJob, Services
from arex.gm.notices.facts import Entered, JobFacts, read_facts
from arex.model.notify import recipients
from arex.model.state import State

log = logging.getLogger(__name__)

#: Maximum number of mails and commands that wait.
_MOST: Final = 10_000
#: Time limit of one program, seconds.
_LIMIT_S: Final = 60.0
#: Exit code of a program that wants to be run again later. Source: sysexits.h, EX_TEMPFAIL.
_TRY_AGAIN: Final = 75
#: Pauses in seconds before further attempts, and their number.
_PAUSES_S: Final = (60.0, 300.0, 900.0, 3600.0)
_ATTEMPTS: Final = 8
#: Longest part of the output of a program in the log, characters.
_SHOWN: Final = 2000
#: Name of this work in ``arex status``.
_NAME: Final = "mail and notify_command"


@dataclass(slots=True, kw_only=True)
class _Task:
    """A mail to ``address``, or without one, a run of the command."""

    entered: Entered
    address: str = ""
    failures: int = 0

    @property
    def what(self) -> str:
        return f"the mail to {self.address}" if self.address else "notify_command"


@dataclass(slots=True, kw_only=True)
class _Program:
    """The program for a task, and what it gets."""

    argv: tuple[str, ...]
    stdin: bytes
    env: Mapping[str, str] = field(default_factory=dict)  #: besides that of all programs


class Notices:
    """The queue of mails and commands, for the event loop; the options are those of ``Services.settings``."""

    def __init__(
        self, services: Services, environment: Callable[[], Mapping[str, str]], *, most: int = _MOST,
        limit_s: float = _LIMIT_S,
    ) -> None:  # fmt: skip
        """``environment`` returns that of programs which are not part of the service."""
        self._services = services
        self._environment = environment
        self._most, self._limit_s = most, limit_s
        self._ready: deque[_Task] = deque()
        self._later: list[tuple[float, int, _Task]] = []  #: a heap, by monotonic seconds
        self._serial = itertools.count()
        self._at_work = 0
        self._dropped = 0
        self._wake = WakeUp(services.clock)

    def add(self, job: KnownJob, states: Sequence[State], failure: str) -> None:
        """The job has entered these states: queue what the site and the job want; reads no file."""
        settings = self._services.settings
        notify = job.local.notify if settings.sendmail is not None else None
        if not notify and settings.notify_command is None:
            return
        for state in states:
            entered = Entered(
                job=job.id,
                state=state,
                at=job.changed,
                local=job.local,
                failure=failure if state is State.FINISHED else "",
                session=job.local.sessiondir or settings.sessiondirs[0] / job.id,
            )
            for address in recipients(notify or "", state):
                self._put(_Task(entered=entered, address=address))
            if settings.notify_command is not None and state is State.FINISHED:
                self._put(_Task(entered=entered))

    def _put(self, task: _Task) -> None:
        if len(self) < self._most:
            self._ready.append(task)
            self._wake.set()
            return
        self._dropped += 1
        full = asyncio.QueueFull(f"{self._dropped} mails and commands were dropped, because {self._most} are waiting")
        self._services.keeper.count(_NAME, full)
        if self._dropped == 1:
            log.warning("%s", full, extra={"event": "notice.dropped", "job": task.entered.job})

    def __len__(self) -> int:
        """Number of mails and commands that are not done."""
        return len(self._ready) + len(self._later) + self._at_work

    async def run(self) -> None:
        """Run until cancelled."""
        try:
            while True:
                pause_s = self._take_due()
                self._at_work = 0
                if self._ready:
                    task, self._at_work = self._ready.popleft(), 1
                    await self._carry_out(task)
                else:
                    self._dropped = 0
                    await self._wake.wait(pause_s)
        except asyncio.CancelledError:
            if number := len(self):
                facts = {"event": "notice.lost"}
                log.warning(
                    "the service stops: mails and commands at the end of jobs are lost: %d", number, extra=facts
                )
            raise

    def _take_due(self) -> float | None:
        """Queue what is due for another attempt; returns the seconds until more is due, None if nothing waits."""
        now = self._services.clock.monotonic()
        while self._later and self._later[0][0] <= now:
            self._ready.append(heapq.heappop(self._later)[-1])
        return self._later[0][0] - now if self._later else None

    async def _carry_out(self, task: _Task) -> None:
        try:
            facts = await asyncio.to_thread(read_facts, self._services.store, task.entered)
        except OSError as exc:
            self._again(task, f"the files of the job cannot be read: {exc}")
            return
        program = self._program(task, facts)
        if program is None:
            log.info("%s is not wanted any more", task.what, extra={"event": "notice.off", "job": task.entered.job})
            return
        try:
            done = await process.run(
                program.argv, timeout=self._limit_s, stdin=program.stdin, cwd=Path("/"),
                env={**self._environment(), **program.env},
            )  # fmt: skip
        except process.NotStarted as exc:
            self._services.keeper.count(_NAME, exc)
            self._again(task, str(exc))
        except process.CommandFailed as exc:  # it may have sent the mail, so it is not run again
            self._services.keeper.count(_NAME, exc)
            self._failed(task, str(exc))
        else:
            self._ended(task, done)

    def _program(self, task: _Task, facts: JobFacts) -> _Program | None:
        """None if the option was removed meanwhile."""
        settings = self._services.settings
        if task.address:
            from arex.gm.notices.mail import message  # noqa: PLC0415 - a large import, and few services send mail

            if settings.sendmail is None:
                return None
            text = message(task.entered, facts, task.address, settings.hostname)
            return _Program(argv=(str(settings.sendmail), "-oi", "-t"), stdin=text)
        from arex.gm.notices.document import document, variables  # noqa: PLC0415 - as above

        if settings.notify_command is None:
            return None
        return _Program(
            argv=settings.notify_command.argv, stdin=document(task.entered, facts), env=variables(task.entered)
        )

    def _ended(self, task: _Task, done: process.Completed) -> None:
        said = f"{done.out}{done.err}".strip()[-_SHOWN:]
        if done.code == _TRY_AGAIN:
            self._again(task, f"exit code {done.code}: {said}")
        elif done.code != 0:
            self._failed(task, f"exit code {done.code}: {said}")
        else:
            facts = {"event": "notice.sent", "job": task.entered.job}
            log.debug("%s: done%s", task.what, f", output: {said}" if said else "", extra=facts)

    def _again(self, task: _Task, why: str) -> None:
        task.failures += 1
        if task.failures >= _ATTEMPTS:
            self._failed(task, f"{task.failures} attempts, the last one: {why}")
            return
        pause_s = backoff_s(task.failures - 1, _PAUSES_S)
        heapq.heappush(self._later, (self._services.clock.monotonic() + pause_s, next(self._serial), task))
        facts = {"event": "notice.retry", "job": task.entered.job}
        log.info("%s has failed, next attempt in %g s: %s", task.what, pause_s, why, extra=facts)

    def _failed(self, task: _Task, why: str) -> None:
        facts = {"event": "notice.failed", "job": task.entered.job}
        log.warning("%s has failed for good: %s", task.what, why, extra=facts)
