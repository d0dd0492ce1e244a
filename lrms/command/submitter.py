"""
Submits jobs to a batch system: first the scripts are written, then one command runs for each job or array.

The output of the command decides about its jobs: accepted, refused, a limit is reached, or uncertain. The answer does
not contain uncertain jobs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from arex.errors import BatchUnavailable, SubmitLimited, SubmitRejected, UnreadableOutput
from arex.model.ids import LocalId, Tag
from arex.ports import Submission
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
Answer = LocalId | SubmitRejected | SubmitLimited


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

    @property
    def together(self) -> int:
        """The largest number of jobs in one submission; refusals of the batch system can lower it."""
        return self._together

    async def submit(self, batch: Sequence[Submission]) -> dict[Tag, Answer]:
        """
        See ``arex.ports.Backend.submit``.

        Raises:
            BatchUnavailable: there was no answer about any of them.
        """
        async with self._transport.exclusive([each.tag for each in batch]):
            answers = await self._submit(batch)
        for each in batch:
            if isinstance(localid := answers.get(each.tag), str):
                self._transport.note(each, localid)
        return answers

    async def _submit(self, batch: Sequence[Submission]) -> dict[Tag, Answer]:
        dialect = await self._commands.dialect()
        prepared, refused = await self._runtimes.prepare(batch)
        works, rejected = await asyncio.to_thread(self._prepare, dialect, prepared)
        outcomes = await asyncio.gather(*(self._hand_over(dialect, work) for work in works), return_exceptions=True)
        return _gathered({**refused, **rejected}, outcomes)

    # --- on disk ---

    def _prepare(self, dialect: Dialect, batch: Sequence[Prepared]) -> tuple[list[Work], dict[Tag, SubmitRejected]]:
        def one(submission: Prepared) -> None:
            lay_out(submission, replace(self._script, directives=dialect.directives(submission)))
            self._transport.lay_out(submission)

        ready, rejected = lay_out_all(batch, one)
        return self._works(dialect, ready), rejected

    def _works(self, dialect: Dialect, ready: Sequence[Submission]) -> list[Work]:
        groups = arrays.groups(dialect, ready, self._together)
        return [work for group in groups if (work := self._work(dialect, group)) is not None]

    def _work(self, dialect: Dialect, group: tuple[Submission, ...]) -> Work | None:
        """None: the array cannot be prepared now; its jobs were certainly not accepted, and are tried again."""
        if len(group) == 1 or dialect.array is None:
            return _work(group)
        try:
            return arrays.lay_out(dialect, group, self._script.shell)
        except OSError as exc:
            log.warning("cannot prepare an array of %d jobs: %s", len(group), exc, extra={"event": "submit.disk"})
            return None

    # --- to the batch system ---

    async def _hand_over(self, dialect: Dialect, work: Work) -> dict[Tag, Answer]:
        claimed = await self._transport.claim(work)
        taken: dict[Tag, Answer] = dict(claimed.taken)
        if claimed.work is None:
            return taken
        async with self._room:
            done = await self._commands.run(dialect.submit(claimed.work))
        return taken | await self._answered(dialect, claimed.work, done)

    async def _answered(self, dialect: Dialect, work: Work, done: Completed) -> dict[Tag, Answer]:
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
            case _:
                raise UnreadableOutput(done.argv, done.code, said)

    async def _in_halves(self, dialect: Dialect, work: Work) -> dict[Tag, Answer]:
        """Submit the halves: a limit that is too small for all jobs may have room for some."""
        half = work.size // 2
        answers: dict[Tag, Answer] = {}
        for part in (work.submissions[:half], work.submissions[half:]):
            full = next((each for each in answers.values() if isinstance(each, SubmitLimited)), None)
            if full is not None:
                answers |= {each.tag: full for each in part}
                continue
            for smaller in await asyncio.to_thread(self._works, dialect, part):
                try:
                    answers |= await self._hand_over(dialect, smaller)
                except BatchUnavailable:
                    if not answers:
                        raise
                    return answers  # the rest is uncertain
        return answers


def _gathered(answers: dict[Tag, Answer], outcomes: Iterable[dict[Tag, Answer] | BaseException]) -> dict[Tag, Answer]:
    """All answers; raises the error if there are none."""
    silences = []
    for outcome in outcomes:
        if isinstance(outcome, BatchUnavailable):
            silences.append(outcome)
            log.warning("%s", outcome, extra={"event": "submit.no_answer"})
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            answers |= outcome
    if silences and not answers:
        raise silences[0]
    return answers


def _work(group: tuple[Submission, ...]) -> Work:
    first = group[0]
    return Work(submissions=group, script=first.rundir / "script", output=str(first.comment), tag=first.tag)


def _child(dialect: Dialect, root: LocalId, work: Work, index: int) -> LocalId:
    return dialect.child(root, index) if work.is_array or dialect.clusters else root


def _sentence(done: Completed) -> str:
    """The output of a command, on one line."""
    return " ".join((done.err or done.out).split())[:500] or f"{done.argv[0]} exited with {done.code}"
