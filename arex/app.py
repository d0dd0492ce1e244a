"""Composition root: creates the parts of the service from a configuration and connects them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

from arex import daemon, logs, reload
from arex.aio import start_threads
from arex.clock import Clock, SystemClock
from arex.config.load import load
from arex.config.model import Configuration
from arex.config.runtime import runtime_cfg
from arex.config.values import FixDirectories
from arex.controldir import codec
from arex.controldir.delegations import store_directory, user_name
from arex.controldir.fifo import Fifo
from arex.controldir.layout import LAYOUTS
from arex.controldir.session import root_objection, root_warning
from arex.controldir.store import ControlDir
from arex.controldir.watch import Mode, Watch
from arex.errors import ConfigError, ServiceError, ServiceLost
from arex.gm.batch.client import BatchClient
from arex.gm.batch.orphans import OrphanSearch
from arex.gm.batch.polling import PollingPolicy
from arex.gm.cleanup import Leftovers, sweep_temporary
from arex.gm.context import Services, Settings
from arex.gm.credentials import Credentials
from arex.gm.limits import Limits
from arex.gm.manager import GridManager
from arex.gm.notices.queue import Notices
from arex.gm.publishing import joblog
from arex.gm.publishing.status import ServiceFacts, StatusWriter
from arex.gm.publishing.waiting import WaitingWriter
from arex.gm.quota import Quotas
from arex.gm.turns.scanner import ScanIntervals
from arex.jobdesc import DescriptionDialect, JobDescription, parse
from arex.jobdesc.check import check
from arex.jobdesc.software import resolve_runtimes
from arex.model.ids import JobId
from arex.ports import Backend, Capacity, Stager
from arex.rte import installed
from arex.staging.disk.cleaning import Cleaner
from arex.staging.engine import Engine
from infoprovider.publish import InfoPublisher
from lrms import load as load_backend
from lrms.environment import outside

log = logging.getLogger(__name__)

#: Interval of looking whether the lock of the control directory is still ours, in seconds.
_LOCK_S = 2.0
#: How long the control directory may be gone, for example with a server that restarts, in seconds.
_GONE_S = 600.0
#: Interval of looking whether events can still arrive, in seconds.
_WATCH_S = 30.0
#: Threads for the turns of jobs, files and transfers. They exist from the start, as a job may take all processes of the
#: account later.
_THREADS = 12
#: Delay in seconds of the first poll after a submission, for backends that can be polled without a command.
_FIRST_POLL_LOCAL_S = 0.1
_FIRST_POLL_REMOTE_S = 1.0
_BATCH = 200
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
        self._reload: Mapping[str, object] = {}  #: what came of the last SIGHUP, for the status file

    async def run(self) -> None:
        """
        Run until ``stop`` is called.

        Raises:
            AlreadyRunning, ControlDirError, ConfigError, ServiceError: the service cannot start.
        """
        # otherwise SIGHUP would end this process while it starts; SIGTERM does, because a start may take long
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reread.set)
        config = self._config
        store = self._store
        fix = config.arex.fixdirectories
        await asyncio.to_thread(
            store.prepare, user_name(), create=fix is not FixDirectories.NO, correct=fix is FixDirectories.YES
        )
        await asyncio.to_thread(_session_roots, config)
        await asyncio.to_thread(self._lock.take)
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
        services.clock_check.resume(await asyncio.to_thread(_last_seen, store))
        clients: dict[str, BatchClient] = {}
        manager: GridManager | None = None

        def look(job: JobId) -> None:
            if manager is not None:  # the first scan of the manager will find the job
                manager.look(job)

        watch = Watch(store.layout, look)
        accepting_s = await self._watch(watch)
        intervals = ScanIntervals(wakeup_s=config.arex.wakeupperiod.total_seconds(), accepting_s=accepting_s)
        manager = GridManager(services, clients, self._stager, intervals)
        keeper = services.keeper
        for name, backend in backends.items():
            pace = _pace(config, name.lower(), capacities[name.lower()])
            clients[name.lower()] = BatchClient(backend, self._clock, pace, manager.answer, manager.reported, keeper)
        publisher = InfoPublisher(config, self._clock)
        notices = Notices(services, outside)
        services.entered = notices.add
        watched = Credentials(services, config.service.credential_warning)
        cleaner = Cleaner(config, self._clock, is_live=store.is_live)
        orphans = OrphanSearch(store, clients, self._clock)
        status = StatusWriter(
            services, manager, clients, self._stager,
            lambda: ServiceFacts(
                config=self._config, wakeups=self._wakeups, orphans=orphans.count, reload=self._reload
            ),
        )  # fmt: skip
        waiting = WaitingWriter(services, manager, clients, self._stager)
        parts: dict[str, Callable[[], Awaitable[None]]] = {
            "lock": self._guarding_lock,
            "grid manager": manager.run,
            "stager": self._stager.run,
            "cache cleaner": cleaner.run,
            "credentials": lambda: watched.run(lambda: manager.jobs, manager.look),
            "quotas": lambda: quotas.run(lambda: manager.jobs, manager.look),
            "infoprovider": lambda: publisher.run(lambda: manager.counts, store.root),
            "status file": status.run,
            "reasons of waiting jobs": waiting.run,
            "reload": lambda: self._reloading(services, manager, status),
            "orphans": lambda: orphans.run(manager.scanned),
            "watch": lambda: self._keeping_watch(watch, manager),
            "mail and notify_command": notices.run,
            "leftovers": Leftovers(store, roots, self._clock).run,
            "temporary files": lambda: sweep_temporary(store, self._clock, intervals.wakeup_s),
            **{f"batch system {name}": client.run for name, client in clients.items()},
        }
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(keeper.keep(name, work), name=name) for name, work in parts.items()]
                fifo.listen(manager.heard, manager.rescan)
                await asyncio.to_thread(joblog.prepare, config.arex.joblog, keeper)
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
            await status.stopped()
        finally:
            await watch.stop()
            await self._stager.close()

    async def _guarding_lock(self) -> None:
        """
        Raises:
            ServiceLost: another daemon took the lock, or the control directory was not there for ten minutes.
        """
        gone_since: float | None = None
        while True:
            await self._clock.sleep(_LOCK_S)
            now = self._clock.monotonic()
            if await asyncio.to_thread(self._lock.is_in_place):
                gone_since = None
            elif gone_since is None:
                gone_since = now
                log.warning("the control directory is gone: %s", self._store.root, extra={"event": "service.lost"})
            elif now - gone_since > _GONE_S:
                raise ServiceLost(
                    f"the control directory {self._store.root} was not there for {_GONE_S / 60:g} minutes"
                )

    async def _watch(self, watch: Watch) -> float | None:
        """Start to watch; returns how often ``accepting/`` has to be scanned in seconds, None if events arrive."""
        service = self._config.service
        mode, why = await watch.start(str(service.watch))
        self._wakeups = f"{mode}: {why}"
        return service.scan_period.total_seconds() if mode is Mode.POLL else None

    async def _keeping_watch(self, watch: Watch, manager: GridManager) -> None:
        """Watch again if events stop to arrive, for example because the directory was replaced."""
        while True:
            await self._clock.sleep(_WATCH_S)
            if not await watch.works():
                await watch.stop()
                manager.scanner.poll_accepting(await self._watch(watch))
                manager.rescan()
                log.warning(
                    "events stopped to arrive; new jobs are now detected by %s",
                    self._wakeups,
                    extra={"event": "watch.again"},
                )

    def stop(self) -> None:
        """Stop the service: active writes are completed first."""
        self._stop.set()

    # --- signals ------------------------------------------------------------------------------------------------

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

    async def _reloading(self, services: Services, manager: GridManager, status: StatusWriter) -> None:
        """
        Reload the configuration on SIGHUP: limits, lifetimes, queues and the log level change at once, the rest at
        restart.
        """
        while True:
            await self._reread.wait()
            self._reread.clear()
            count = int(str(self._reload.get("count", 0))) + 1
            answer: dict[str, object] = {"count": count, "at": codec.iso_time(self._clock.now())}
            try:
                config, warnings = await asyncio.to_thread(load, self._config.source, os.environ)
            except ConfigError as exc:
                refused = {"event": "config.refused"}
                log.error("the new configuration is invalid, keeping the old one: %s", exc, extra=refused)  # noqa: TRY400
                self._reload = {**answer, "accepted": False, "faults": [str(fault) for fault in exc.faults]}
                status.look()
                continue
            for fault in warnings:
                log.warning("%s", fault, extra={"event": "config.warning"})
            later = self._take_over(config, services)
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
            self._reload = {**answer, "accepted": True, "warnings": [str(each) for each in warnings], "later": later}
            status.look()

    def _take_over(self, config: Configuration, services: Services) -> list[str]:
        """Apply a new configuration; returns the options that change only at the next start."""
        later = reload.needs_restart(self._config, config)
        for option in later:
            log.warning("the change of %s needs a restart of the service", option, extra={"event": "config.later"})
        services.limits.change(config.arex.maxjobs)
        logging.getLogger().setLevel(logs.LEVELS[int(config.arex.loglevel)])
        self._config = reload.merged(self._config, config)
        services.settings = _settings(self._config, services.settings.lrms)
        services.describe = _describer(self._config)
        return later


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


def _last_seen(store: ControlDir) -> datetime | None:
    """When a service wrote its status here for the last time; None if none did, or if the file is unusable."""
    try:
        last = daemon.read_snapshot(store.root)
        return None if last is None else datetime.fromisoformat(last.updated)
    except (OSError, ValueError, ServiceError):
        return None


def _session_roots(config: Configuration) -> None:
    for root in (entry.path for entry in config.arex.sessiondir):
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise ServiceError(f"cannot create the session root {root}: {exc.strerror}") from exc
        if objection := root_objection(root):
            raise ServiceError(objection)
        if warning := root_warning(root):
            log.warning("%s", warning, extra={"event": "session.shared"})


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
        sendmail=config.service.sendmail,
        notify_command=config.service.notify_command,
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


def run(config: Configuration, *, ready: Callable[[], None] = lambda: None) -> None:
    """Run the service in this process until a signal arrives; logging is already set up."""
    # the event loop and the worker threads share the interpreter lock: a short interval keeps wake-ups prompt
    sys.setswitchinterval(0.001)
    os.umask(0o022)

    if sys.version_info < (3, 12):
        # the default of this version starts a thread for each command
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())

    async def serve() -> None:
        try:
            asyncio.get_running_loop().set_default_executor(start_threads(_THREADS))
        except RuntimeError as exc:
            raise ServiceError(f"cannot start {_THREADS} threads: {exc}; see ulimit -u") from exc
        service = await asyncio.to_thread(Service, config, ready=ready)  # it reads files
        await service.run()

    asyncio.run(serve())
