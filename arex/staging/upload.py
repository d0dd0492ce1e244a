"""The upload of one output: once, and without overwriting other files unless the description allows it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from arex.aio import in_thread
from arex.controldir import confined_fs
from arex.errors import UnsafePath
from arex.model.url import Url
from arex.staging.disk import journal
from arex.staging.disk.session import SessionReader
from arex.staging.movers.base import ErrorKind, Mover, RemoteFile, TransferError, from_os
from arex.staging.transfer import Failed, Transfer
from arex.staging.url import may_overwrite


class _Exists(TransferError):
    """The target is another file that already exists."""


@dataclass(eq=False, slots=True)
class Upload(Transfer):
    """One output."""

    async def move(self) -> None:
        fd = await self._open()
        try:
            await self.tried(lambda mover, target: self._send(mover, target, fd), self.context.delivery, self.ticket)
        finally:
            await in_thread(os.close, fd)
        self.context.counters.uploads += 1
        self.context.counters.bytes_out += self.size

    async def _open(self) -> int:
        try:
            return await in_thread(confined_fs.open_file, self.owner.staging.session, self.entry.pfn)
        except UnsafePath as exc:
            raise Failed(str(exc)) from exc
        except OSError as exc:
            where = f"file:{self.owner.staging.session}{self.entry.pfn}"
            raise Failed(f"Failed checking source replica {where}: {from_os(exc)}") from exc

    async def _send(self, mover: Mover, target: RemoteFile, fd: int) -> None:
        assert self.meter is not None
        self.state = "TRANSFERRING"
        known = (self.entry.pfn, journal.url_digest(str(target.url)))
        left = {str(target.url), target.url.shown} & self.context.interrupted
        overwrite = may_overwrite(target.url) or known in self.owner.journal.sending or bool(left)
        if not overwrite:
            await _look(mover, target)
        if known not in self.owner.journal.sending:
            await self._write_down(journal.sending(self.entry.pfn, str(target.url)))
        self.context.interrupted.difference_update(left)  # only the first job that writes there is the one of then
        await mover.send(target, SessionReader(fd, self.meter), overwrite=overwrite)
        await self._write_down(journal.sent(self.entry.pfn, str(target.url)))

    async def _write_down(self, fact: journal.Fact) -> None:
        try:
            await in_thread(self.owner.journal.add, [fact], durable=False)
        except OSError as exc:
            raise from_os(exc) from exc

    def worded(self, url: Url, trouble: TransferError) -> str:
        if isinstance(trouble, _Exists):
            return f"Destination {url.shown} already exists"
        return f"Failed writing to destination: {url.shown} : Failed while writing to destination: {trouble}"


async def _look(mover: Mover, target: RemoteFile) -> None:
    """
    Check that there is nothing at the target.

    Raises:
        TransferError: the target exists, or its existence is unknown.
    """
    try:
        await mover.stat(target)
    except TransferError as trouble:
        if trouble.verdict is ErrorKind.NOT_FOUND:
            return
        raise
    raise _Exists(ErrorKind.PERMANENT, "it already exists", cure="remove it, or set overwrite=yes")
