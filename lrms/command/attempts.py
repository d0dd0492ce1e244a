"""Finding attempts in the batch system, after an answer was lost or to list all jobs of this service."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from arex.model.ids import JobId, LocalId, Tag, is_job_id
from arex.model.report import Phase
from arex.ports import Submission
from lrms.attempt import traces
from lrms.command import arrays
from lrms.command.commands import Commands
from lrms.command.dialect import Dialect, Seen, is_alive, is_tag
from lrms.command.transport import FileTransport

log = logging.getLogger(__name__)

#: A tag, and the index in the array of this tag.
_Key = tuple[str, int | None]


class Attempts:
    """Looks attempts up by start marker, by what the transport knows, and by tag."""

    def __init__(self, commands: Commands, transport: FileTransport, roots: Sequence[Path]) -> None:
        self._commands = commands
        self._transport = transport
        self._roots = roots

    async def find(self, batch: Sequence[Submission]) -> dict[Tag, LocalId]:
        """See ``arex.ports.Backend.find``."""
        left = await asyncio.to_thread(lambda: {each.tag: traces.traces(each.rundir) for each in batch})
        found = {
            tag: self._commands.first.on_site_of(LocalId(trace.localid)) for tag, trace in left.items() if trace.localid
        }
        if len(found) < len(batch):
            gone = {tag for tag, trace in left.items() if trace.submitted is None}
            found |= await self._look_up([each for each in batch if each.tag not in found], gone)
        found |= await self._transport.taken(batch)
        for each in batch:
            if each.tag in found:
                self._transport.note(each, found[each.tag])
        return found

    async def _look_up(self, hidden: Sequence[Submission], gone: Collection[Tag]) -> dict[Tag, LocalId]:
        """
        Find attempts by tag. If the batch system has an attempt twice, the other copies are cancelled.

        A copy that has ended without a start marker never ran. It is safe to submit it again, so it does not count,
        unless the attempt is among ``gone``, those without a job script: a payload that ran has removed it.
        """
        dialect = await self._commands.dialect()
        listing = await self._commands.listing()
        copies, ended = _copies(dialect, listing, alive=True), _copies(dialect, listing, alive=False)
        members = await asyncio.to_thread(arrays.memberships, dialect, hidden)
        found: dict[Tag, LocalId] = {}
        for each in hidden:
            keys: list[_Key] = [(each.tag, None), *((one.tag, one.index) for one in members.get(each.tag, ()))]
            ids = [localid for key in keys for localid in copies.get(key, ())]
            # running copies first, since one of them has the start marker; then the oldest
            ids.sort(key=lambda localid: (listing[localid].phase in {Phase.QUEUED, Phase.HELD}, _age(localid)))
            if not ids and each.tag in gone:
                ids = sorted((localid for key in keys for localid in ended.get(key, ())), key=_age)[:1]
            if ids:
                found[each.tag] = ids[0]
                await self._cancel_copies(dialect, each.tag, ids[1:])
        return found

    async def _cancel_copies(self, dialect: Dialect, tag: Tag, ids: Sequence[LocalId]) -> None:
        if ids:
            log.warning(
                "the batch system has attempt %s twice; cancelling %s", tag, " ".join(ids), extra={"event": "twin"}
            )
            await self._commands.run(dialect.cancel(ids))

    async def tagged(self) -> dict[LocalId, JobId]:
        """See ``arex.ports.Backend.tagged``."""
        dialect = await self._commands.dialect()
        listing = await self._commands.listing()
        alive = {localid: seen.tag for localid, seen in listing.items() if seen.tag and is_alive(seen)}
        return await asyncio.to_thread(self._owners, dialect, alive)

    def _owners(self, dialect: Dialect, tags: Mapping[LocalId, str]) -> dict[LocalId, JobId]:
        owners: dict[LocalId, JobId] = {}
        for localid, tag in tags.items():
            index = dialect.index(localid)
            job = arrays.owner(self._roots, dialect.array, tag, index) or tag.rpartition("-")[0]
            if is_job_id(job) and is_tag(tag):
                owners[localid] = JobId(job)
        return owners


def _copies(dialect: Dialect, listing: Mapping[LocalId, Seen], *, alive: bool) -> dict[_Key, list[LocalId]]:
    """The jobs of each tag that have not ended, or those that have; a cluster (HTCondor) has a tag for each job."""
    copies: dict[_Key, list[LocalId]] = {}
    for localid, seen in listing.items():
        if seen.tag and is_alive(seen) is alive:
            index = None if dialect.clusters else dialect.index(localid)
            copies.setdefault((seen.tag, index), []).append(localid)
    return copies


def _age(localid: LocalId) -> list[int]:
    """Local ids count upwards: the lowest number came first."""
    return [int(number) for number in re.findall(r"\d+", localid)]
