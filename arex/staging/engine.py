"""
Moves the files of all jobs: the stager of the grid manager.

One transfer is one file of one job in one direction. ``scheduler`` decides which transfer is next, ``transfer``
retries until it succeeds or fails for good, the movers speak the protocols, ``journal`` and ``partfile`` keep what a
restart can resume, and ``cache`` holds the files that jobs share.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from arex.aio import in_thread
from arex.clock import Clock
from arex.config.model import Configuration
from arex.config.staging import DataStagingBlock
from arex.controldir import atomic
from arex.errors import CorruptFile
from arex.model.ids import JobId
from arex.model.reason import Reason
from arex.model.url import Url
from arex.ports import Staged, Stager, Staging
from arex.staging import statefile
from arex.staging.batch import Note, Stage
from arex.staging.disk.cache import Cache
from arex.staging.movers.base import MoverSettings
from arex.staging.movers.fsspec.allowed import Grants
from arex.staging.movers.registry import Movers
from arex.staging.scheduler import FairQueue, KeyedQueue
from arex.staging.transfer import Counters, TransferContext

log = logging.getLogger(__name__)

_LOOK_S: Final = 1.0
#: A rejected credential is tried again after this time even if its file has not changed.
_HELD_S: Final = 300.0
#: Largest part of the time that is spent on writing the list of transfers.
_STATE_PART: Final = 0.02

_Version = tuple[tuple[str, int, int], ...]


class Engine:
    """The stager of a service. ``note`` is called in a worker thread, with lines for a job's log."""

    def __init__(
        self,
        config: DataStagingBlock,
        clock: Clock,
        *,
        means: MoverSettings,
        cache: Cache | None = None,
        per_host: int = 0,
        durable: bool = True,
        statefile: Path | None = None,
        interrupted: Collection[str] = (),
        note: Note = lambda _job, _text: None,
    ) -> None:
        self._config, self._clock, self._note, self._statefile = config, clock, note, statefile
        weights = {
            f"{each.share}-{way}": each.priority for each in config.sharepriority for way in ("download", "upload")
        }
        self._context = TransferContext(
            clock=clock,
            movers=Movers(means, grants=Grants(config.fsspec, config.fsspec_options)),
            delivery=FairQueue(
                config.maxdelivery,
                emergency=config.maxemergency,
                per_share=config.maxprepared,
                per_host=per_host,
                weights=weights,
            ),
            processor=FairQueue(config.maxprocessor, weights=weights),
            turns=KeyedQueue(),
            cache=cache,
            durable=durable,
            most_tries=config.maxtransfertries,
            links=config.linkurl,
            counters=Counters(),
            speed=config.speedcontrol,
            interrupted=set(interrupted),
        )
        self._stages: dict[JobId, Stage] = {}
        self._held: dict[JobId, tuple[_Version, float, Staged]] = {}

    @classmethod
    def from_config(cls, config: Configuration, clock: Clock, note: Note = lambda _job, _text: None) -> Self:
        """The engine that a site's configuration asks for."""
        staging = config.staging
        state = staging.statefile or config.arex.controldir / "dtr.state"
        means = MoverSettings(
            cert_dir=config.common.x509_cert_dir,
            http_proxy=config.common.http_proxy,
            partial_get=staging.httpgetpartial,
            inactivity_s=staging.speedcontrol.max_inactivity or None,
            clock=clock,
        )
        return cls(
            staging,
            clock,
            means=means,
            cache=Cache.from_config(config, clock),
            per_host=config.service.transfers_per_host or _most_per_host(staging.maxdelivery),
            durable=config.service.fsync,
            statefile=state,
            interrupted=statefile.interrupted(state),
            note=note,
        )

    # --- the seam -----------------------------------------------------------------------------------------------

    async def stage_in(self, staging: Staging) -> Staged:
        return await self._stage(staging, out=False)

    async def stage_out(self, staging: Staging) -> Staged:
        return await self._stage(staging, out=True)

    async def _stage(self, staging: Staging, *, out: bool) -> Staged:
        while (other := self._stages.get(staging.job)) is not None:
            await other.ended_at.wait()
        stage = Stage(
            self._context,
            staging,
            out=out,
            share=f"{self._share(staging)}-{'upload' if out else 'download'}",
            order=self._ordered,
            copies=self._config.copyurl,
            note=self._note,
        )
        self._stages[staging.job] = stage
        try:
            return await self._unless_held(stage)
        except CorruptFile as exc:
            return Staged(done=False, failure=str(exc))
        except OSError as exc:
            facts = {"event": "stage.trouble", "job": staging.job}
            log.warning("cannot access the files of a job: %s", exc, extra=facts)
            return Staged(done=False, waits=f"cannot access the files of the job: {exc.strerror}")
        finally:
            del self._stages[staging.job]
            stage.ended_at.set()

    async def _unless_held(self, stage: Stage) -> Staged:
        """Do not try a job that waits for a credential again before that has changed, or some time has passed."""
        job, now = stage.staging.job, self._clock.monotonic()
        version = await in_thread(_version, stage.staging)
        match self._held.pop(job, None):
            case before, until, staged if before == version and now < until:
                self._held[job] = (before, until, staged)
                return staged
        staged = await stage.run()
        if staged.waits:
            self._held[job] = (version, now + _HELD_S, staged)
        return staged

    async def cancel(self, job: JobId) -> None:
        """
        Stop all transfers of this job; when this returns, nothing accesses the session directory any more.

        Part files stay, as the job may continue after a restart of the service; ``release`` removes them.
        """
        while (stage := self._stages.get(job)) is not None:
            await stage.stop()
            if self._stages.get(job) is stage:
                stage.give_up()
                await stage.ended_at.wait()

    async def release(self, job: JobId) -> None:
        """Remove the job's links into the cache; its part files are removed with the session directory."""
        self._held.pop(job, None)
        if self._context.cache is not None:
            await self._context.cache.release(job)

    async def run(self) -> None:
        """Publish the list of transfers until cancelled."""
        pause = _LOOK_S
        text: str | None = None
        while True:
            await self._clock.sleep(pause)
            began = self._clock.monotonic()
            lines = statefile.lines(self._stages.values())
            if self._statefile is not None and lines != text:
                await self._publish(self._statefile, lines)
                text = lines
            pause = max(_LOOK_S, (self._clock.monotonic() - began) / _STATE_PART)

    async def _publish(self, path: Path, lines: str) -> None:
        try:
            await in_thread(atomic.put, str(path), lines.encode("utf-8", "surrogateescape"))
        except OSError as exc:
            log.warning("cannot write the list of transfers: %s", exc, extra={"event": "stage.state"})

    async def close(self) -> None:
        """Close all connections."""
        await self._context.movers.close()

    def figures(self) -> Mapping[str, int]:
        counters, delivery, processor = self._context.counters, self._context.delivery, self._context.processor
        return {
            "staging_jobs": len(self._stages),
            "transfers_waiting": delivery.waiting + processor.waiting,
            "transfers_under_way": delivery.running,
            "files_in": counters.downloads,
            "files_out": counters.uploads,
            "bytes_in": counters.bytes_in,
            "bytes_out": counters.bytes_out,
            "transfer_retries": counters.retries,
            "transfers_resumed": counters.resumed,
            "transfers_failed": counters.failures,
            "cache_hits": counters.cache_hits,
            "cache_misses": counters.cache_misses,
        }

    def reasons(self) -> Iterator[tuple[JobId, Reason]]:
        for job, stage in self._stages.items():
            if (reason := stage.reason()) is not None:
                yield job, reason

    # --- policy -------------------------------------------------------------------------------------------------

    def _share(self, staging: Staging) -> str:
        return staging.owner or staging.share if self._config.sharepolicy == "dn" else staging.share

    def _ordered(self, urls: Sequence[Url]) -> list[Url]:
        """Replicas, the preferred ones first. Source: meaning of ``preferredpattern`` in arc.conf."""
        patterns = [each for each in self._config.preferredpattern.split("|") if each]

        def rank(url: Url) -> int:
            host = url.host.partition(":")[0]
            for number, pattern in enumerate(patterns):
                if host.endswith(pattern[:-1]) if pattern.endswith("$") else pattern in host:
                    return number
            return len(patterns)

        return sorted(urls, key=rank)


def _version(staging: Staging) -> _Version:
    """The credentials of a job as they are now."""
    found = []
    for path in sorted({entry.credential for entry in staging.files if entry.credential}):
        try:
            info = os.stat(path)  # noqa: PTH116 - one of thousands
            found.append((path, info.st_mtime_ns, info.st_size))
        except OSError:
            found.append((path, 0, 0))
    return tuple(found)


_: type[Stager] = Engine


def _most_per_host(slots: int) -> int:
    """Transfers with one server: a fifth of the slots, and at least one, is left for others."""
    return max(1, slots - max(1, slots // 5))
