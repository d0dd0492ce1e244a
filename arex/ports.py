"""
What the grid manager needs from the world outside. Read this page first.

Three rules hold for all of it. No answer is an exception, never an empty answer.
Anything may be called twice after a crash. Many jobs travel in one call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from arex.errors import SubmitLimited, SubmitRejected
from arex.model.files import FileEntry
from arex.model.grami import Grami
from arex.model.ids import JobId, LocalId, Tag
from arex.model.report import Report
from arex.model.session import SessionPaths


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """
    One attempt to hand one job to a batch system.

    The tag is on disk before the batch system is called. ``rundir`` belongs to this attempt alone
    (``SESSION.lrms/TAG``, 0700) and is visible where the job runs: the script takes its exclusive mark
    and leaves its completion record there.
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
        """``SESSION.comment``: what the job script itself prints."""
        return SessionPaths(self.grami.directory).comment


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalJob:
    """A job that is (or was) in the batch system: what status and cancel are asked about."""

    job: JobId
    localid: LocalId
    tag: Tag | None  #: None: submitted by somebody else, for example a real A-REX
    session: Path
    rundir: Path | None  #: None as above


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What a backend can hold, and for how long."""

    slots: int | None = None  #: None: it queues by itself and no limit is known
    #: its jobs go on when this host restarts, so an attempt must be on disk before it is made
    outlives_host: bool = True
    reports_ends: bool = False  #: ``watch`` reports ends immediately: no early poll is needed
    gather: bool = False  #: jobs that are submitted together cost less than one by one


class Backend(Protocol):
    """A batch system. Any method may raise BatchUnavailable: no answer, nothing learned."""

    #: X of submit-X-job: the ``lrms`` value in ``.local``
    name: str

    async def start(self) -> None:
        """Make ready; called once, before anything else."""
        ...

    async def close(self) -> None:
        """Let go of what ``start`` took; jobs go on."""
        ...

    def capacity(self) -> Capacity: ...

    def figures(self) -> Mapping[str, int]:
        """Counters to publish: how often which command was run since the start."""
        ...

    async def submit(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId | SubmitRejected | SubmitLimited]:
        """
        Hand over many jobs; the answer is per job.

        A tag that is missing from the answer is unsure: it is looked up with ``find`` before anything
        else happens to it. A backend may turn submissions of the same shape into one array job.
        """
        ...

    async def find(self, batch: Sequence[Submission]) -> Mapping[Tag, LocalId]:
        """
        The jobs that were taken under these tags, for when a crash or silence cost us the answer.

        A tag that is absent from the answer was not taken: it is safe to submit it.
        """
        ...

    async def tagged(self) -> Mapping[LocalId, JobId]:
        """Jobs that have not ended and carry a tag of ours, as far as the batch system shows it; also strays."""
        ...

    async def recorded(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        """The ends that need no question to the batch system: their completion record is clear. Cheap."""
        ...

    async def status(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, Report]:
        """
        Ask about many jobs in one call.

        An absent id is one that the batch system, having answered, does not know: nothing follows from that. The
        backend itself decides when such a job is lost (after its waiting time, in more than one answer), and then
        reports its end with ``EndCause.LOST``. No one else does.
        """
        ...

    async def cancel(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        """
        Ask for the end of many jobs; no error if it has come already.

        Returns:
            the refusals: id to reason. Ids that are absent were taken; ``status`` will tell.
        """
        ...

    async def hold(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        """Keep jobs that wait in the batch system from starting; the refusals, as for ``cancel``."""
        ...

    async def release(self, jobs: Collection[LocalJob]) -> Mapping[LocalId, str]:
        """Let held jobs start again; the refusals, as for ``cancel``."""
        ...

    async def watch(self, ended: Callable[[LocalId], None]) -> None:
        """Call ``ended`` as soon as a job is known to have left; returns at once where nothing can tell."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Staging:
    """All remote files of one job, in one direction."""

    job: JobId
    session: Path
    files: tuple[FileEntry, ...]
    owner: str = ""  #: identity whose permissions and share count
    share: str = "_default"  #: ``transfershare`` of the job, without ``-download`` or ``-upload``
    priority: int = 50  #: 1 to 100
    #: names (``pfn``) that the job may run or change: never a link to what others use
    copied: frozenset[str] = frozenset()
    #: further sources of an input by its ``pfn``, in the order of the description
    replicas: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def workdir(self) -> Path:
        """``SESSION.staging``: files that are not whole yet, and the journal of what is."""
        return SessionPaths(self.session).staging


@dataclass(frozen=True, slots=True)
class Staged:
    """How far staging has come: all done, or what failed for good, or neither (still under way)."""

    done: bool
    failure: str = ""  #: in ARC's wording
    moved: tuple[FileEntry, ...] = ()  #: whole and at their place, also after a failure
    waits: str = ""  #: neither: what somebody has to do first, for example renew a credential


class Stager(Protocol):
    """Brings the remote files of a job in and out; called again and again until it is done or failed."""

    async def stage_in(self, staging: Staging) -> Staged: ...

    async def stage_out(self, staging: Staging) -> Staged: ...

    async def cancel(self, job: JobId) -> None:
        """Stop what is under way for this job; returns when nothing of it touches the session any more."""
        ...

    async def release(self, job: JobId) -> None:
        """The job runs and stages no more: what was kept for it alone may go. May be called twice, or for nothing."""
        ...

    async def run(self) -> None:
        """Work that belongs to no job: cleaning, state files; until cancelled."""
        ...

    def figures(self) -> Mapping[str, int]:
        """Counters to publish: transfers waiting and under way, files and bytes moved, retries since the start."""
        ...
