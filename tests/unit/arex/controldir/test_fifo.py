from __future__ import annotations

import asyncio
import errno
import os
import re
import stat
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arex.controldir.fifo import NAME, Fifo, Messages, ring
from arex.errors import AlreadyRunning, ControlDirError
from arex.model.ids import JobId, is_job_id
from tests.processes import ready


@pytest.mark.parametrize(
    ("data", "heard"),
    [
        (b"", []),
        (b"abc\0", ["abc"]),
        (b"abc\0def\0", ["abc", "def"]),
        (b"\0", [None]),
        (b"abc\n", ["abc"]),
        (b"abc\ndef\0", ["abc", "def"]),
        (b"a b\0", [None]),
        (b"../x\0", [None]),
        (b"\xff\0", [None]),
        (b"abc", []),
        (b"x" * 64 + b"\0", [None]),
    ],
)
def test_a_message_is_an_id_and_anything_else_asks_for_a_scan(data: bytes, heard: list[str | None]) -> None:
    """A line break ends one too: it must not poison the id after it."""
    assert heard == Messages().feed(data)


def test_a_message_may_come_in_pieces() -> None:
    messages = Messages()

    assert [[], [], ["abc"], ["d"]] == [messages.feed(piece) for piece in (b"a", b"b", b"c\0d", b"\0")]


def test_a_message_without_end_is_dropped() -> None:
    messages = Messages()
    for _ in range(1000):
        messages.feed(b"x" * 50)

    assert len(messages._rest) <= 64
    messages.feed(b"\0")
    assert ["abc"] == messages.feed(b"abc\0")


@given(st.binary(max_size=200), st.integers(1, 20))
def test_no_bytes_make_a_wrong_id(data: bytes, size: int) -> None:
    messages = Messages()
    for at in range(0, len(data), size):
        for job in messages.feed(data[at : at + size]):
            assert job is None or is_job_id(job)


def test_a_message_without_a_daemon_is_not_an_error(tmp_path: Path) -> None:
    assert not ring(tmp_path, JobId("a"))
    os.mkfifo(tmp_path / NAME)
    assert not ring(tmp_path, JobId("a"))


def test_a_daemon_that_ends_just_now_is_not_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job of the client exists already: it must not see an error."""
    os.mkfifo(tmp_path / "gm.fifo")
    reader = os.open(tmp_path / "gm.fifo", os.O_RDONLY | os.O_NONBLOCK)
    write = os.write

    def late(fd: int, data: bytes) -> int:
        os.close(reader)
        return write(fd, data)

    monkeypatch.setattr(os, "write", late)

    assert not ring(tmp_path, JobId("job"))


@pytest.mark.parametrize("kind", ["file", "link", "directory"])
def test_ringing_at_something_else_writes_nothing(tmp_path: Path, kind: str) -> None:
    (tmp_path / "target").write_text("precious")
    match kind:
        case "file":
            (tmp_path / NAME).write_text("precious")
        case "link":
            (tmp_path / NAME).symlink_to(tmp_path / "target")
        case _:
            (tmp_path / NAME).mkdir()

    assert not ring(tmp_path, JobId("a"))
    assert "precious" == (tmp_path / "target").read_text()
    assert kind != "file" or (tmp_path / NAME).read_text() == "precious"


@pytest.mark.parametrize("call", ["open", "write"])
@pytest.mark.parametrize(
    "why", [errno.EISDIR, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENXIO, errno.EACCES, errno.ENOMEM]
)
def test_a_pipe_that_fails_is_not_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: int, call: str
) -> None:
    os.mkfifo(tmp_path / NAME)
    reader = os.open(tmp_path / NAME, os.O_RDONLY | os.O_NONBLOCK)

    def fail(*_: object, **__: object) -> int:
        raise OSError(why, os.strerror(why))

    with monkeypatch.context() as broken:
        broken.setattr(os, call, fail)
        assert not ring(tmp_path, JobId("a"))
    os.close(reader)


@pytest.fixture
async def fifo(tmp_path: Path) -> AsyncIterator[Fifo]:
    fifo = Fifo(tmp_path)
    await asyncio.to_thread(fifo.open)
    yield fifo
    fifo.close()


async def test_rings_are_heard(fifo: Fifo, tmp_path: Path) -> None:
    heard: asyncio.Queue[JobId | None] = asyncio.Queue()
    fifo.listen(heard.put_nowait, lambda: heard.put_nowait(None))

    assert await asyncio.to_thread(ring, tmp_path, JobId("abc"))
    assert await asyncio.to_thread(ring, tmp_path)
    assert [JobId("abc"), None] == [await heard.get(), await heard.get()]


async def test_a_full_pipe_holds_no_client(fifo: Fifo, tmp_path: Path) -> None:
    def ring_often() -> bool:
        return all(ring(tmp_path, JobId("x" * 54)) for _ in range(3000))

    assert await asyncio.to_thread(ring_often)
    assert fifo._fd >= 0


async def test_a_second_reader_is_refused(fifo: Fifo, tmp_path: Path) -> None:
    with pytest.raises(AlreadyRunning, match="another daemon reads"):
        await asyncio.to_thread(Fifo(tmp_path).open)
    assert fifo._fd >= 0


@contextmanager
def reading(path: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has the pipe open, as after ``exec 3<>gm.fifo``."""
    os.mkfifo(path, 0o600)
    command = ["/bin/sh", "-c", 'exec 3<>"$1"; echo open; read _', "sh", str(path)]
    with ready(command, "open", **environment) as process:
        yield process


async def test_a_pipe_that_a_job_reads_is_replaced(tmp_path: Path) -> None:
    fifo = Fifo(tmp_path)
    with reading(tmp_path / NAME, GRID_GLOBAL_JOBID="x"):
        await asyncio.to_thread(fifo.open)
        heard: asyncio.Queue[JobId | None] = asyncio.Queue()
        fifo.listen(heard.put_nowait, lambda: heard.put_nowait(None))

        assert await asyncio.to_thread(ring, tmp_path, JobId("abc"))
        assert JobId("abc") == await heard.get()
        assert [NAME] == os.listdir(tmp_path)
        assert 0o600 == stat.S_IMODE((tmp_path / NAME).stat().st_mode)
        fifo.close()


async def test_a_reader_that_is_no_job_is_refused_and_named(tmp_path: Path) -> None:
    with reading(tmp_path / NAME) as other, pytest.raises(AlreadyRunning) as raised:
        await asyncio.to_thread(Fifo(tmp_path).open)

    assert re.search(rf"stop it first \(pid {other.pid}, sh\)", str(raised.value))


async def test_the_pipe_is_private_and_used_again(tmp_path: Path) -> None:
    for _ in range(2):
        fifo = Fifo(tmp_path)
        await asyncio.to_thread(fifo.open)
        fifo.close()

    assert 0o600 == stat.S_IMODE((tmp_path / NAME).stat().st_mode)


@pytest.mark.parametrize("kind", ["file", "link", "directory"])
def test_something_else_in_its_place_is_named(tmp_path: Path, kind: str) -> None:
    match kind:
        case "file":
            (tmp_path / NAME).touch()
        case "link":
            os.mkfifo(tmp_path / "pipe")
            (tmp_path / NAME).symlink_to("pipe")
        case _:
            (tmp_path / NAME).mkdir()

    with pytest.raises(ControlDirError, match="is not a pipe"):
        Fifo(tmp_path).open()
