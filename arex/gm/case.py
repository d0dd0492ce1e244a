"""
What a state handler sees and what it may say.

A handler looks at one ``Case``, decides, and returns one ``Step``. It may make a job's working files ready
(lists, grami, the run directory) but never writes what the state machine owns: status, ``.local``, ``.errors``,
``.failed``. Handlers run in a worker thread, one job at a time, and must bear being run twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from arex.clock import Clock
from arex.controldir import beneath
from arex.controldir.layout import Place
from arex.controldir.store import ControlDir, SessionFiles
from arex.errors import CorruptFile
from arex.gm.limits import Limits
from arex.jobdesc.control.sources import changeable, replicas
from arex.jobdesc.model import JobDescription
from arex.model.files import FileEntry
from arex.model.ids import JobId, LocalId
from arex.model.local import JobLocal
from arex.model.report import Report
from arex.model.state import State, Status
from arex.ports import LocalJob, Staged, Staging, Submission

log = logging.getLogger(__name__)

# --- what the grid manager knows of a job ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as read from disk or as left by its last move."""

    id: JobId
    status: Status
    place: Place | None  #: where its status file lies
    local: JobLocal
    changed: datetime  #: when the status file last changed
    on_disk: Status | None = None  #: what the status file says

    @property
    def state(self) -> State:
        return self.status.state


# --- what the world outside answered --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Submitted:
    localid: LocalId


@dataclass(frozen=True, slots=True)
class Refused:
    """The batch system said no to the submission."""

    why: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The job left the batch system; the report says how."""

    report: Report


@dataclass(frozen=True, slots=True)
class CancelTaken:
    """The batch system took the request to cancel, or refused it with a reason."""

    refusal: str = ""


@dataclass(frozen=True, slots=True)
class HoldTaken:
    """The batch system took the request to hold or release, or refused it with a reason."""

    release: bool
    refusal: str = ""


Answer = Submitted | Refused | Ended | CancelTaken | HoldTaken | Staged

# --- what a handler may say -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Move:
    to: State
    why: str  #: ARC's wording
    local: JobLocal | None = None
    pending: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before the job is woken: by an event, or after some seconds."""

    seconds: float | None = None
    why: str = ""  #: with a reason the status reads PENDING


@dataclass(frozen=True, slots=True)
class Fail:
    """The job has failed here; its outputs for this case are still delivered."""

    why: str  #: ARC's wording first, then what else we know
    blame: bool = True  #: record this state as ``failedstate``, which makes a restart possible


@dataclass(frozen=True, slots=True)
class Wreck:
    """The job can't even fail in order: straight to FINISHED, its session untouched."""

    why: tuple[str, ...]
    reason: str = "Job processing failed"


@dataclass(frozen=True, slots=True)
class Stop:
    """The owner asked for the end."""


@dataclass(frozen=True, slots=True)
class Forget:
    """Every trace of the job goes."""


@dataclass(frozen=True, slots=True)
class AskSubmit:
    """Hand the job to its batch system. ``sure`` is off when an earlier attempt may have arrived."""

    lrms: str
    submission: Submission
    sure: bool


@dataclass(frozen=True, slots=True)
class AskStatus:
    """Wait for the batch system to say that the job has ended."""

    lrms: str
    job: LocalJob


@dataclass(frozen=True, slots=True)
class AskCancel:
    lrms: str
    job: LocalJob


@dataclass(frozen=True, slots=True)
class AskHold:
    """Keep a job that waits in its batch system from starting; or, with ``release``, let it start again."""

    lrms: str
    job: LocalJob
    release: bool


@dataclass(frozen=True, slots=True)
class AskStage:
    """Bring remote files in or out."""

    staging: Staging
    out: bool


Ask = AskSubmit | AskStatus | AskCancel | AskHold | AskStage
Step = Move | Wait | Fail | Wreck | Stop | Forget | Ask

# --- the surroundings -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The part of the configuration that decides about jobs."""

    sessiondirs: tuple[Path, ...]
    lrms: str
    queue: str
    queues: tuple[str, ...] = ()
    maxrerun: int = 5
    ttl: timedelta = timedelta(days=7)
    ttr: timedelta = timedelta(days=30)
    upload_timeout: timedelta = timedelta(seconds=600)
    max_description: int = 5 * 1024 * 1024
    hostname: str = "localhost"
    delegations: Path = Path("delegations")
    joblog: Path | None = None


@dataclass(slots=True, kw_only=True)
class World:
    """What all cases share."""

    store: ControlDir
    settings: Settings
    limits: Limits
    clock: Clock
    describe: Callable[[bytes], JobDescription]
    fragile: frozenset[str] = frozenset()  #: batch systems, in lower case, whose jobs die with this host
    room: Callable[[Path, str], str] = lambda _root, _owner: ""  #: why a session root takes no job of an owner now
    phases: Mapping[JobId, str] = field(default_factory=dict)  #: letters of jobs in a batch system


@dataclass(slots=True, kw_only=True)
class Case:
    """One look at one job."""

    job: Job
    world: World
    answer: Answer | None = None
    room: bool = True  #: off: as many jobs as ``maxjobs`` allows are active, so a new one stays where it is
    _description: JobDescription | None = None

    @property
    def store(self) -> ControlDir:
        return self.world.store

    @property
    def settings(self) -> Settings:
        return self.world.settings

    @property
    def description(self) -> JobDescription:
        """
        The job's description, read once per look.

        Raises:
            JobDescriptionError, JobRefused, CorruptFile: it is missing, does not read, or can't run here.
        """
        if self._description is None:
            data = self.store.read(self.job.id, "description", limit=self.settings.max_description)
            self._description = self.world.describe(data or b"")
        return self._description

    @property
    def session(self) -> SessionFiles:
        """
        Where the job works.

        Raises:
            CorruptFile: ``.local`` names a directory that can't be this job's, so nothing may happen to it.
        """
        session = SessionFiles(self.job.local.sessiondir or self.settings.sessiondirs[0] / self.job.id)
        if objection := session.objection(self.job.id):
            raise CorruptFile(
                self.store.layout.job_file(self.job.id, "local"), f"sessiondir={session.path}: {objection}"
            )
        return session

    def staging(self, files: Sequence[FileEntry]) -> Staging:
        """What a stager has to know to move these files of the job."""
        local = self.job.local
        return Staging(
            job=self.job.id,
            session=self.session.path,
            files=tuple(files),
            owner=local.subject or "",
            share=local.transfershare or "_default",
            priority=local.priority or 50,
            copied=changeable(self.description),
            replicas=replicas(self.description),
        )

    def remove_session(self) -> None:
        """Remove the session directory and what lies beside it; what can't be the job's own stays, with a warning."""
        if (session := self._own_session()) is not None:
            session.remove()

    def remove_staging(self) -> None:
        """Remove what staging had beside the session directory."""
        if (session := self._own_session()) is not None:
            beneath.remove_tree(session.staging)

    def _own_session(self) -> SessionFiles | None:
        try:
            return self.session
        except CorruptFile as exc:
            log.warning("the session directory is left alone: %s", exc, extra={"event": "session.strange"})
            return None

    @property
    def lrms(self) -> str:
        return self.job.local.lrms or self.settings.lrms
