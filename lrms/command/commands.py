"""The operations of a batch system on many jobs: a dialect and a runner together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from arex.errors import BatchUnavailable, UnreadableOutput
from arex.model.ids import LocalId
from arex.process import Completed
from lrms.command.dialect import Call, Dialect, Seen
from lrms.command.runner import Runner
from lrms.command.versioned import DialectSource

log = logging.getLogger(__name__)

Parsed = TypeVar("Parsed")

#: Largest number of ids in one command.
_TOGETHER: Final = 500


class Commands:
    """Any method raises ``BatchUnavailable`` if there is no answer, or while the dialect is not known."""

    def __init__(self, source: DialectSource, runner: Runner) -> None:
        self._source = source
        self._runner = runner
        self.name = source.first.name
        self.first = source.first  #: for what does not depend on the version

    async def dialect(self) -> Dialect:
        """The one to use now."""
        return await self._source.dialect(self._runner.run)

    async def run(self, call: Call) -> Completed:
        return await self._runner.run(call)

    async def listing(self, ids: Collection[LocalId] = ()) -> Mapping[LocalId, Seen]:
        """All jobs of this account that the batch system lists; the caller needs those in ``ids``."""
        dialect = await self.dialect()
        return _parsed(dialect.listed, await self._runner.query(dialect.listing(ids)))

    async def accounting(self, ids: Sequence[LocalId]) -> Mapping[LocalId, Seen]:
        """The accounting records of these jobs; empty if the accounting fails, since other sources remain."""
        dialect = await self.dialect()
        accounts: dict[LocalId, Seen] = {}
        for part in _parts(dialect, ids):
            call = dialect.accounting(part)
            if call is None:
                break
            try:
                accounts |= _parsed(dialect.accounted, await self._runner.query(call))
            except BatchUnavailable as exc:
                log.info("the accounting of %s does not answer: %s", self.name, exc, extra={"event": "account.down"})
                break
        return accounts

    async def cancel(self, ids: Sequence[LocalId]) -> dict[LocalId, str]:
        """Cancel jobs; returns the refused ones with the reason, as ``hold`` and ``release`` do."""
        dialect = await self.dialect()
        return await self._act(dialect, dialect.cancel, ids)

    async def hold(self, ids: Sequence[LocalId]) -> dict[LocalId, str]:
        dialect = await self.dialect()
        return await self._act(dialect, dialect.hold, ids)

    async def release(self, ids: Sequence[LocalId]) -> dict[LocalId, str]:
        dialect = await self.dialect()
        return await self._act(dialect, dialect.release, ids)

    async def _act(
        self, dialect: Dialect, build: Callable[[Sequence[LocalId]], Call], ids: Sequence[LocalId]
    ) -> dict[LocalId, str]:
        refused: dict[LocalId, str] = {}
        for part in _parts(dialect, ids):
            refused |= _parsed(partial(dialect.refused, ids=part), await self._runner.run(build(part)))
        return refused


def _parsed(parse: Callable[[Completed], Mapping[LocalId, Parsed]], done: Completed) -> Mapping[LocalId, Parsed]:
    """
    What a parser makes of an output. A parser can have faults; for its caller, that is no answer.

    Raises:
        BatchUnavailable: the output is no answer.
    """
    try:
        return parse(done)
    except BatchUnavailable:
        raise
    except Exception as exc:
        log.exception("internal error in parsing the output of %s", done.argv[0], extra={"event": "lrms.bug"})
        raise UnreadableOutput(done.argv, done.code, done.out or done.err) from exc


def _parts(dialect: Dialect, ids: Sequence[LocalId]) -> Iterator[list[LocalId]]:
    """The ids, split so that each part fits into one command."""
    sites: dict[str, list[LocalId]] = {}
    for localid in ids:
        sites.setdefault(dialect.site(localid), []).append(localid)
    for together in sites.values():
        for first in range(0, len(together), _TOGETHER):
            yield together[first : first + _TOGETHER]
