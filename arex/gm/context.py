"""
The job context, which a state handler receives.

A handler examines one ``JobContext`` and returns one ``Step``. It may write a job's working files (lists, grami,
the run directory), but never the files of the state machine: status, ``.local``, ``.errors``, ``.failed``. Handlers
run in a worker thread, one job at a time, and may run twice for the same decision.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from arex.clock import Clock
from arex.config.values import CommandLine
from arex.controldir.cached import CachedControlDir
from arex.controldir.layout import Place
from arex.controldir.session import SessionFiles, discard
from arex.controldir.store import ControlDir
from arex.errors import CorruptFile
from arex.gm.clock_check import ClockCheck
from arex.gm.input_checks import InputChecks
from arex.gm.limits import Limits
from arex.gm.publishing.endings import Endings
from arex.gm.steps import Answer, StagingEnded
from arex.jobdesc.control.sources import changeable, replicas
from arex.jobdesc.model import JobDescription
from arex.model.files import FileEntry
from arex.model.ids import JobId
from arex.model.local import JobLocal
from arex.model.report import Report
from arex.model.state import State, Status
from arex.ports import Staged, Staging
from arex.taskkeeper import TaskKeeper

log = logging.getLogger(__name__)

# --- a job ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownJob:
    """A job as of its last turn, or as read from disk."""

    id: JobId
    status: Status
    place: Place | None  #: directory of its status file
    local: JobLocal
    changed: datetime  #: when the status file last changed
    on_disk: Status | None = None  #: state in the status file

    @property
    def state(self) -> State:
        return self.status.state


# --- services -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The part of the configuration that state handlers need."""

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
    sendmail: Path | None = None
    notify_command: CommandLine | None = None


@dataclass(slots=True, kw_only=True)
class Services:
    """What all job contexts share."""

    store: ControlDir
    settings: Settings
    limits: Limits
    clock: Clock
    describe: Callable[[bytes], JobDescription]
    fragile: frozenset[str] = frozenset()  #: batch systems, in lower case, whose jobs end when this host stops
    room: Callable[[Path, str], str] = lambda _root, _owner: ""  #: why a session root accepts no job of an owner now
    keeper: TaskKeeper = field(init=False)
    clock_check: ClockCheck = field(init=False)
    input_checks: InputChecks = field(init=False)
    endings: Endings = field(default_factory=Endings, init=False)
    entered: Callable[[KnownJob, Sequence[State], str], None] = lambda _job, _states, _failure: None
    """Called on the event loop after a turn in which a job has entered states; the text is that of its failure."""

    def __post_init__(self) -> None:
        self.keeper = TaskKeeper(self.clock)
        self.clock_check = ClockCheck(self.clock)
        self.input_checks = InputChecks(self.clock)


def base_share(local: JobLocal) -> str | None:
    """The share of a job, without the suffix for the direction of its transfers."""
    share = local.transfershare
    return None if share is None else share.removesuffix("-download").removesuffix("-upload")


@dataclass(slots=True, kw_only=True)
class JobContext:
    """One turn of one job."""

    job: KnownJob
    services: Services
    answer: Answer | None = None
    phase: str = ""  #: letter of the job's phase in its batch system
    report: Report | None = None  #: the last report of the batch system
    trouble: str = ""  #: the exception that ended the last turn of the job
    told: str = ""  #: the exception that the job's log shows
    hopeless: str = ""  #: an internal error that ended so many turns that the job is given up
    room: bool = True  #: False: a new job stays in ``accepting/`` because of ``maxjobs``
    entered: list[State] = field(default_factory=list)  #: states to report after this turn, in order
    failure: str = ""  #: the content of ``.failed``, if FINISHED is one of them
    _description: JobDescription | None = None
    _session: SessionFiles | None = None
    _store: CachedControlDir | None = None

    @property
    def retried(self) -> bool:
        """Whether the last turn of the job ended with an exception."""
        return bool(self.trouble)

    @property
    def store(self) -> CachedControlDir:
        """The control directory; files that were read during this turn are not read again."""
        if self._store is None:
            self._store = CachedControlDir(self.services.store, self.job.id)
        return self._store

    def staged(self, *, out: bool) -> Staged | None:
        """The stager's answer about outputs (``out``) or inputs; None if there is no such answer."""
        answer = self.answer
        return answer.staged if isinstance(answer, StagingEnded) and answer.out is out else None

    @property
    def settings(self) -> Settings:
        return self.services.settings

    @property
    def description(self) -> JobDescription:
        """
        The job's description, parsed once in a turn.

        Raises:
            JobDescriptionError, JobRefused, CorruptFile: the description is missing or invalid, or the job cannot run
            here.
        """
        if self._description is None:
            data = self.store.read(self.job.id, "description", limit=self.settings.max_description)
            self._description = self.services.describe(data or b"")
        return self._description

    @property
    def session(self) -> SessionFiles:
        """
        The session directory, checked once in a turn. Later operations in it do not follow links.

        Raises:
            CorruptFile: ``.local`` names a directory that cannot belong to this job, so it must not be changed.
        """
        path = self.job.local.sessiondir or self.settings.sessiondirs[0] / self.job.id
        if self._session is not None and self._session.path == path:
            return self._session
        session = SessionFiles(path)
        if objection := session.objection(self.job.id):
            raise CorruptFile(
                self.store.layout.job_file(self.job.id, "local"), f"sessiondir={session.path}: {objection}"
            )
        self._session = session
        return session

    def staging(self, files: Sequence[FileEntry]) -> Staging:
        """The arguments of a stager to transfer these files of the job."""
        local = self.job.local
        return Staging(
            job=self.job.id,
            session=self.session.path,
            files=tuple(files),
            owner=local.subject or "",
            share=base_share(local) or "_default",
            priority=local.priority or 50,
            copied=changeable(self.description),
            replicas=replicas(self.description),
        )

    def remove_session(self) -> list[str]:
        """
        Remove the session directory and its siblings; log a warning if the directory cannot belong to the job.

        Returns what could not be removed, which does not keep the job from ending; it is in the log too.
        """
        self._session = None  # check the directory again before it is removed
        session = self._own_session()
        return [] if session is None else self._logged(session.remove())

    def remove_staging(self) -> list[str]:
        """Like ``remove_session``, for the staging directory beside it, which most jobs do not have."""
        session = self._own_session()
        if session is None or not os.path.lexists(session.staging):
            return []
        return self._logged(discard(session.staging))

    def _logged(self, left: list[str]) -> list[str]:
        for text in left:
            log.warning("%s", text, extra={"event": "session.left", "job": self.job.id})
        return left

    def _own_session(self) -> SessionFiles | None:
        try:
            return self.session
        except CorruptFile as exc:
            log.warning("not removing the session directory: %s", exc, extra={"event": "session.strange"})
            return None

    @property
    def lrms(self) -> str:
        return self.job.local.lrms or self.settings.lrms
