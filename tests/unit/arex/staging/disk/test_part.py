"""A part file holds the first bytes of its file and nothing else, whatever ends an attempt."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from arex.staging.disk import partfile
from arex.staging.disk.partfile import ExpectedContent, Part
from arex.staging.meter import Meter
from arex.staging.movers.base import ErrorKind, FileInfo, TransferError

CONTENT = bytes(range(256)) * 4096


async def begun(_facts: FileInfo) -> None:
    pass


async def opened(path: Path, facts: FileInfo) -> Part:
    part = Part(str(path), ExpectedContent(), Meter("/x", 0.0, lambda: None), begun)
    await part.begin(facts, 0)
    return part


async def test_nothing_follows_a_write_that_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the next attempt would go on after a gap."""
    append = partfile._append
    outcomes: list[OSError | None] = [None, OSError(errno.ENOSPC, "No space left on device")]

    def failing(fd: int, pieces: list[bytes], *, soon: bool) -> None:
        if outcomes and (outcome := outcomes.pop(0)) is not None:
            raise outcome
        append(fd, pieces, soon=soon)

    monkeypatch.setattr(partfile, "_append", failing)
    monkeypatch.setattr(partfile, "_PIECE", 1)
    part = await opened(tmp_path / "part", FileInfo(size=len(CONTENT)))
    for number in range(2):
        await part.write(CONTENT[number * 1000 : (number + 1) * 1000])
    with pytest.raises(TransferError) as caught:
        await part.write(CONTENT[2000:3000])
    await part.stop()

    assert ErrorKind.NO_SPACE is caught.value.verdict
    assert CONTENT[:1000] == (tmp_path / "part").read_bytes()


async def test_another_answer_may_be_written_after_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append = partfile._append
    outcomes: list[OSError | None] = [OSError(errno.EIO, "Input/output error")]

    def failing(fd: int, pieces: list[bytes], *, soon: bool) -> None:
        if outcomes and (outcome := outcomes.pop(0)) is not None:
            raise outcome
        append(fd, pieces, soon=soon)

    monkeypatch.setattr(partfile, "_append", failing)
    part = await opened(tmp_path / "part", FileInfo(size=len(CONTENT)))
    await part.write(CONTENT)
    with pytest.raises(TransferError):
        await part.finish()
    await part.begin(FileInfo(size=len(CONTENT)), 0)
    await part.write(CONTENT)
    await part.stop()

    assert CONTENT == (tmp_path / "part").read_bytes()


async def test_what_came_before_a_cancellation_is_kept(tmp_path: Path) -> None:
    part = await opened(tmp_path / "part", FileInfo(size=len(CONTENT)))

    async def coming() -> None:
        try:
            await part.write(CONTENT[:70_000])
            await asyncio.Event().wait()
        finally:
            await part.stop()

    transfer = asyncio.create_task(coming())
    await asyncio.sleep(0)
    transfer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await transfer
    assert CONTENT[:70_000] == (tmp_path / "part").read_bytes()
