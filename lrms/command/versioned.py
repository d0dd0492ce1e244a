"""The dialect of a batch system: a fixed one, or one that depends on the installed version."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from arex.process import Completed
from lrms.command.dialect import Call, Dialect

log = logging.getLogger(__name__)

Run = Callable[[Call], Awaitable[Completed]]


class DialectSource(Protocol):
    """The dialect of a batch system, once its version is known."""

    @property
    def first(self) -> Dialect:
        """A dialect for what does not depend on the version: name, environment, job script."""
        ...

    async def dialect(self, run: Run) -> Dialect:
        """
        The dialect to use now; ``run`` runs a command of the batch system.

        Raises:
            BatchUnavailable: it is not known yet.
        """
        ...


class FixedDialect:
    """One dialect for all versions."""

    def __init__(self, dialect: Dialect) -> None:
        self.first = dialect

    async def dialect(self, run: Run) -> Dialect:
        del run
        return self.first


class VersionedDialect:
    """
    The dialect that fits the version that is installed.

    The version is queried once. As long as there is no answer, each operation queries it again before it does
    anything else.
    """

    def __init__(self, first: Dialect, question: Call, choose: Callable[[Completed], Dialect]) -> None:
        """``choose`` raises UnreadableOutput for output without a version."""
        self.first = first
        self.question = question  #: the command that prints the version
        self.choose = choose
        self._known: Dialect | None = None
        self._asking = asyncio.Lock()

    async def dialect(self, run: Run) -> Dialect:
        async with self._asking:
            if self._known is None:
                self._known = self.choose(await run(self.question))
                log.info("%s: using the dialect %s", self.first.name, self._known, extra={"event": "lrms.version"})
            return self._known


_: tuple[type[DialectSource], ...] = (FixedDialect, VersionedDialect)
