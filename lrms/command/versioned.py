"""A backend whose programs come in several versions, each with a dialect of its own: it asks them once."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod

from arex.clock import Clock
from arex.errors import BatchUnavailable
from arex.process import Completed
from lrms.command.backend import CommandBackend, CommandSettings
from lrms.command.dialect import Call, Dialect

log = logging.getLogger(__name__)


class VersionedBackend(CommandBackend, ABC):
    """
    The port over the dialect that fits the version that is installed.

    The version is asked for at the start. If nobody answers then, it is asked for again before anything else is said,
    and the method that was called has no answer: its next call has.
    """

    def __init__(self, dialect: Dialect, settings: CommandSettings, clock: Clock | None = None) -> None:
        super().__init__(dialect, settings, clock)
        self._known = False

    @abstractmethod
    def asking(self) -> Call:
        """The command that tells the version."""

    @abstractmethod
    def choose(self, done: Completed) -> Dialect:
        """
        The dialect for this version.

        Raises:
            UnreadableOutput: that was no version.
        """

    async def start(self) -> None:
        await super().start()
        try:
            await self._learn()
        except BatchUnavailable as exc:
            log.warning("the version of %s is not known yet: %s", self.name, exc, extra={"event": "lrms.version"})

    async def _learn(self) -> None:
        self._dialect = self.choose(await super()._run(self.asking()))
        self._known = True
        log.info("%s speaks %s", self.name, self._dialect, extra={"event": "lrms.version"})

    async def _run(self, call: Call) -> Completed:
        if not self._known:
            await self._learn()
            raise BatchUnavailable(f"the version of {self.name} has just become known: ask again")
        return await super()._run(call)
