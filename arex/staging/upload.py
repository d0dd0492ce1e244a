"""A file that goes out: once, and over nothing that is not ours unless its owner says so."""

from __future__ import annotations

import os
from dataclasses import dataclass

from arex.controldir import beneath
from arex.errors import UnsafePath
from arex.staging import journal
from arex.staging.mover import Mover, Place, Trouble, Verdict, from_os
from arex.staging.place import Parcel
from arex.staging.threads import in_thread
from arex.staging.transfer import Failed, Transfer
from arex.staging.url import Url


class _Exists(Trouble):
    """Somebody else's file is at the target."""


@dataclass(eq=False, slots=True)
class Upload(Transfer):
    """One output."""

    async def move(self) -> None:
        fd = await self._open()
        try:
            await self.tried(lambda mover, target: self._send(mover, target, fd), self.shop.delivery, self.ticket)
        finally:
            await in_thread(os.close, fd)
        self.shop.counters.uploads += 1
        self.shop.counters.bytes_out += self.size

    async def _open(self) -> int:
        try:
            return await in_thread(beneath.open_file, self.stage.staging.session, self.entry.pfn)
        except UnsafePath as exc:
            raise Failed(str(exc)) from exc
        except OSError as exc:
            where = f"file:{self.stage.staging.session}{self.entry.pfn}"
            raise Failed(f"Failed checking source replica {where}: {from_os(exc)}") from exc

    async def _send(self, mover: Mover, target: Place, fd: int) -> None:
        assert self.meter is not None
        self.state = "TRANSFERRING"
        known = (self.entry.pfn, journal.mark(str(target.url)))
        overwrite = target.url.overwrite or known in self.stage.journal.sending
        if not overwrite:
            await _look(mover, target)
        if known not in self.stage.journal.sending:
            await self._write_down(journal.sending(self.entry.pfn, str(target.url)))
        await mover.send(target, Parcel(fd, self.meter), overwrite=overwrite)
        await self._write_down(journal.sent(self.entry.pfn, str(target.url)))

    async def _write_down(self, fact: journal.Fact) -> None:
        try:
            await in_thread(self.stage.journal.add, [fact], durable=False)
        except OSError as exc:
            raise from_os(exc) from exc

    def worded(self, url: Url, trouble: Trouble) -> str:
        if isinstance(trouble, _Exists):
            return f"Destination {url.shown} already exists"
        return f"Failed writing to destination: {url.shown} : Failed while writing to destination: {trouble}"


async def _look(mover: Mover, target: Place) -> None:
    """
    Nothing may be at the target.

    Raises:
        Trouble: something is, or nobody can tell.
    """
    try:
        await mover.stat(target)
    except Trouble as trouble:
        if trouble.verdict is Verdict.NOT_FOUND:
            return
        raise
    raise _Exists(Verdict.PERMANENT, "it already exists", cure="remove it, or set overwrite=yes")
