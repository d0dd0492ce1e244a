"""How the files of jobs get to the nodes and back, including start markers and completion records."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from arex.model.ids import LocalId, Tag
from arex.ports import LocalJob, NotSubmitted, Submission
from lrms.command.dialect import Work
from lrms.command.end_notices import EndNotices
from lrms.jobscript.settings import ScriptMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What is to be submitted."""

    work: Work | None
    taken: Mapping[Tag, LocalId] = field(default_factory=dict)  #: by an earlier submission of the same attempt
    failed: Mapping[Tag, NotSubmitted] = field(default_factory=dict)  #: they cannot be prepared now


class FileTransport(Protocol):
    """A strategy of ``CommandBackend``. Methods that are not asynchronous and raise OSError run in a thread."""

    @property
    def mode(self) -> ScriptMode:
        """Of the job scripts."""
        ...

    async def start(self) -> None: ...

    async def close(self) -> None:
        """Wait for running work."""
        ...

    def lay_out(self, submission: Submission) -> None:
        """
        Write what the transport needs in addition to the job script; a second call changes nothing.

        Raises:
            OSError: the submission cannot be prepared now.
        """
        ...

    def exclusive(self, tags: Collection[Tag]) -> contextlib.AbstractAsyncContextManager[object]:
        """Held during a submission of these attempts."""
        ...

    async def claim(self, work: Work) -> Claimed:
        """Called just before the submit command: afterwards, no earlier submission of these attempts can start."""
        ...

    async def taken(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId]:
        """Attempts that the batch system has accepted, as far as the transport knows."""
        ...

    def note(self, attempt: Submission | LocalJob, localid: LocalId) -> None:
        """Note that the attempt is in the batch system, and watch for its end."""
        ...

    async def arriving(self, jobs: Collection[LocalJob]) -> frozenset[LocalId]:
        """Jobs whose files are being transferred back: their end cannot be reported yet."""
        ...

    async def note_starts(self, jobs: Collection[LocalJob]) -> None:
        """Write the start markers that nodes cannot write."""
        ...

    async def settle(self, over: Collection[LocalJob]) -> None:
        """These jobs are over: keep their copies from starting, and stop watching for their ends."""
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
        """Nothing to do: the job script is enough."""

    def exclusive(self, tags: Collection[Tag]) -> contextlib.AbstractAsyncContextManager[object]:
        """No lock is needed: the start marker lets only one copy run."""
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
