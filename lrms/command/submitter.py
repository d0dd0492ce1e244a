"""
Submits jobs to a batch system: first the scripts are written, then one command runs for each job or array.

The output of the command decides about its jobs: accepted, refused, a limit is reached, or uncertain. The answer does
not contain uncertain jobs. A refusal in words that no rule knows is one only if the batch system answers a query
afterwards: otherwise the command did not reach it. Such a job is tried a few times, alone, and then rejected.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from arex.errors import BatchUnavailable, SubmitLimited, SubmitRejected, UnreadableOutput
from arex.model.ids import LocalId, Tag
from arex.ports import NotSubmitted, Submission, Submitted
from arex.process import Completed
from lrms.command import arrays
from lrms.command.commands import Commands
from lrms.command.dialect import Dialect, Refusal, Work, judge
from lrms.command.transport import FileTransport
from lrms.jobscript.layout import lay_out, lay_out_all
from lrms.jobscript.runtimes import Prepared, Runtimes
from lrms.jobscript.settings import ScriptSettings

log = logging.getLogger(__name__)

#: Submit commands that run side by side.
_SIDE_BY_SIDE: Final = 4
#: How often a job is submitted that is refused in unknown words each time.
_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class _Unknown:
    """A submit command has failed in words that no rule knows."""

    work: Work
    said: str


_Outcome = Submitted | _Unknown


class CommandSubmitter:
    """Submits batches of any size."""

    def __init__(
        self,
        commands: Commands,
        transport: FileTransport,
        runtimes: Runtimes,
        script: ScriptSettings,
        together: int,
    ) -> None:
        """``together``: jobs in one submission, at most."""
        self._commands = commands
        self._transport = transport
        self._runtimes = runtimes
        self._script = script
        self._together = together
        self._room = asyncio.Semaphore(_SIDE_BY_SIDE)
        self._refusals: dict[Tag, int] = {}  #: how often an attempt was refused in unknown words

    @property
    def together(self) -> int:
        """The largest number of jobs in one submission; refusals of the batch system can lower it."""
        return self._together

    async def submit(self, batch: Sequence[Submission]) -> dict[Tag, Submitted]:
        """
        See ``arex.ports.Backend.submit``.

        Raises:
            BatchUnavailable: there was no answer about any of them.
        """
        async with self._transport.exclusive([each.tag for each in batch]):
            answers = await self._submit(batch)
        for each in batch:
            answer = answers.get(each.tag)
            if isinstance(answer, str):
                self._transport.note(each, answer)
            if answer is not None and not isinstance(answer, NotSubmitted):
                self._refusals.pop(each.tag, None)
        return answers

    async def _submit(self, batch: Sequence[Submission]) -> dict[Tag, Submitted]:
        dialect = await self._commands.dialect()
        prepared, refused = await self._runtimes.prepare(batch)
        works, others = await asyncio.to_thread(self._prepare, dialect, prepared)
        outcomes = await asyncio.gather(*(self._hand_over(dialect, work) for work in works), return_exceptions=True)
        found, silences = _gathered({**refused, **others}, outcomes)
        answers: dict[Tag, Submitted] = {tag: each for tag, each in found.items() if not isinstance(each, _Unknown)}
        if unknown := {id(each.work): each for each in found.values() if isinstance(each, _Unknown)}:
            try:
                answers |= await self._refused(unknown.values())
            except BatchUnavailable as exc:
                silences.append(exc)
        if silences and not answers:
            raise silences[0]
        return answers

    # --- on disk ---

    def _prepare(
        self, dialect: Dialect, batch: Sequence[Prepared]
    ) -> tuple[list[Work], dict[Tag, SubmitRejected | NotSubmitted]]:
        def one(submission: Prepared) -> None:
            lay_out(submission, replace(self._script, directives=dialect.directives(submission)))
            self._transport.lay_out(submission)

        ready, others = lay_out_all(batch, one)
        works, failed = self._works(dialect, ready)
        return works, {**others, **failed}

    def _works(self, dialect: Dialect, ready: Sequence[Submission]) -> tuple[list[Work], dict[Tag, NotSubmitted]]:
        """What to submit, and the jobs whose arrays cannot be prepared now."""
        alone = [each for each in ready if each.tag in self._refusals]
        others = [each for each in ready if each.tag not in self._refusals]
        works: list[Work] = [_work(dialect, (each,)) for each in alone]
        failed: dict[Tag, NotSubmitted] = {}
        for group in arrays.groups(dialect, others, self._together):
            if len(group) == 1 or dialect.array is None:
                works.append(_work(dialect, group))
                continue
            try:
                works.append(arrays.lay_out(dialect, group, self._script.shell))
            except OSError as exc:
                why = NotSubmitted(f"the files of an array cannot be written: {exc}")
                failed |= {each.tag: why for each in group}
        return works, failed

    # --- to the batch system ---

    async def _hand_over(self, dialect: Dialect, work: Work) -> dict[Tag, _Outcome]:
        claimed = await self._transport.claim(work)
        known: dict[Tag, _Outcome] = {**claimed.taken, **claimed.failed}
        if claimed.work is None:
            return known
        async with self._room:
            done = await self._commands.run(dialect.submit(claimed.work))
        return known | await self._answered(dialect, claimed.work, done)

    async def _answered(self, dialect: Dialect, work: Work, done: Completed) -> dict[Tag, _Outcome]:
        if done.code == 0:
            root = dialect.submitted(done, work)
            return {each.tag: _child(dialect, root, work, n) for n, each in enumerate(work.submissions, 1)}
        said = _sentence(done)
        match judge(dialect.rules, done):
            case Refusal.PERMANENT:
                return {each.tag: SubmitRejected(said) for each in work.submissions}
            case Refusal.ARRAY if work.size > 1:
                self._together = max(1, work.size // 2)
                log.warning(
                    "arrays are limited to %d jobs now: %s", self._together, said, extra={"event": "array.limit"}
                )
                return await self._in_halves(dialect, work)
            case Refusal.LIMIT | Refusal.ARRAY if work.size > 1:
                return await self._in_halves(dialect, work)
            case Refusal.LIMIT | Refusal.ARRAY:
                return {work.first.tag: SubmitLimited(said)}
            case Refusal.UNKNOWN:
                return {each.tag: _Unknown(work, said) for each in work.submissions}
            case _:
                raise UnreadableOutput(done.argv, done.code, said)

    async def _in_halves(self, dialect: Dialect, work: Work) -> dict[Tag, _Outcome]:
        """Submit the halves: a limit that is too small for all jobs may have room for some."""
        half = work.size // 2
        answers: dict[Tag, _Outcome] = {}
        for part in (work.submissions[:half], work.submissions[half:]):
            full = next((each for each in answers.values() if isinstance(each, SubmitLimited)), None)
            if full is not None:
                answers |= {each.tag: full for each in part}
                continue
            works, failed = await asyncio.to_thread(self._works, dialect, part)
            answers |= failed
            for smaller in works:
                try:
                    answers |= await self._hand_over(dialect, smaller)
                except BatchUnavailable:
                    if not answers:
                        raise
                    return answers  # the rest is uncertain
        return answers

    async def _refused(self, unknown: Collection[_Unknown]) -> dict[Tag, Submitted]:
        """
        The answers about refusals in unknown words; a job that was accepted nevertheless has none, and is looked up.

        Raises:
            BatchUnavailable: the batch system does not answer, so the commands have not reached it.
        """
        listed = {seen.tag for seen in (await self._commands.listing()).values()}
        answers: dict[Tag, Submitted] = {}
        for each in unknown:
            if listed.isdisjoint({each.work.tag, *(one.tag for one in each.work.submissions)}):
                answers |= {one.tag: self._refusal(one.tag, each.said) for one in each.work.submissions}
        return answers

    def _refusal(self, tag: Tag, said: str) -> Submitted:
        self._refusals[tag] = self._refusals.get(tag, 0) + 1
        if self._refusals[tag] >= _TRIES:
            return SubmitRejected(said)
        return NotSubmitted(f"{self._commands.name} refused the job: {said}")


def _gathered(
    answers: dict[Tag, SubmitRejected | NotSubmitted], outcomes: Iterable[dict[Tag, _Outcome] | BaseException]
) -> tuple[dict[Tag, _Outcome], list[BatchUnavailable]]:
    """All answers, and the commands without one."""
    found: dict[Tag, _Outcome] = {**answers}
    silences: list[BatchUnavailable] = []
    for outcome in outcomes:
        if isinstance(outcome, dict):
            found |= outcome
        elif isinstance(outcome, BatchUnavailable):
            silences.append(outcome)
            log.warning("%s", outcome, extra={"event": "submit.no_answer"})
        elif isinstance(outcome, Exception):
            silences.append(BatchUnavailable(f"internal error in a submission: {outcome!r}"))
            log.error("internal error in a submission", exc_info=outcome, extra={"event": "job.bug"})
        else:
            raise outcome
    return found, silences


def _work(dialect: Dialect, group: tuple[Submission, ...]) -> Work:
    first = group[0]
    return Work(submissions=group, script=first.rundir / "script", output=dialect.output(first.comment), tag=first.tag)


def _child(dialect: Dialect, root: LocalId, work: Work, index: int) -> LocalId:
    return dialect.child(root, index) if work.is_array or dialect.clusters else root


def _sentence(done: Completed) -> str:
    """The output of a command, on one line."""
    return " ".join((done.err or done.out).split())[:500] or f"{done.argv[0]} exited with {done.code}"
