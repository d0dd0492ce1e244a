"""``.local``: the facts about a job that all parts of the service read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from arex.model.ids import LocalId
from arex.model.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLocal:
    """
    The content of a ``.local`` file. Field names are the keys, in file order; the type of a field determines its
    format.

    Nothing is lost if another A-REX uses the same directory: values that cannot be parsed are kept in ``odd`` and
    written back in their place, and unknown keys are kept in ``extra`` and written back at the end.
    Source: ``docs/developers/control-directory.md``.
    """

    jobreport: tuple[str, ...] = ()
    globalid: str | None = None
    headnode: str | None = None
    headhost: str | None = None
    globalurl: str | None = None
    interface: str | None = None
    lrms: str | None = None
    queue: str | None = None
    localid: LocalId | None = None
    args: tuple[str, ...] | None = None
    argscode: int | None = None
    subject: str | None = None  #: the owner's distinguished name
    starttime: datetime | None = None  #: time of submission, UTC
    lifetime: timedelta | None = None  #: how long the session directory is kept after FINISHED
    notify: str | None = None
    processtime: datetime | None = None  #: the job stays in ACCEPTED until this time
    exectime: datetime | None = None
    rerun: int | None = None  #: remaining reruns
    downloads: int | None = None
    uploads: int | None = None
    jobname: str | None = None
    projectname: tuple[str, ...] = ()
    gmlog: str | None = None
    cleanuptime: datetime | None = None
    delegexpiretime: datetime | None = None
    clientname: str | None = None
    clientsoftware: str | None = None
    delegationid: str | None = None
    sessiondir: Path | None = None
    diskspace: int | None = None  #: bytes
    failedstate: State | None = None  #: state in which the job first failed
    failedcause: str | None = None  #: "internal" or "client"
    credentialserver: str | None = None
    freestagein: bool | None = None
    auth: tuple[str, ...] = ()  #: ARC 7: matching authgroups
    localvo: tuple[str, ...] = ()
    voms: tuple[str, ...] = ()
    activityid: tuple[str, ...] = ()
    migrateactivityid: str | None = None
    forcemigration: bool | None = None
    transfershare: str | None = None
    priority: int | None = None
    dryrun: bool | None = None
    odd: tuple[tuple[str, str], ...] = ()  #: known keys with a value that cannot be parsed
    extra: tuple[tuple[str, str], ...] = ()  #: unknown keys
