"""
Hearing of ends at once: a job script that ends leaves a file, named by its tag, in one directory per session root.

Events of the file system tell where they arrive; a look into the directory every second tells everywhere else. The
file is a hint and nothing more: the completion record in the run directory is what counts.
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
from lrms.jobscript.script import END_NOTICES

log = logging.getLogger(__name__)

_LOOK_S: Final = 1.0


class EndNotices:
    """Calls ``rang`` with the tag of each attempt whose script has ended; may call twice."""

    def __init__(self, roots: Sequence[Path], rang: Callable[[str], None]) -> None:
        self._directories = [root / END_NOTICES for root in roots]
        self._rang = rang
        self._told: set[str] = set()

    def prepare(self) -> None:
        """Make the directories; raises OSError."""
        for directory in self._directories:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def run(self) -> None:
        """Until cancelled."""
        news = asyncio.Event()
        async with contextlib.AsyncExitStack() as watches:
            for directory in self._directories:
                try:
                    await watches.enter_async_context(NameWatch(directory, news.set))
                except OSError as exc:
                    log.info("no events from %s: it is looked at every second (%s)", directory, exc)
            while True:
                news.clear()
                for tag in await asyncio.to_thread(self._collect):
                    self._rang(tag)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await news.wait()

    def _made_again(self, directory: Path) -> None:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            self._complain(exc)

    def _complain(self, exc: OSError) -> None:
        """Once for each reason: it is looked every second."""
        if str(exc) not in self._told:
            self._told.add(str(exc))
            log.warning("ends can't be heard of, polls will see them: %s", exc, extra={"event": "bell.failed"})

    def _collect(self) -> list[str]:
        """The names that are there; each is taken away."""
        names: list[str] = []
        for directory in self._directories:
            try:
                found = os.listdir(directory)  # noqa: PTH208 - names are all that is wanted
            except FileNotFoundError:
                self._made_again(directory)
                continue
            except OSError as exc:
                self._complain(exc)
                continue
            for name in found:
                with contextlib.suppress(OSError):  # taken by somebody else, or no file: the poll finds the job
                    os.unlink(directory / name)  # noqa: PTH108
                names.append(name)
        return names
