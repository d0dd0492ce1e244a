"""Composition root: creates the parts of the service from a configuration and connects them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from arex import __version__, daemon, logs
from arex.clock import Clock, SystemClock
from arex.config.load import load
from arex.config.model import Configuration
from arex.config.runtime import runtime_cfg
from arex.config.values import FixDirectories
from arex.controldir import codec
from arex.controldir.delegations import store_directory, user_name
from arex.controldir.fifo import Fifo
from arex.controldir.layout import LAYOUTS
from arex.controldir.store import ControlDir
from arex.controldir.watch import Mode, Watch
from arex.errors import BatchUnavailable, ConfigError, ServiceError
from arex.gm.batch.client import BatchClient
from arex.gm.batch.polling import PollingPolicy
from arex.gm.context import Services, Settings
from arex.gm.credentials import Credentials
from arex.gm.limits import Limits
from arex.gm.manager import GridManager, ScanIntervals
from arex.gm.quota import Quotas
from arex.jobdesc import DescriptionDialect, JobDescription, parse
from arex.jobdesc.check import check
from arex.jobdesc.software import resolve_runtimes
from arex.model.ids import JobId, LocalId
from arex.ports import Backend, Capacity, Stager
from arex.rte import installed
from arex.staging.disk.cleaning import Cleaner
from arex.staging.engine import Engine
from infoprovider.publish import InfoPublisher
from lrms import load as load_backend

log = logging.getLogger(__name__)

_SNAPSHOT_S = 2.0
#: Delay in seconds of the first poll after a submission, for backends that can be polled without a command.
_FIRST_POLL_LOCAL_S = 0.1
_FIRST_POLL_REMOTE_S = 1.0
_BATCH = 200
_ORPHANS_RETRY_S = 60.0
#: Interval of cache cleaning. Source: ARC 6.17.
_CACHE_ROUND_S = 3600.0
#: Minimum time between two queries to a batch system.
_GAP_S = 2.0


class Service:
    """One control directory, its grid manager and its batch system."""

    def __init__(
        self,
        config: Configuration,
        *,
        clock: Clock | None = None,
        backends: Mapping[str, Backend] | None = None,
        stager: Stager | None = None,
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._config = config
        self._clock = clock or SystemClock()
        self._backends = backends
        self._stager = stager or Engine.from_config(config, self._clock, self._note)
        self._ready = ready
        self._stop = asyncio.Event()
        self._reread = asyncio.Event()
        self._lock = daemon.Lock(config.arex.controldir)
        layout = LAYOUTS[config.service.layout](config.arex.controldir)
        self._store = ControlDir(layout, durable=config.service.fsync)
        self._wakeups = ""
        self._orphans = 0

    async def run(self) -> None:
        """
        Run until ``stop`` is called.

        Raises:
            AlreadyRunning, ControlDirError, ConfigError, ServiceError: the service cannot start.
        """
        config = self._config
        store = self._store
        fix = config.arex.fixdirectories
        await asyncio.to_thread(
            store.prepare, user_name(), create=fix is not FixDirectories.NO, correct=fix is FixDirectories.YES
        )
        await asyncio.to_thread(_session_roots, config)
        await asyncio.to_thread(self._lock.take)
        if swept := await asyncio.to_thread(store.sweep, self._lock.previous, self._clock.now()):
            log.info("removed %d unfinished temporary files", swept, extra={"event": "recover.swept"})
        fifo = Fifo(store.root)
        backends = dict(self._backends or _backends(config))
        try:
            await asyncio.to_thread(fifo.open)
            for backend in backends.values():
                await backend.start()
            await self._serve(store, fifo, backends)
        finally:
            for backend in backends.values():
                await backend.close()
            fifo.close()
            await asyncio.to_thread(daemon.remove_pidfile, config.arex.pidfile)
            self._lock.release()

    def _note(self, job: JobId, text: str) -> None:
        """Add a line about file transfers to a job's log; called in worker threads."""
        self._store.note(job, f"{codec.iso_time(self._clock.now())} {text}")

    async def _serve(self, store: ControlDir, fifo: Fifo, backends: Mapping[str, Backend]) -> None:
        config = self._config
        capacities = {name.lower(): backend.capacity() for name, backend in backends.items()}
        slots = [capacity.slots for capacity in capacities.values() if capacity.slots is not None]
        roots = [entry.path for entry in config.arex.sessiondir]
        quotas = Quotas(config.service, roots, store, self._clock)
        services = Services(
            store=store,
            settings=_settings(config, next(iter(backends))),
            limits=Limits(config.arex.maxjobs, sum(slots) if slots else None),
            clock=self._clock,
            describe=_describer(config),
            room=quotas.room,
            fragile=frozenset(name for name, capacity in capacities.items() if not capacity.outlives_host),
        )
        clients: dict[str, BatchClient] = {}
        manager: GridManager | None = None

        def look(job: JobId) -> None:
            if manager is not None:  # the first scan of the manager will find the job
                manager.look(job)

        watch = Watch(store.layout, look)
        mode, why = await watch.start(str(config.service.watch))
        self._wakeups = f"{mode}: {why}"
        rhythm = ScanIntervals(
            wakeup_s=config.arex.wakeupperiod.total_seconds(),
            accepting_s=config.service.scan_period.total_seconds() if mode is Mode.POLL else None,
        )
        manager = GridManager(services, clients, self._stager, rhythm)
        for name, backend in backends.items():
            pace = _pace(config, name.lower(), capacities[name.lower()])
            clients[name.lower()] = BatchClient(backend, self._clock, pace, manager.answer, manager.reported)
        started = codec.iso_time(self._clock.now())
        publisher = InfoPublisher(config, self._clock)
        watched = Credentials(services, config.service.credential_warning)
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(manager.run(), name="grid manager"),
                    tasks.create_task(self._stager.run(), name="stager"),
                    tasks.create_task(self._cleaning(store), name="cache cleaner"),
                    tasks.create_task(watched.run(lambda: manager.jobs, manager.look), name="credentials"),
                    tasks.create_task(quotas.run(lambda: manager.jobs, manager.look), name="quotas"),
                    tasks.create_task(publisher.run(lambda: manager.counts, store.root), name="infoprovider"),
                    tasks.create_task(self._snapshots(store, manager, clients, started), name="status file"),
                    tasks.create_task(self._reloading(services, manager), name="reload"),
                    tasks.create_task(self._finding_orphans(store, manager, backends), name="orphans"),
                    *(tasks.create_task(client.run(), name=f"batch system {name}") for name, client in clients.items()),
                ]
                fifo.listen(manager.heard, manager.rescan)
                await asyncio.to_thread(daemon.write_pidfile, config.arex.pidfile, runtime_cfg(config))
                self._handle_signals()
                log.info(
                    "serving %s; new jobs are detected by %s", store.root, self._wakeups, extra={"event": "service.up"}
                )
                self._ready()
                await self._stop.wait()
                log.info("stopping; jobs in the batch system continue", extra={"event": "service.down"})
                for task in running:
                    task.cancel()
        finally:
            await watch.stop()

    def stop(self) -> None:
        """Stop the service: active writes are completed first."""
        self._stop.set()

    # --- signals ------------------------------------------------------------------------------------------------

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._reread.set)

    async def _reloading(self, services: Services, manager: GridManager) -> None:
        """
        Reload the configuration on SIGHUP: limits, lifetimes, queues and the log level change at once, the rest at
        restart.
        """
        while True:
            await self._reread.wait()
            self._reread.clear()
            try:
                config, warnings = await asyncio.to_thread(load, self._config.source, os.environ)
            except ConfigError as exc:
                refused = {"event": "config.refused"}
                log.error("the new configuration is invalid, keeping the old one: %s", exc, extra=refused)  # noqa: TRY400
                continue
            for fault in warnings:
                log.warning("%s", fault, extra={"event": "config.warning"})
            self._take_over(config, services)
            try:
                await asyncio.to_thread(daemon.write_pidfile, self._config.arex.pidfile, runtime_cfg(self._config))
            except ServiceError as exc:
                log.warning(
                    "cannot write the runtime configuration, clients still use the old one: %s",
                    exc,
                    extra={"event": "config.hidden"},
                )
            manager.rescan()
            log.info("configuration reloaded", extra={"event": "config.reloaded"})

    def _take_over(self, config: Configuration, services: Services) -> None:
        for option in _fixed_differences(self._config, config):
            log.warning("the change of %s needs a restart of the service", option, extra={"event": "config.later"})
        services.settings = _settings(config, services.settings.lrms)
        services.describe = _describer(config)
        services.limits.change(config.arex.maxjobs)
        logging.getLogger().setLevel(logs.LEVELS[int(config.arex.loglevel)])
        kept = replace(config.arex, controldir=self._config.arex.controldir, pidfile=self._config.arex.pidfile)
        self._config = replace(config, arex=kept)

    async def _finding_orphans(self, store: ControlDir, manager: GridManager, backends: Mapping[str, Backend]) -> None:
        """Report orphans in the batch systems; an administrator has to decide what to do with them."""
        await manager.scanned.wait()
        for name, backend in backends.items():
            tagged = await self._tagged(name, backend)
            known = await asyncio.to_thread(
                lambda jobs: {job for job in jobs if store.knows(job)}, set(tagged.values())
            )
            orphans = {localid: job for localid, job in tagged.items() if job not in known}
            self._orphans += len(orphans)
            for localid, job in orphans.items():
                log.warning(
                    "orphan: %s job %s is tagged for job %s, which is not in this control directory",
                    name, localid, job, extra={"event": "lrms.stray"},
                )  # fmt: skip

    async def _tagged(self, name: str, backend: Backend) -> Mapping[LocalId, JobId]:
        while True:
            try:
                return await backend.tagged()
            except BatchUnavailable as exc:
                log.info(
                    "%s does not answer, the search for orphans will be retried: %s",
                    name,
                    exc,
                    extra={"event": "lrms.silent"},
                )
                await self._clock.sleep(_ORPHANS_RETRY_S)

    async def _cleaning(self, store: ControlDir) -> None:
        """Clean the cache every hour, as ARC does."""
        cleaner = Cleaner(self._config, self._clock, is_live=store.is_live)
        while cleaner.roots:
            try:
                cleaned = await cleaner.clean()
            except OSError as exc:
                log.warning("cannot clean the cache: %s", exc, extra={"event": "cache.trouble"})
            else:
                if cleaned.files:
                    what = {"event": "cache.cleaned"}
                    log.info("removed %d files (%d bytes) from the cache", len(cleaned.files), cleaned.size, extra=what)
            await self._clock.sleep(_CACHE_ROUND_S)

    # --- what "arex status" shows ---------------------------------------------------------------------------------

    async def _snapshots(
        self, store: ControlDir, manager: GridManager, clients: Mapping[str, BatchClient], started: str
    ) -> None:
        last: tuple[object, ...] = ()
        while True:
            states = dict(manager.counts)
            health = {name: client.summary() for name, client in clients.items()}
            calls = {name: dict(client.backend.figures()) for name, client in clients.items()}
            unsure = {name: client.unsure for name, client in clients.items() if client.unsure}
            staging = dict(self._stager.figures())
            facts = (states, health, manager.waiting_outside, calls, unsure, staging, self._orphans)
            if facts != last:
                last = facts
                snapshot = daemon.Snapshot(
                    pid=os.getpid(),
                    started=started,
                    updated=codec.iso_time(self._clock.now()),
                    version=__version__,
                    controldir=str(store.root),
                    wakeups=self._wakeups,
                    states=states,
                    waiting=manager.waiting_outside,
                    lrms=health,
                    calls=calls,
                    unsure=unsure,
                    staging=staging,
                    strays=self._orphans,
                )
                await asyncio.to_thread(_write_snapshot, store, snapshot)
            await self._clock.sleep(_SNAPSHOT_S)


def refuse_root(config: Configuration, *, allowed: bool) -> None:
    """
    Check that the service may run as this user.

    Raises:
        ServiceError: the user is root, and neither an option nor the configuration allows it.
    """
    if os.geteuid() == 0 and not (allowed or config.service.allow_root):
        raise ServiceError(
            "arex does not run as root by default, because all jobs would run as root too. "
            "Start it as the user that will own the jobs, or use --allow-root (or allow_root=yes in [arex/service])"
        )


def _session_roots(config: Configuration) -> None:
    for entry in config.arex.sessiondir:
        try:
            entry.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise ServiceError(f"cannot create the session root {entry.path}: {exc.strerror}") from exc


def _write_snapshot(store: ControlDir, snapshot: daemon.Snapshot) -> None:
    try:
        daemon.write_snapshot(store.root, snapshot)
    except OSError as exc:
        log.warning("cannot write the status file: %s", exc, extra={"event": "status.failed"})


def _pace(config: Configuration, name: str, capacity: Capacity) -> PollingPolicy:
    """The polling policy; backends on this host are polled more often, because they need no command."""
    service = config.service
    poll = (config.lrms.slurm_wakeupperiod if name == "slurm" else None) or service.scan_period
    batch = config.arex.maxjobs.scripts or _BATCH
    if not capacity.outlives_host:
        return PollingPolicy(poll_s=poll.total_seconds(), first_look_s=_FIRST_POLL_LOCAL_S, batch=batch)
    return PollingPolicy(
        poll_s=poll.total_seconds(),
        gap_s=min(_GAP_S, poll.total_seconds()),
        first_look_s=None if capacity.reports_ends else _FIRST_POLL_REMOTE_S,
        absence_s=service.record_wait.total_seconds(),
        batch=config.arex.maxjobs.scripts or (2 * service.array_most if capacity.gather else _BATCH),
        gather_s=service.array_wait / 1000 if capacity.gather else 0.0,
    )


def _backends(config: Configuration) -> dict[str, Backend]:
    name = config.lrms.lrms.name
    return {name: load_backend(name, config)}


def _settings(config: Configuration, lrms_name: str) -> Settings:
    return Settings(
        sessiondirs=tuple(entry.path for entry in config.arex.sessiondir),
        lrms=lrms_name,
        queue=config.default_queue.name,
        queues=tuple(queue.name for queue in config.queues),
        maxrerun=config.arex.maxrerun,
        ttl=config.arex.defaultttl.ttl,
        ttr=config.arex.defaultttl.ttr or timedelta(0),
        max_description=config.ws_jobs.maxjobdesc or 1 << 40,
        hostname=config.common.hostname,
        delegations=store_directory(config.arex.controldir),
        joblog=config.arex.joblog,
    )


def _describer(config: Configuration) -> Callable[[bytes], JobDescription]:
    queues = tuple(queue.name for queue in config.queues)

    def describe(data: bytes) -> JobDescription:
        [description, *more] = parse(data, DescriptionDialect.GRIDMANAGER, max_size=config.ws_jobs.maxjobdesc)
        del more  # alternatives are only for brokers
        if any(runtime.relation != "=" for runtime in description.resources.runtimes):
            description = resolve_runtimes(description, installed(config.arex.controldir))
        check(description, queues=queues or None)
        return description

    return describe


def _fixed_differences(old: Configuration, new: Configuration) -> list[str]:
    pairs: list[tuple[str, object, object]] = [
        ("[arex] controldir", old.arex.controldir, new.arex.controldir),
        ("[arex] pidfile", old.arex.pidfile, new.arex.pidfile),
        ("[arex] wakeupperiod", old.arex.wakeupperiod, new.arex.wakeupperiod),
        ("[arex] logfile", old.arex.logfile, new.arex.logfile),
        ("[lrms] lrms", old.lrms, new.lrms),
        ("[arex/service]", old.service, new.service),
    ]
    return [name for name, before, after in pairs if before != after]


def run(config: Configuration, *, ready: Callable[[], None] = lambda: None) -> None:
    """Run the service in this process until a signal arrives; logging is already set up."""
    # the event loop and the worker threads share the interpreter lock: a short interval keeps wake-ups prompt
    sys.setswitchinterval(0.001)
    os.umask(0o022)

    async def serve() -> None:
        await Service(config, ready=ready).run()

    asyncio.run(serve())
