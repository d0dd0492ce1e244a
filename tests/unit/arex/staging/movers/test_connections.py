"""What movers do with the connections that their transfers share, when something goes wrong with one."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import asyncssh
import pytest

from arex.model.url import Url
from arex.staging.movers import sftp
from arex.staging.movers.base import ErrorKind, Mover, MoverSettings, RemoteFile, TransferError
from arex.staging.movers.http.mover import HttpMover
from arex.staging.movers.identity import ClientIdentity
from arex.staging.movers.registry import Movers
from arex.staging.movers.s3.mover import S3Mover
from arex.staging.movers.sftp import SftpMover

MEANS = MoverSettings(cert_dir=Path("/nonexistent"))


@pytest.mark.parametrize(
    ("mover", "module", "url"),
    [
        (HttpMover, "http", Url("http", "127.0.0.1:1", "/file")),
        (S3Mover, "s3", Url("s3", "127.0.0.1:1", "/bucket/key")),
    ],
)
async def test_a_failed_look_at_the_authorities_is_not_kept(
    mover: Callable[[MoverSettings], Mover], module: str, url: Url, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory of authorities that can't be read for a moment, or a host without threads."""
    failures: list[Exception] = [PermissionError(13, "Permission denied")]

    def context(_directory: Path, _who: ClientIdentity) -> ssl.SSLContext:
        if failures:
            raise failures.pop()
        return ssl.create_default_context()

    monkeypatch.setattr(f"arex.staging.movers.{module}.mover.context", context)
    made = mover(MEANS)
    for text in ("Permission denied", "no connection"):
        with pytest.raises(TransferError, match=text):
            await made.stat(RemoteFile(url))
    await made.close()


async def test_closing_waits_for_no_connection_that_is_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Event()

    async def connect(*_args: object, **_more: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncssh, "connect", connect)
    made = SftpMover(MEANS)
    waiting = asyncio.create_task(made.stat(RemoteFile(Url("sftp", "host", "/file"))))
    await asked.wait()
    async with asyncio.timeout(30):
        await made.close()
        with pytest.raises(TransferError, match="the transfer was cancelled") as caught:
            await waiting
    assert ErrorKind.TEMPORARY is caught.value.verdict


class Connection:
    """Of asyncssh."""

    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


async def test_a_transfer_that_is_cancelled_at_its_end_leaves_the_connection_to_the_others() -> None:
    connection, begun, go = Connection(), asyncio.Event(), asyncio.Event()
    line = sftp._Line(connection, None)  # type: ignore[arg-type]

    async def close() -> None:
        begun.set()
        await go.wait()

    ending = asyncio.create_task(sftp._in_time(line, close()))
    await begun.wait()
    ending.cancel()
    await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert not connection.aborted


async def test_a_server_that_does_not_answer_the_last_request_loses_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sftp, "_PARTING_S", 0.01)
    connection = Connection()
    await sftp._in_time(sftp._Line(connection, None), asyncio.Event().wait())  # type: ignore[arg-type]
    assert connection.aborted


closed: list[str] = []


class Broken:
    """A mover that can't be closed."""

    def __init__(self, _means: MoverSettings) -> None:
        pass

    async def close(self) -> None:
        closed.append(type(self).__name__)
        raise ZeroDivisionError


class AlsoBroken(Broken):
    pass


async def test_a_mover_that_can_not_be_closed_keeps_no_other_one_open() -> None:
    closed.clear()
    movers = Movers(MEANS, {"a": f"{__name__}:Broken", "b": f"{__name__}:AlsoBroken"})
    for scheme in "ab":
        await movers.of(scheme)
    with pytest.raises(ZeroDivisionError):
        await movers.close()
    assert {"Broken", "AlsoBroken"} == set(closed)
