"""
Submits jobs to one batch system in bulk, each job only once. A full queue does not delay other queues.

If a call has no answer, its jobs are unsure. An unsure job is looked up by its tag before it is submitted again. A job
that was certainly not submitted is only submitted again, after a pause. When a limit is reached, the queue is parked.
Jobs in a burst wait a moment for each other, so that a batch system with arrays gets few large arrays. A job that
arrives alone is submitted at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain, islice, zip_longest
from typing import Final

from arex.aio import WakeUp
from arex.backoff import backoff_s
from arex.clock import Clock, time_of_day
from arex.errors import BatchUnavailable, SubmitLimited, SubmitRejected
from arex.gm.batch.health import Health
from arex.gm.batch.polling import PollingPolicy
from arex.gm.steps import Answer, AskSubmit, SubmitRefused, SubmitTaken
from arex.model.ids import JobId, Tag
from arex.model.reason import Reason, ReasonKind
from arex.ports import Backend, NotSubmitted, Submission, Submitted

log = logging.getLogger(__name__)

#: A burst is over when no job has arrived for this time.
_QUIET_S: Final = 0.2
#: Longer time for the end of a burst after a call with many jobs, because clients on a busy machine make longer pauses.
_LONG_BURST: Final = 20
_LONG_QUIET_S: Final = 0.6
#: A job waits at most ``gather_s`` times this number.
_PATIENCE: Final = 6


class Submitter:
    """Submits all new jobs of one backend."""

    def __init__(
        self,
        backend: Backend,
        clock: Clock,
        policy: PollingPolicy,
        health: Health,
        answered: Callable[[JobId, Answer], None],
    ) -> None:
        self._backend = backend
        self._clock = clock
        self._policy = policy
        self._health = health
        self._answered = answered
        self._asks: dict[Tag, AskSubmit] = {}
        self._again: dict[Tag, tuple[int, float]] = {}  #: attempts to try again: failures so far, and the next time
        self._refusals: dict[Tag, str] = {}  #: why attempts that are to be tried again were not submitted
        self._under_way: set[Tag] = set()  #: attempts that the backend has now
        self._news = WakeUp(clock)
        self._last_size = 0
        self._newest = self._oldest = self._last_call = float("-inf")  #: monotonic seconds

    @property
    def unsure(self) -> frozenset[JobId]:
        """Jobs that the batch system may have accepted without an answer to arex."""
        return frozenset(ask.submission.job for ask in self._asks.values() if not ask.sure)

    def reasons(self) -> Iterator[tuple[JobId, Reason]]:
        """Jobs that are neither submitted now nor wait for their queue, and why."""
        for tag, (failures, until) in self._again.items():
            if (ask := self._asks.get(tag)) is None:
                continue
            text = f"try {failures} to submit it had no clear result"
            if not ask.sure:
                text += "; arex looks for it in the batch system before it submits it again"
            elif why := self._refusals.get(tag):
                text = f"it could not be submitted (try {failures}): {why}"
            yield ask.submission.job, Reason(ReasonKind.SUBMISSION, text, None, time_of_day(self._clock, until))

    def put(self, ask: AskSubmit) -> None:
        """Add a submission; a repeated call has no effect."""
        if ask.submission.tag in self._asks:
            return
        self._newest = self._clock.monotonic()
        if not self._asks:
            self._oldest = self._newest
        self._asks[ask.submission.tag] = ask
        self._news.set()

    def withdraw(self, tag: Tag) -> bool:
        """
        Take an attempt back before it is submitted; returns whether the batch system certainly does not have it.

        False: it is unsure, or being submitted now; then it stays, and its answer comes as usual.
        """
        ask = self._asks.get(tag)
        if ask is None or not ask.sure or tag in self._under_way:
            return False
        del self._asks[tag]
        self._settled(tag)
        return True

    async def run(self) -> None:
        """Run until cancelled."""
        failures = 0
        while True:
            if not self._next():
                await self._news.wait(self._until_open())
                continue
            await self._gathered()
            if not (batch := self._next()):
                continue  # all were withdrawn meanwhile
            if await self._settle(batch):
                failures = 0
            else:
                await self._clock.sleep(backoff_s(failures))
                failures += 1

    # --- selection ---

    def _next(self) -> list[AskSubmit]:
        """The next submissions, one from each open queue in turn, so that a large queue does not delay a small one."""
        queues: dict[str, list[AskSubmit]] = {}
        now = self._clock.monotonic()
        for tag, ask in self._asks.items():
            if tag not in self._again or self._again[tag][1] <= now:
                queues.setdefault(ask.submission.queue, []).append(ask)
        rows = [asks for queue, asks in queues.items() if not self._health.closed_s(queue)]
        turns = chain.from_iterable(zip_longest(*rows))
        return list(islice((ask for ask in turns if ask is not None), self._policy.batch))

    def _until_open(self) -> float:
        now = self._clock.monotonic()
        waits = (
            max(self._health.closed_s(ask.submission.queue), self._again.get(tag, (0, now))[1] - now)
            for tag, ask in self._asks.items()
        )
        return min(waits, default=3600.0)

    async def _gathered(self) -> None:
        """Wait for the end of a burst, unless the job arrived alone or there are enough jobs."""
        if len(self._asks) == 1 and self._clock.monotonic() - self._last_call > self._policy.gather_s:
            return
        while self._policy.gather_s and len(self._asks) < self._policy.batch:
            pause = self._until_gathered(self._clock.monotonic())
            if pause <= 0:
                return
            await self._clock.sleep(pause)

    def _until_gathered(self, now: float) -> float:
        """
        Seconds until the gathered jobs are submitted.

        A long burst is submitted in growing parts: after ``gather_s`` if there are twice as many jobs as the last time,
        otherwise when no more jobs arrive or the first of them has waited for too long.
        """
        soon = self._oldest + self._policy.gather_s
        if len(self._asks) >= 2 * self._last_size:
            return min(soon, self._newest + _QUIET_S) - now
        quiet_s = _QUIET_S if self._last_size < _LONG_BURST else _LONG_QUIET_S
        return min(max(soon, self._newest + quiet_s), self._oldest + _PATIENCE * self._policy.gather_s) - now

    # --- one round ---

    async def _settle(self, batch: list[AskSubmit]) -> bool:
        """Submit; returns whether the batch system answered. Jobs without an answer become unsure."""
        self._last_call = self._oldest = self._clock.monotonic()
        self._last_size = len(batch)
        self._under_way = {ask.submission.tag for ask in batch}
        try:
            answers = await self._hand_over(batch)
        except BatchUnavailable as exc:
            self._health.no_answer(exc)
            for ask in batch:
                self._asks[ask.submission.tag] = replace(ask, sure=False)
            return False
        finally:
            self._under_way = set()
        if not answers or any(not isinstance(each, NotSubmitted) for each in answers.values()):
            self._health.answered()  # otherwise, no command may have been run
        for ask in batch:
            if (answer := answers.get(ask.submission.tag)) is None:
                self._doubt(ask)
            else:
                self._pass_on(ask, answer)
        return True

    def _doubt(self, ask: AskSubmit) -> None:
        """Schedule a lookup of a job without an answer; other jobs are not delayed."""
        self._pause(ask.submission.tag)
        self._asks[ask.submission.tag] = replace(ask, sure=False)
        if ask.sure:
            facts = {"event": "submit.unsure", "job": ask.submission.job}
            log.warning("cannot tell whether the batch system accepted the job; arex will look for it", extra=facts)

    def _pause(self, tag: Tag) -> int:
        """Schedule the next try; returns how many there were in a row."""
        failures = self._again.get(tag, (0, 0.0))[0]
        self._again[tag] = (failures + 1, self._clock.monotonic() + backoff_s(failures))
        return failures + 1

    def _settled(self, tag: Tag) -> None:
        self._again.pop(tag, None)
        self._refusals.pop(tag, None)

    async def _hand_over(self, batch: list[AskSubmit]) -> dict[Tag, Submitted]:
        """Look up unsure attempts, and submit those that the batch system does not have."""
        doubtful = [ask.submission for ask in batch if not ask.sure]
        known: dict[Tag, Submitted] = {**(await self._backend.find(doubtful) if doubtful else {})}
        fresh = [ask.submission for ask in batch if ask.submission.tag not in known]
        if not fresh:
            return known
        try:
            return known | dict(await self._backend.submit(fresh))
        except BatchUnavailable as exc:
            if not known:
                raise
            self._health.no_answer(exc)  # jobs that were found by their tags are certain nevertheless
            return known

    def _pass_on(self, ask: AskSubmit, answer: Submitted) -> None:
        submission = ask.submission
        if isinstance(answer, NotSubmitted):
            self._put_back(ask, answer.why)
            return
        self._settled(submission.tag)
        if isinstance(answer, SubmitLimited):
            self._asks[submission.tag] = replace(ask, sure=True)
            self._limited(submission, str(answer))
            return
        del self._asks[submission.tag]
        if isinstance(answer, SubmitRejected):
            log.info(
                "the batch system refused the job: %s",
                answer,
                extra={"event": "submit.rejected", "job": submission.job},
            )
            self._answered(submission.job, SubmitRefused(str(answer)))
        else:
            self._health.unpark(submission.queue)
            self._answered(submission.job, SubmitTaken(answer))

    def _put_back(self, ask: AskSubmit, why: str) -> None:
        """Try again after a pause; a job that was unsure before remains so."""
        tries = self._pause(ask.submission.tag)
        self._refusals[ask.submission.tag] = why
        facts = {"event": "submit.again", "job": ask.submission.job}
        log.warning("the job was not submitted (try %d); arex tries again: %s", tries, why, extra=facts)

    def _limited(self, submission: Submission, why: str) -> None:
        """Park the queue once in a round, since all its jobs reach the same limit."""
        if not self._health.closed_s(submission.queue):
            self._health.park(submission.queue, why)
