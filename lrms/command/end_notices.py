"""
End notices: a job script that ends creates a file, named by its tag, in one directory for each session root.

File system events report it if there are any; otherwise the directory is read every second. The file is only a hint:
what counts is the completion record in the run directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from arex.controldir.watch import NameWatch
from arex.model.ids import LocalId
from lrms.jobscript.script import END_NOTICES

log = logging.getLogger(__name__)

_LOOK_S: Final = 1.0
#: Limit on notices that came before the local id was known; the oldest are dropped, and a poll finds their jobs.
_MOST_EARLY: Final = 10_000


class EndNotices:
    """Translates end notices to local ids; may report an end twice."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._files = NoticeFiles([root / END_NOTICES for root in roots])
        self._localids: dict[str, LocalId] = {}  #: by tag, of jobs whose end was not reported yet
        self._early: dict[str, None] = {}  #: tags whose local id is not known yet
        self._ended: Callable[[LocalId], None] = lambda _: None

    async def start(self) -> None:
        """Make the directories; raises OSError."""
        await asyncio.to_thread(self._files.prepare)

    def note(self, tag: str, localid: LocalId) -> None:
        """Note that the job of this tag has this id."""
        self._localids[tag] = localid
        if tag in self._early:
            del self._early[tag]
            self._ended(localid)

    def forget(self, tag: str) -> None:
        self._localids.pop(tag, None)

    async def run(self, ended: Callable[[LocalId], None]) -> None:
        """Call ``ended`` for each job that ends; until cancelled."""
        self._ended = ended
        await self._files.run(self._came)

    def _came(self, tag: str) -> None:
        if (localid := self._localids.get(tag)) is not None:
            self._ended(localid)
            return
        self._early[tag] = None
        if len(self._early) > _MOST_EARLY:
            del self._early[next(iter(self._early))]


class NoticeFiles:
    """The files of end notices, in their directories."""

    def __init__(self, directories: Sequence[Path]) -> None:
        self._directories = directories
        self._logged: set[str] = set()

    def prepare(self) -> None:
        """Make the directories; raises OSError."""
        for directory in self._directories:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def run(self, came: Callable[[str], None]) -> None:
        """Call ``came`` with each name; until cancelled."""
        news = asyncio.Event()
        async with contextlib.AsyncExitStack() as watches:
            for directory in self._directories:
                try:
                    await watches.enter_async_context(NameWatch(directory, news.set))
                except OSError as exc:
                    log.info("no file-system events for %s; arex lists it every second: %s", directory, exc)
            while True:
                news.clear()
                for tag in await asyncio.to_thread(self._collect):
                    came(tag)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await news.wait()

    def _collect(self) -> list[str]:
        """Remove the files that are there, and return their names."""
        names: list[str] = []
        for directory in self._directories:
            try:
                found = os.listdir(directory)  # noqa: PTH208 - names are all that is wanted
            except FileNotFoundError:
                self._make_again(directory)
                continue
            except OSError as exc:
                self._complain(exc)
                continue
            for name in found:
                with contextlib.suppress(OSError):  # already removed, or not a file: the poll finds the job
                    os.unlink(directory / name)  # noqa: PTH108
                names.append(name)
        return names

    def _make_again(self, directory: Path) -> None:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            self._complain(exc)

    def _complain(self, exc: OSError) -> None:
        """Log each reason once: the directory is read every second."""
        if str(exc) not in self._logged:
            self._logged.add(str(exc))
            log.warning(
                "cannot read job-end notifications; falling back to polling: %s", exc, extra={"event": "bell.failed"}
            )
