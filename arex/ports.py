"""
The ports of the grid manager: interfaces to batch systems and file transfers. Read this module first.

Three rules apply to all methods. A missing answer is an exception, never an empty answer.
Any method may be called twice after a crash. One call can be about many jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from arex.errors import SubmitLimited, SubmitRejected
from arex.model.files import FileEntry
from arex.model.grami import Grami
from arex.model.ids import JobId, LocalId, Tag
from arex.model.reason import Reason
from arex.model.report import Report
from arex.model.session import SessionPaths


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """
    One attempt to hand one job to a batch system.

    The tag is on disk before the batch system is called. ``rundir`` is the run directory of this attempt
    (``SESSION.lrms/TAG``, 0700). The node can see it: the job script creates its start marker and its
    completion record there.
    """

    job: JobId
    tag: Tag
    grami: Grami
    rundir: Path

    @property
    def diag(self) -> Path:
        """``SESSION.diag``: accounting lines of the job script."""
        return SessionPaths(self.grami.directory).diag

    @property
    def queue(self) -> str:
        """Jobs of one queue share the limits of the batch system: its queue, and with it account and QOS."""
        return self.grami.queue

    @property
    def comment(self) -> Path:
        """``SESSION.comment``: output of the job script itself."""
        return SessionPaths(self.grami.directory).comment


@dataclass(frozen=True, slots=True)
class NotSubmitted:
    """
    An answer about a submission: the batch system certainly does not have it now, and it is to be tried again later.

    The reason is not known to be permanent: a full disk of this host, or a refusal in words that arex does not know.
    """

    why: str


#: The answer about one submission.
Submitted = LocalId | SubmitRejected | SubmitLimited | NotSubmitted


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalJob:
    """A job that is or was in the batch system, as an argument of ``status`` and ``cancel``."""

    job: JobId
    localid: LocalId
    tag: Tag | None  #: None: submitted by another service, for example a real A-REX
    session: Path
    rundir: Path | None  #: None as above


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """Properties of a backend that decide how the grid manager uses it."""

    slots: int | None = None  #: None: the batch system has a queue, without a known limit
    #: jobs continue when this host restarts, so an attempt must be on disk before the submission
    outlives_host: bool = True
    reports_ends: bool = False  #: ``watch`` reports ends immediately; no early poll is needed
    gather: bool = False  #: submitting jobs together is cheaper than one by one


class Backend(Protocol):
    """A batch system. Any method may raise BatchUnavailable: no answer, so nothing is known."""

    #: The name X in submit-X-job, which is the value of ``lrms`` in ``.local``.
    name: str

    async def start(self) -> None:
        """Prepare the backend; called once, before any other method."""
        ...

    async def close(self) -> None:
        """Release what ``start`` acquired; jobs continue."""
        ...

    def capacity(self) -> Capacity: ...

    def figures(self) -> Mapping[str, int]:
        """Counters to publish: how often each command has been run since the start."""
        ...

    async def submit(self, batch: Sequence[Submission]) -> Mapping[Tag, Submitted]:
        """
        Submit many jobs; each has a separate answer.

        A tag that is missing from the answer is unsure: the grid manager calls ``find`` for it before
        anything else. ``NotSubmitted`` needs no lookup. A backend may turn submissions of the same shape into one
        array job.
        """
        ...

    async def find(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId]:
        """
        The jobs with these tags that the batch system accepted, after the answer was lost in a crash or a timeout.

        A tag that is missing from the answer was not accepted: it is safe to submit it again.
        """
        ...

    async def tagged(self) -> Mapping[LocalId, JobId]:
        """Jobs with a tag of arex that have not ended, including orphans, if the batch system can list tags."""
        ...

    async def recorded(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        """Ends of jobs with a clear completion record; needs no query to the batch system, so it is cheap."""
        ...

    async def status(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        """
        Query the states of many jobs in one call.

        An id is missing from the answer if the batch system answered but does not list it. That does not mean that
        the job has ended. Only the backend decides that a job is lost (after its waiting time, in more than one
        answer), and then reports its end with ``EndCause.LOST``.
        """
        ...

    async def cancel(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        """
        Cancel many jobs; not an error for jobs that have already ended.

        Returns:
            the refusals: id to reason. Missing ids were accepted; ``status`` will report the end.
        """
        ...

    async def hold(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        """Hold jobs that wait in the batch system; returns the refusals, as ``cancel`` does."""
        ...

    async def release(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        """Release held jobs; returns the refusals, as ``cancel`` does."""
        ...

    async def watch(self, ended: Callable[[LocalId], None]) -> None:
        """Call ``ended`` as soon as an end of a job is noticed; returns at once if the backend has no end notices."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Staging:
    """All remote files of one job, in one direction."""

    job: JobId
    session: Path
    files: tuple[FileEntry, ...]
    owner: str = ""  #: identity that determines permissions and share
    share: str = "_default"  #: ``transfershare`` of the job, without ``-download`` or ``-upload``
    priority: int = 50  #: 1 to 100
    #: names (``pfn``) that the job may run or change, so they must not be links to shared files
    copied: frozenset[str] = frozenset()
    #: further sources of an input by its ``pfn``, in the order of the description
    replicas: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def workdir(self) -> Path:
        """``SESSION.staging``: incomplete files, and the journal of transfers."""
        return SessionPaths(self.session).staging


@dataclass(frozen=True, slots=True)
class Staged:
    """Result of staging: complete, or permanently failed, or neither (still active)."""

    done: bool
    failure: str = ""  #: in ARC's wording
    moved: tuple[FileEntry, ...] = ()  #: complete and in place, also after a failure
    waits: str = ""  #: if neither: what the owner has to do first, for example renew a credential


class Stager(Protocol):
    """Transfers the remote files of a job; called repeatedly until the result is complete or failed."""

    async def stage_in(self, staging: Staging) -> Staged: ...

    async def stage_out(self, staging: Staging) -> Staged: ...

    async def cancel(self, job: JobId) -> None:
        """Stop the transfers of this job; returns when none of them uses the session directory any longer."""
        ...

    async def release(self, job: JobId) -> None:
        """Remove everything that was kept only for this job, which has ended. A repeated call has no effect."""
        ...

    async def run(self) -> None:
        """Work that belongs to no job, such as cleaning and state files; runs until cancelled."""
        ...

    async def close(self) -> None:
        """Close all connections; called once, when no transfer is active any more."""
        ...

    def figures(self) -> Mapping[str, int]:
        """Counters to publish: transfers waiting and active, files and bytes moved, retries since the start."""
        ...

    def reasons(self) -> Iterator[tuple[JobId, Reason]]:
        """Jobs none of whose transfers is active now, and why: a pause before the next try, or no free slot."""
        ...
