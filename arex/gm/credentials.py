"""
Credentials of active jobs: renewed credentials are copied to their jobs, and owners are warned before the expiry.

A job whose credential has expired waits where it needs the credential, and continues after a renewal.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from arex.controldir import atomic, codec
from arex.controldir.delegations import credential_path
from arex.credentials.credential_files import Kept, hand_out, look
from arex.credentials.file import LARGEST
from arex.errors import ArexError, CorruptFile, CredentialError
from arex.gm.context import JobContext, KnownJob, Services
from arex.gm.steps import Wait
from arex.model.arc import WITH_PROXY
from arex.model.files import FileEntry
from arex.model.ids import JobId, is_job_id
from arex.model.local import JobLocal
from arex.model.state import State

log = logging.getLogger(__name__)

#: A client announces a renewal; this interval is for renewals without an announcement.
_LOOK_AGAIN_S: Final = 60.0
_ROUND_S: Final = 30.0
_TIDY: Final = timedelta(minutes=2)
#: Schemes whose transfers use no certificate.
_PLAIN: Final = frozenset({"http", "ftp", "file"})
_BEFORE_THE_END: Final = frozenset({State.ACCEPTED, State.PREPARING, State.SUBMIT, State.INLRMS})

# --- for the states -------------------------------------------------------------------------------------------------


def refreshed(context: JobContext) -> JobLocal:
    """
    Update the job's copies of its credential; returns ``.local`` with the present time of expiry.

    Raises:
        OSError: a copy is not writable; retry later.
    """
    local = context.job.local
    path = _path(context.services, context.job)
    known = None if path is None else look(str(path))
    if path is None or known is None:
        return local
    if known.certificate and _older(context.store.layout.job_file(context.job.id, "proxy"), known):
        _hand_out(context, path)
    return replace(local, delegexpiretime=known.expires)


def _path(services: Services, job: KnownJob) -> Path | None:
    try:
        return credential_path(services.settings.delegations, job.local.delegationid or "")
    except CredentialError:
        return None  # no credential, or an invalid id from a description


def _older(path: str, known: Kept) -> bool:
    try:
        return os.lstat(path).st_mtime_ns <= known.version[0]
    except FileNotFoundError:
        return True


def _hand_out(context: JobContext, path: Path) -> None:
    pem = atomic.read(str(path), limit=LARGEST)
    if pem:
        hand_out(context.store, context.job.id, context.job.local.sessiondir, pem)


def hold_transfers(context: JobContext, entries: Iterable[FileEntry]) -> Wait | None:
    """A wait if the credential for these files has expired, otherwise None."""
    return _held(context, [end for entry in entries if (end := _end_of(entry, context)) is not None])


def _end_of(entry: FileEntry, context: JobContext) -> datetime | None:
    """When the credential for a remote file expired; None if it is valid or not needed."""
    known = look(entry.credential) if entry.remote and entry.credential else None
    if known is None or known.expires > context.services.clock.now():
        return None
    scheme = entry.lfn.partition(":")[0].lower()
    return None if known.certificate and scheme in _PLAIN else known.expires


def hold_start(context: JobContext) -> Wait | None:
    """A wait if the job needs a credential that has expired, otherwise None."""
    path = _path(context.services, context.job) if context.job.local.delegationid else None
    known = None if path is None else look(str(path))
    if known is None or known.expires > context.services.clock.now() or not wants_proxy(context):
        return None
    return _held(context, [known.expires])


def wants_proxy(context: JobContext) -> bool:
    """
    Raises:
        JobDescriptionError, JobRefused, CorruptFile: the description is invalid.
    """
    return any(runtime.full_name == WITH_PROXY for runtime in context.description.resources.runtimes)


def _held(context: JobContext, ends: Sequence[datetime]) -> Wait | None:
    if not ends:
        return None
    when = codec.iso_time(min(ends))
    return Wait(_LOOK_AGAIN_S, f"The credential of the job expired at {when}; renew it: arcrenew {context.job.id}")


# --- for the service ------------------------------------------------------------------------------------------------


class Credentials:
    """Checks the store periodically, with one ``stat`` for each credential of an active job."""

    def __init__(self, services: Services, warning: timedelta) -> None:
        """``warning`` is the time before the expiry of a credential when a line is added to the logs of its jobs."""
        self._services = services
        self._warning = warning
        self._versions: dict[Path, tuple[int, int]] = {}
        self._warned: dict[JobId, datetime] = {}
        self._suspects: frozenset[JobId] = frozenset()
        self._tidied: datetime | None = None

    async def run(self, jobs: Callable[[], Iterable[KnownJob]], wake: Callable[[JobId], None]) -> None:
        """Run until cancelled; ``jobs`` returns all jobs that have not ended."""
        while True:
            await self.round(jobs(), wake)
            await self._services.clock.sleep(_ROUND_S)

    async def round(self, jobs: Iterable[KnownJob], wake: Callable[[JobId], None]) -> None:
        """One check; wakes jobs whose credential has changed."""
        active = list(jobs)
        holders: dict[Path, list[KnownJob]] = defaultdict(list)
        for job in active:
            if job.local.delegationid and (path := _path(self._services, job)) is not None:
                holders[path].append(job)
        for path, members in holders.items():
            try:
                for woken in await asyncio.to_thread(self._look, path, members):
                    wake(woken)
            except Exception as exc:  # noqa: BLE001 - it is logged and counted, and concerns one credential
                self._services.keeper.note("credentials", exc, members[0].id)
        self._versions = {path: seen for path, seen in self._versions.items() if path in holders}
        names = frozenset(job.id for job in active)
        self._warned = {job: end for job, end in self._warned.items() if job in names}
        now = self._services.clock.now()
        if self._tidied is None or now - self._tidied >= _TIDY:
            self._tidied = now
            await asyncio.to_thread(self._tidy, names)

    def _look(self, path: Path, jobs: Sequence[KnownJob]) -> list[JobId]:
        known = look(str(path))
        if known is None:
            return []
        woken = []
        before = self._versions.get(path)
        if before != known.version:
            self._versions[path] = known.version
            for job in jobs:
                self._renewed(job, path, known)
            # a job that read the old credential may just begin to wait, so all jobs are woken after a change
            woken = [job.id for job in jobs if before is not None or job.status.pending]
        if known.expires - self._services.clock.now() <= self._warning:
            for job in jobs:
                self._warn(job, known.expires)
        return woken

    def _renewed(self, job: KnownJob, path: Path, known: Kept) -> None:
        """Update the copies of one job."""
        try:
            if known.certificate:
                _hand_out(JobContext(job=job, services=self._services), path)
        except (CorruptFile, OSError) as exc:
            log.warning(
                "cannot update the copy of the credential; the job keeps the old one: %s",
                exc,
                extra={"event": "delegation.copy", "job": job.id},
            )  # retried in its next turn

    # --- warnings ------------------------------------------------------------------------------------------------

    def _warn(self, job: KnownJob, end: datetime) -> None:
        """Warn once for each job and time of expiry; after a restart, the line in the log prevents a second warning."""
        if self._warned.get(job.id) == end:
            return
        self._warned[job.id] = end
        now, store = self._services.clock.now(), self._services.store
        at = f"at {codec.iso_time(end)}; renew it with arcrenew {job.id}"
        try:
            warned = f"The credential of this job expires {at}".encode() in (store.read(job.id, "errors") or b"")
            if not warned and end > now and self._needs(job):
                store.note(job.id, f"{codec.iso_time(now)} The credential of this job expires {at}")
        except (ArexError, OSError) as exc:
            log.warning(
                "cannot write the warning to the job's log: %s",
                exc,
                extra={"event": "delegation.warning", "job": job.id},
            )

    def _needs(self, job: KnownJob) -> bool:
        """Whether the job still needs the credential."""
        lists = ("input", "output") if job.state in _BEFORE_THE_END else ("output",)
        if any(entry.remote for name in lists for entry in self._services.store.read_entries(job.id, name) or []):
            return True
        return job.state in _BEFORE_THE_END and wants_proxy(JobContext(job=job, services=self._services))

    # --- the store -----------------------------------------------------------------------------------------------

    def _tidy(self, active: frozenset[JobId]) -> None:
        """
        Release credentials of jobs that are cleaned or DELETED, and remove credentials unused for a day.

        A client may lock a credential before it writes the status file. So a job with a description but without a
        status counts as removed only when it is found in this state twice.
        """
        from arex.credentials.store import Store  # noqa: PLC0415 - it needs sqlite3, which is not used elsewhere here

        store = Store(self._services.settings.delegations)
        try:
            others = [job for job in store.held() if job not in active]
            states = {job: self._state(job) for job in others}
            absent = frozenset(job for job in others if states[job] is None and self._may_come(job))
            gone = [
                job for job in others
                if states[job] is State.DELETED
                or (states[job] is None and (job not in absent or job in self._suspects))
            ]  # fmt: skip
            self._suspects = absent
            done = store.tidy(gone, self._services.clock.now())
        except (CredentialError, OSError) as exc:
            log.info("cannot clean the store of credentials; arex retries: %s", exc, extra={"event": "delegation.busy"})
            return
        if done.locks or done.credentials:
            what = {"event": "delegation.tidied"}
            log.info(
                "released credentials of %d jobs, removed %d unused credentials",
                done.locks,
                done.credentials,
                extra=what,
            )

    def _may_come(self, job: JobId) -> bool:
        return is_job_id(job) and self._services.store.exists(job, "description")

    def _state(self, job: JobId) -> State | None:
        """The state; None without a status file. A status file that cannot be parsed counts as active."""
        if not is_job_id(job):
            return None
        found = self._services.store.read_status(job)
        if found is None:
            return None
        return State.ACCEPTED if found.status is None else found.status.state
