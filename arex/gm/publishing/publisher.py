"""Publishes reports of the batch system for the owners of jobs, in the evidence and in the document ``.xml``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from arex.aio import WakeUp
from arex.errors import CorruptFile
from arex.gm.context import JobContext, KnownJob, Services
from arex.gm.publishing import activity, evidence
from arex.gm.turns.tracking import Tracked, Tracking
from arex.model.report import Report

log = logging.getLogger(__name__)

#: Maximum number of documents for one call in a thread; thousands may be due after a start.
_TOGETHER: Final = 50


@dataclass(frozen=True, slots=True)
class _Due:
    """The facts to publish about one job."""

    job: KnownJob
    phase: str
    report: Report | None


class Publisher:
    """Publishes phases of jobs in the batch system; the worker publishes changes of state."""

    def __init__(self, services: Services, tracking: Tracking, released: Callable[[Tracked], None]) -> None:
        self._services = services
        self._tracking = tracking
        self._released = released
        self._wake = WakeUp(services.clock)

    def note(self, record: Tracked, report: Report) -> None:
        """Record a change of a job that is still in the batch system, to publish it soon."""
        self._tracking.in_phase(record, str(report.phase))
        record.report = report
        self._tracking.to_publish(record)
        self._wake.set()

    def wake(self) -> None:
        """Wake the publisher, because a job with facts to publish is no longer busy."""
        self._wake.set()

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            while records := self._tracking.publishable(_TOGETHER):
                await self._publish(records)
            await self._wake.wait()

    async def _publish(self, records: Sequence[Tracked]) -> None:
        due = [_Due(record.job, record.phase, record.report) for record in records if record.job is not None]
        for record in records:
            self._tracking.published(record)
            record.report = None
            record.publishing = True  # no turn meanwhile, so that an older document does not replace a newer one
        try:
            await asyncio.to_thread(self._write, due)
        finally:
            for record in records:
                record.publishing = False
                self._released(record)

    def _write(self, due: Sequence[_Due]) -> None:
        for each in due:
            context = JobContext(job=each.job, services=self._services, phase=each.phase, report=each.report)
            try:
                if each.report is not None:
                    self._write_evidence(context, each.report)
                if not activity.shows(context):
                    activity.publish(context)
            except (OSError, CorruptFile) as exc:
                facts = {"event": "xml.failed", "job": each.job.id}
                log.warning("cannot write the GLUE2 document of the job: %s", exc, extra=facts)
            except Exception as exc:  # noqa: BLE001 - it is logged and counted, and concerns one job
                self._services.keeper.note("publisher", exc, each.job.id)

    def _write_evidence(self, context: JobContext, report: Report) -> None:
        try:
            session = context.session
        except (OSError, CorruptFile) as exc:  # the session root is closed or away
            log.info("cannot write the evidence: %s", exc, extra={"event": "evidence.lost", "job": context.job.id})
        else:
            evidence.write(session, report, self._services.clock.now())
