"""
A batch system that is controlled by commands: the port over any ``Dialect``.

Whatever happens to a command, its jobs run once: the tag of an attempt is on disk and in the batch system, the
script takes an exclusive start marker before it runs the payload, and the marker names the local id that took it. Ends
are concluded from evidence (``lrms.command.verdict``), never from silence.

The parts are independent of each other: the source of the dialect, the runner of commands, the transport of files,
the submitter, the lookup of attempts and the reader of states. This class only connects them.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from arex.clock import Clock, SystemClock
from arex.errors import BatchUnavailable
from arex.model.ids import JobId, LocalId, Tag
from arex.model.report import Report
from arex.ports import Backend, Capacity, LocalJob, Submission, Submitted
from lrms.attempt import traces
from lrms.command import arrays
from lrms.command.attempts import Attempts
from lrms.command.commands import Commands
from lrms.command.dialect import Dialect
from lrms.command.runner import Runner
from lrms.command.settings import CommandSettings
from lrms.command.status import StatusReader
from lrms.command.submitter import CommandSubmitter
from lrms.command.transport import FileTransport, SharedFileSystem
from lrms.command.versioned import DialectSource, FixedDialect
from lrms.jobscript.runtimes import Runtimes

log = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


def _answers(
    method: Callable[Arguments, Coroutine[Any, Any, Answer]],
) -> Callable[Arguments, Coroutine[Any, Any, Answer]]:
    """The method, with ``BatchUnavailable`` as its only exception: whatever else goes wrong, nothing is known."""

    @functools.wraps(method)
    async def guarded(*args: Arguments.args, **options: Arguments.kwargs) -> Answer:
        try:
            return await method(*args, **options)
        except BatchUnavailable:
            raise
        except OSError as exc:
            raise BatchUnavailable(f"cannot read the files of jobs: {exc}") from exc
        except Exception as exc:
            log.exception("internal error in %s", method.__name__, extra={"event": "lrms.bug"})
            raise BatchUnavailable(f"internal error in {method.__name__}: {exc!r}") from exc

    return guarded


class CommandBackend:
    """The port over a dialect; see ``arex.ports.Backend``."""

    def __init__(
        self,
        dialect: Dialect | DialectSource,
        settings: CommandSettings,
        clock: Clock | None = None,
        transport: FileTransport | None = None,
    ) -> None:
        """``transport``: by default, a shared file system."""
        clock = clock or SystemClock()
        source = FixedDialect(dialect) if isinstance(dialect, Dialect) else dialect
        first = source.first
        self.name = first.name
        self._roots = settings.roots
        self._transport = transport or SharedFileSystem(settings.roots)
        self._runner = Runner(
            first.kept_env, timeout_s=settings.timeout_s, queries_per_minute=settings.queries_per_minute, clock=clock
        )
        self._commands = Commands(source, self._runner)
        self._submitter = CommandSubmitter(
            self._commands,
            self._transport,
            Runtimes(settings.runtimes),
            settings.script_for(first, self._transport.mode),
            settings.together(first),
        )
        self._attempts = Attempts(self._commands, self._transport, settings.roots)
        self._status = StatusReader(self._commands, self._transport, clock, settings.record_wait_s)

    # --- life ---

    async def start(self) -> None:
        await self._transport.start()
        for root in self._roots:
            await asyncio.to_thread(arrays.sweep, root)
        try:
            await self._commands.dialect()
        except BatchUnavailable as exc:
            log.warning("the version of %s is not known yet: %s", self.name, exc, extra={"event": "lrms.version"})

    async def close(self) -> None:
        """Jobs continue."""
        await self._transport.close()

    def capacity(self) -> Capacity:
        return Capacity(gather=self._submitter.together > 1, reports_ends=True)

    def figures(self) -> Mapping[str, int]:
        return self._runner.figures()

    # --- jobs ---

    @_answers
    async def submit(self, batch: Sequence[Submission]) -> Mapping[Tag, Submitted]:
        return await self._submitter.submit(batch)

    @_answers
    async def find(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId]:
        return await self._attempts.find(batch)

    @_answers
    async def tagged(self) -> Mapping[LocalId, JobId]:
        return await self._attempts.tagged()

    @_answers
    async def recorded(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        return await self._status.recorded(jobs)

    @_answers
    async def status(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        return await self._status.status(jobs)

    @_answers
    async def cancel(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        """Cancel jobs; of a job that the batch system has twice, also the copy that runs."""
        await asyncio.to_thread(traces.ask_cancel, jobs)
        left = await asyncio.to_thread(lambda: {job.localid: traces.traces_of(job) for job in jobs})
        spelled = self._commands.first.on_site_of
        followed = {
            spelled(LocalId(left[job.localid].localid or job.localid), job.localid): job.localid for job in jobs
        }
        refused = await self._commands.cancel(list({*followed, *followed.values()}))
        return {followed.get(localid, localid): why for localid, why in refused.items()}

    @_answers
    async def hold(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        return await self._commands.hold([job.localid for job in jobs])

    @_answers
    async def release(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        return await self._commands.release([job.localid for job in jobs])

    async def watch(self, ended: Callable[[LocalId], None]) -> None:
        await self._transport.watch(ended)


_: type[Backend] = CommandBackend
