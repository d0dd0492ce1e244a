"""How the files of jobs get to the nodes and back, and with them the signs that jobs have started and ended."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from arex.model.ids import LocalId, Tag
from arex.ports import LocalJob, Submission
from lrms.command.dialect import Work
from lrms.command.end_notices import EndNotices
from lrms.jobscript.settings import ScriptMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What is to be handed over; an attempt that is in neither cannot be prepared now, and was certainly not taken."""

    work: Work | None
    taken: Mapping[Tag, LocalId] = field(default_factory=dict)  #: by an earlier submission of the same attempt


class FileTransport(Protocol):
    """A strategy of ``CommandBackend``. Methods that are not asynchronous and raise OSError run in a thread."""

    @property
    def mode(self) -> ScriptMode:
        """Of the job scripts."""
        ...

    async def start(self) -> None: ...

    async def close(self) -> None:
        """Wait for what is under way."""
        ...

    def lay_out(self, submission: Submission) -> None:
        """
        Make what the transport needs beside the job script; a second time changes nothing.

        Raises:
            OSError: the submission cannot be prepared now.
        """
        ...

    def exclusive(self, tags: Collection[Tag]) -> contextlib.AbstractAsyncContextManager[object]:
        """Held during a submission of these attempts."""
        ...

    async def claim(self, work: Work) -> Claimed:
        """Called just before the submit command: no earlier submission of these attempts can start any more."""
        ...

    async def taken(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId]:
        """Attempts that were taken, as far as the transport itself knows."""
        ...

    def note(self, attempt: Submission | LocalJob, localid: LocalId) -> None:
        """The attempt is in the batch system: its end is of interest."""
        ...

    async def arriving(self, jobs: Collection[LocalJob]) -> frozenset[LocalId]:
        """Jobs whose files are on their way back: nothing can be said about their end yet."""
        ...

    async def note_starts(self, jobs: Collection[LocalJob]) -> None:
        """Write the start markers that nodes cannot write."""
        ...

    async def settle(self, over: Collection[LocalJob]) -> None:
        """These jobs are over: nothing of them may start any more, and their ends are of no interest."""
        ...

    def forget(self, job: LocalJob) -> None:
        """The end of this job was reported."""
        ...

    async def watch(self, ended: Callable[[LocalId], None]) -> None:
        """Call ``ended`` for each job that has ended; until cancelled."""
        ...


class SharedFileSystem:
    """Nodes see the session directories: job scripts write start markers, completion records and end notices there."""

    mode = ScriptMode.BATCH

    def __init__(self, roots: Sequence[Path]) -> None:
        self._notices = EndNotices(roots)

    async def start(self) -> None:
        await self._notices.start()

    async def close(self) -> None:
        """Nothing is under way."""

    def lay_out(self, submission: Submission) -> None:
        """The job script is all."""

    def exclusive(self, tags: Collection[Tag]) -> contextlib.AbstractAsyncContextManager[object]:
        """The start marker lets one copy run, whatever happens here."""
        del tags
        return contextlib.nullcontext()

    async def claim(self, work: Work) -> Claimed:
        return Claimed(work=work)

    async def taken(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId]:
        del batch
        return {}

    def note(self, attempt: Submission | LocalJob, localid: LocalId) -> None:
        if attempt.tag is not None:
            self._notices.note(attempt.tag, localid)

    async def arriving(self, jobs: Collection[LocalJob]) -> frozenset[LocalId]:
        del jobs
        return frozenset()

    async def note_starts(self, jobs: Collection[LocalJob]) -> None:
        """Job scripts do this."""

    async def settle(self, over: Collection[LocalJob]) -> None:
        for job in over:
            self.forget(job)

    def forget(self, job: LocalJob) -> None:
        if job.tag is not None:
            self._notices.forget(job.tag)

    async def watch(self, ended: Callable[[LocalId], None]) -> None:
        await self._notices.run(ended)


_: type[FileTransport] = SharedFileSystem
