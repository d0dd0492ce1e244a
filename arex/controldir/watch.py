"""
File-system events in ``accepting/``, for clients that only write files. Each event becomes a wake-up for a job id.

Events only reduce delays; the periodic scan finds everything. Network file systems do not report events of other hosts,
so events are used only if a test file created by another process is noticed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

from watchdog.events import (
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from arex import process
from arex.controldir.layout import Layout, Place
from arex.model.ids import JobId

log = logging.getLogger(__name__)

_NETWORK: Final = frozenset(
    {
        "nfs",
        "nfs4",
        "lustre",
        "gpfs",
        "beegfs",
        "cifs",
        "smb3",
        "afs",
        "ceph",
        "glusterfs",
        "fuse.glusterfs",
        "fuse.sshfs",
        "9p",
    }
)
_PROBE: Final = ".arex-probe"
_PROBE_S: Final = 2.0
#: Delay after the event for a mark, in seconds. ARC's clients set the mode of a mark after creating it, and fail if the
#: mark has been removed meanwhile. Clients that write to the pipe do so afterwards, so they need no delay.
_MARK_S: Final = 0.05


class Mode(StrEnum):
    EVENTS = "events"
    POLL = "poll"


class Watch:
    """Watches one directory and calls back on the event loop."""

    def __init__(self, layout: Layout, look: Callable[[JobId], None]) -> None:
        self._layout = layout
        self._look = look
        self._directory = layout.root / Place.ACCEPTING
        self._observer: BaseObserver | None = None
        self._probed = asyncio.Event()
        self._probe_path = self._directory / _PROBE
        self._probe_numbers = itertools.count()

    async def start(self, wanted: str) -> tuple[Mode, str]:
        """
        Start to watch; ``wanted`` is ``auto``, ``events`` or ``poll``.

        Returns:
            the mode in use, and the reason.
        """
        if wanted == Mode.POLL:
            return Mode.POLL, "the configuration says so"
        kind = await asyncio.to_thread(filesystem_of, self._directory)
        if kind in _NETWORK and wanted != Mode.EVENTS:
            return Mode.POLL, f"{self._directory} is on {kind}, where events of other hosts do not arrive"
        try:
            await asyncio.to_thread(self._begin, asyncio.get_running_loop())
        except (OSError, RuntimeError) as exc:  # no inotify instance, watch or thread left for this account
            await self.stop()
            return Mode.POLL, f"cannot watch the directory: {getattr(exc, 'strerror', None) or exc}"
        if await self._probe():
            return Mode.EVENTS, f"a file made by another process was seen at once ({kind})"
        await self.stop()
        return Mode.POLL, f"a file made by another process was not seen within {_PROBE_S:g} s ({kind})"

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        handler = _Handler(lambda name: loop.call_soon_threadsafe(self._seen, name))
        self._observer = Observer()
        self._observer.schedule(
            handler, str(self._directory), event_filter=[FileCreatedEvent, FileMovedEvent, FileClosedEvent]
        )
        self._observer.start()

    async def works(self) -> bool:
        """
        Whether events still arrive, if they did: not if the thread has ended, or the directory was replaced.

        A file that cannot be made, for example on a full disk, proves nothing.
        """
        if self._observer is None:
            return True
        path = self._next_probe()
        try:
            await asyncio.to_thread(_make_and_remove, path)
            async with asyncio.timeout(_PROBE_S):
                await self._probed.wait()
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def _next_probe(self) -> Path:
        # each probe has a different name: a late event for the one before it proves nothing
        self._probed.clear()
        self._probe_path = self._probe_path.with_name(f"{_PROBE}.{os.getpid()}.{next(self._probe_numbers)}")
        return self._probe_path

    async def _probe(self) -> bool:
        path = self._next_probe()
        try:
            await process.run(["/bin/sh", "-c", ': > "$1" && rm -f "$1"', "sh", str(path)], timeout=10)
            async with asyncio.timeout(_PROBE_S):
                await self._probed.wait()
        except TimeoutError:
            return False
        return True

    def _seen(self, name: str) -> None:
        if name.startswith(_PROBE):
            if name == self._probe_path.name:
                self._probed.set()
        elif (job := self._layout.job_of_status(name)) is not None:
            self._look(job)
        elif (mark := self._layout.job_of_mark(name)) is not None:
            asyncio.get_running_loop().call_later(_MARK_S, self._look, mark[0])

    async def stop(self) -> None:
        observer, self._observer = self._observer, None
        if observer is not None and observer.is_alive():
            await asyncio.to_thread(_end, observer)


def _make_and_remove(path: Path) -> None:
    path.touch(mode=0o600)
    path.unlink(missing_ok=True)


def _end(observer: BaseObserver) -> None:
    # an event that arrives during the stop causes an error message of watchdog that can be ignored
    logging.getLogger("watchdog.observers.inotify").setLevel(logging.CRITICAL)
    observer.stop()
    observer.join()


class NameWatch:
    """
    Calls back when a file appears in a directory. Use it as an asynchronous context manager.

    Raises:
        OSError: the directory cannot be watched.
    """

    def __init__(self, directory: Path, ring: Callable[[], None]) -> None:
        self._directory = directory
        self._ring = ring
        self._observer: BaseObserver | None = None

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._begin, asyncio.get_running_loop())
        return self

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        def seen(_name: str) -> None:
            with contextlib.suppress(RuntimeError):  # the event loop has already been closed
                loop.call_soon_threadsafe(self._ring)

        observer = Observer()
        observer.schedule(_Handler(seen), str(self._directory), event_filter=[FileCreatedEvent, FileMovedEvent])
        observer.start()
        self._observer = observer

    async def __aexit__(self, *_exc: object) -> None:
        if self._observer is not None:
            await asyncio.to_thread(_end, self._observer)


class _Handler(FileSystemEventHandler):
    def __init__(self, seen: Callable[[str], object]) -> None:
        self._seen = seen

    def on_any_event(self, event: FileSystemEvent) -> None:
        # renaming a temporary file is one event; the final name is its destination
        path = event.dest_path or event.src_path
        self._seen(os.path.basename(os.fsdecode(path)))


def filesystem_of(path: Path) -> str:
    """Type of the file system of ``path``, as named in /proc/self/mountinfo."""
    wanted = os.path.realpath(path)
    best, kind = "", "unknown"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        for line in mounts:
            left, _, right = line.partition(" - ")
            point = left.split(" ")[4].replace("\\040", " ")
            if (wanted == point or wanted.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
                best, kind = point, right.split(" ")[0]
    return kind
