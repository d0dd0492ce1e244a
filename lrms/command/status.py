"""Reads the state of jobs: evidence from disk, listing and accounting, from which the verdict follows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from arex.clock import Clock
from arex.errors import BatchUnavailable
from arex.model.ids import LocalId
from arex.model.report import Phase, Report
from arex.ports import LocalJob
from lrms.attempt import traces
from lrms.attempt.missing import MissingSince
from lrms.attempt.record import Done
from lrms.attempt.traces import Traces
from lrms.command.commands import Commands
from lrms.command.dialect import Seen, is_alive
from lrms.command.transport import FileTransport
from lrms.command.verdict import Facts, Said, is_about, is_clear, report_of, said_in
from lrms.jobscript.settings import ScriptMode

log = logging.getLogger(__name__)

_ARRIVING = Report(phase=Phase.EXITING, doubt="the files of the job are on their way into its session directory")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evidence:
    """What is known about many jobs, by local id."""

    records: Mapping[LocalId, Done]
    listing: Mapping[LocalId, Seen] = field(default_factory=dict)
    accounts: Mapping[LocalId, Seen] = field(default_factory=dict)
    traces: Mapping[LocalId, Traces] = field(default_factory=dict)  #: of jobs that are not alive
    said: Mapping[LocalId, Said] = field(default_factory=dict)  #: what the batch system wrote into their output

    #: the id of the copy that runs, which has the start marker, where that is known
    copies: Mapping[LocalId, LocalId] = field(default_factory=dict)

    def followed(self, localid: LocalId) -> LocalId:
        return self.copies.get(localid, localid)

    def listed(self, job: LocalJob) -> Seen | None:
        """The entry of the listing about this job."""
        return self._own(self.listing, job)

    def accounted(self, job: LocalJob) -> Seen | None:
        """The accounting record of this job."""
        return self._own(self.accounts, job)

    def _own(self, found: Mapping[LocalId, Seen], job: LocalJob) -> Seen | None:
        seen, left = found.get(self.followed(job.localid)), self.traces.get(job.localid)
        return seen if is_about(seen, job.tag, None if left is None else left.submitted) else None


class StatusReader:
    """Reads the state of jobs. It remembers only since when jobs are not alive."""

    def __init__(self, commands: Commands, transport: FileTransport, clock: Clock, record_wait_s: float) -> None:
        self._commands = commands
        self._transport = transport
        self._record_wait_s = record_wait_s
        self._missing = MissingSince(clock)  #: or has ended, in every answer

    async def recorded(self, jobs: Collection[LocalJob]) -> dict[LocalId, Report]:
        """See ``arex.ports.Backend.recorded``."""
        arriving = await self._transport.arriving(jobs)
        records = await asyncio.to_thread(traces.records, [job for job in jobs if job.localid not in arriving])
        ends: dict[LocalId, Report] = {}
        for localid, done in records.items():
            facts = Facts(system=self._commands.name, done=done)
            if is_clear(done) and (report := report_of(facts)) is not None:
                ends[localid] = report
        for job in jobs:
            if job.localid in ends:
                self._missing.forget(job.localid)
                self._transport.forget(job)
            else:
                self._transport.note(job, job.localid)
        return ends

    async def status(self, jobs: Collection[LocalJob]) -> dict[LocalId, Report]:
        """See ``arex.ports.Backend.status``."""
        for job in jobs:
            self._transport.note(job, job.localid)
        arriving = await self._transport.arriving(jobs)
        here = [job for job in jobs if job.localid not in arriving]
        await self._transport.note_starts(here)
        reports = await self._conclude(here)
        return {**reports, **dict.fromkeys(arriving, _ARRIVING)}

    async def _conclude(self, jobs: Collection[LocalJob]) -> dict[LocalId, Report]:
        evidence = await self._evidence(jobs)
        reports: dict[LocalId, Report] = {}
        for job in jobs:
            if (report := report_of(self._facts(job, evidence))) is not None:
                reports[job.localid] = report
        over = [job for job in jobs if _is_over(reports.get(job.localid))]
        await self._settle(over, evidence.traces)
        await self._take_away([job.localid for job in over if _lingers(evidence.listing.get(job.localid), job)])
        return reports

    # --- evidence ---

    async def _evidence(self, jobs: Collection[LocalJob]) -> _Evidence:
        """Collect the evidence; the batch system is queried only about jobs that their records do not explain."""
        records = await asyncio.to_thread(traces.records, jobs)
        clear = {localid for localid, done in records.items() if is_clear(done)}
        listing = await self._commands.listing([job.localid for job in jobs]) if len(clear) < len(jobs) else {}
        evidence = _Evidence(records=records, listing=listing)
        gone = [job for job in jobs if job.localid not in clear and not is_alive(evidence.listed(job))]
        if not gone:
            return evidence
        left = await asyncio.to_thread(lambda: {job.localid: traces.traces_of(job) for job in gone})
        spelled = self._commands.first.on_site_of
        copies = {localid: spelled(LocalId(each.localid), localid) for localid, each in left.items() if each.localid}
        evidence = replace(evidence, traces=left, copies=copies)
        unexplained = [evidence.followed(job.localid) for job in gone if _is_unexplained(evidence.listed(job))]
        accounts = await self._commands.accounting(unexplained)
        patterns = (await self._commands.dialect()).said
        said = {localid: found for localid, each in left.items() if (found := said_in(each.output, patterns))}
        return replace(evidence, accounts=accounts, said=said)

    def _facts(self, job: LocalJob, evidence: _Evidence) -> Facts:
        left = evidence.traces.get(job.localid)
        done = evidence.records.get(job.localid)
        seen = evidence.listed(job)
        return Facts(
            system=self._commands.name,
            done=done,
            mark=None if left is None else left.mark,
            seen=seen,
            account=evidence.accounted(job),
            ours=job.rundir is not None,
            sandbox=self._transport.mode is ScriptMode.SANDBOX,
            said=evidence.said.get(job.localid),
            diag_code=None if left is None else left.diag_code,
            cancel_asked=left is not None and left.cancel_asked,
            removed=left is not None and left.removed,
            waited_s=self._waited_s(job.localid, alive=is_alive(seen) and done is None),
            record_wait_s=self._record_wait_s,
        )

    def _waited_s(self, localid: LocalId, *, alive: bool) -> float:
        if alive:
            self._missing.forget(localid)
            return 0.0
        return self._missing.seconds(localid)

    # --- after the end ---

    async def _settle(self, over: Sequence[LocalJob], left: Mapping[LocalId, Traces]) -> None:
        """Keep copies that are still queued from starting, once the attempt is over."""
        unmarked = [job.rundir for job in over if job.rundir and job.localid in left and not left[job.localid].mark]
        if unmarked:
            await asyncio.to_thread(traces.keep_from_starting, unmarked)
        for job in over:
            self._missing.forget(job.localid)
        await self._transport.settle(over)

    async def _take_away(self, ids: Sequence[LocalId]) -> None:
        if not ids:
            return
        try:
            await self._commands.cancel(ids)
        except BatchUnavailable as exc:
            log.warning(
                "cannot remove ended jobs from the queue: %s: %s", " ".join(ids), exc, extra={"event": "lrms.lingers"}
            )


def _is_over(report: Report | None) -> bool:
    return report is not None and report.phase is Phase.ENDED


def _lingers(seen: Seen | None, job: LocalJob) -> bool:
    return seen is not None and seen.lingers and is_about(seen, job.tag)


def _is_unexplained(seen: Seen | None) -> bool:
    """Whether the listing does not explain an end."""
    return not is_alive(seen) and (seen is None or seen.cause is None or seen.vague)
