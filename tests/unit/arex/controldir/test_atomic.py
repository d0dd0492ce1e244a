from __future__ import annotations

import errno
import fcntl
import os
import resource
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from arex.controldir import atomic
from arex.errors import CorruptFile

Write = Callable[[str, bytes], None]
WRITERS: list[Write] = [atomic.put, atomic.rewrite, atomic.put_line]


def _ids(function: object) -> str:
    return getattr(function, "__name__", "")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "job.x.local"


@pytest.mark.parametrize("write", WRITERS, ids=_ids)
@pytest.mark.parametrize("before", [None, b"", b"old", b"a much longer content\nin lines\n", b"x" * 9000])
@pytest.mark.parametrize("data", [b"", b"new", b"n" * 5000])
def test_what_was_written_is_what_is_there(path: Path, write: Write, before: bytes | None, data: bytes) -> None:
    if before is not None:
        path.write_bytes(before)

    write(str(path), data)

    assert data == path.read_bytes()
    assert [path.name] == os.listdir(path.parent)


@pytest.mark.parametrize("write", [*WRITERS, atomic.append], ids=_ids)
def test_a_new_file_is_private(path: Path, write: Write) -> None:
    write(str(path), b"x")

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_a_mode_can_be_asked_for(path: Path) -> None:
    atomic.put(str(path), b"x", mode=0o644, durable=True)

    assert 0o644 == stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("write", [atomic.rewrite, atomic.put_line, atomic.append], ids=_ids)
@pytest.mark.parametrize("there", [True, False])
def test_no_link_is_followed_when_writing(path: Path, write: Write, there: bool) -> None:
    target = path.with_name("target")
    if there:
        target.write_bytes(b"precious")
    path.symlink_to(target)

    with pytest.raises(OSError, match="symbolic links"):
        write(str(path), b"new")

    assert there == target.exists()
    assert not there or target.read_bytes() == b"precious"


def test_put_replaces_a_link_and_not_what_it_names(path: Path) -> None:
    target = path.with_name("target")
    target.write_bytes(b"precious")
    path.symlink_to(target)

    atomic.put(str(path), b"new")

    assert (b"precious", b"new") == (target.read_bytes(), path.read_bytes())
    assert not path.is_symlink()


@pytest.mark.parametrize("write", [atomic.append, lambda path, _: atomic.touch(path)], ids=["append", "touch"])
def test_a_pipe_in_place_of_a_file_does_not_block(path: Path, write: Write) -> None:
    os.mkfifo(path)

    with pytest.raises(OSError, match="No such device or address"):
        write(str(path), b"x")


@pytest.mark.parametrize("write", WRITERS, ids=_ids)
def test_a_pipe_is_replaced_by_a_file(path: Path, write: Write) -> None:
    os.mkfifo(path)

    write(str(path), b"x")

    assert b"x" == path.read_bytes()


def test_appending_adds_to_the_end(path: Path) -> None:
    atomic.append(str(path), b"one\n")
    atomic.append(str(path), b"two\n")

    assert b"one\ntwo\n" == path.read_bytes()


def test_touching_keeps_the_content(path: Path) -> None:
    path.write_bytes(b"x")
    atomic.touch(str(path))

    assert b"x" == path.read_bytes()


# --- a full disk ------------------------------------------------------------------------------------------------------


@pytest.fixture
def little_room() -> Iterator[None]:
    """No file may grow beyond a hundred bytes; Python ignores the signal, so a write fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("little_room")
def test_a_file_that_does_not_fit_leaves_the_old_one(path: Path) -> None:
    """Nothing half is seen and nothing is left beside it."""
    atomic.put(str(path), b"old")

    with pytest.raises(OSError, match="File too large") as raised:
        atomic.put(str(path), b"n" * 1000)

    assert errno.EFBIG == raised.value.errno
    assert b"old" == path.read_bytes()
    assert [path.name] == os.listdir(path.parent)


@pytest.mark.usefixtures("little_room")
def test_a_line_that_does_not_fit_is_an_error(path: Path) -> None:
    atomic.append(str(path), b"x" * 90)

    with pytest.raises(OSError, match="File too large"):
        atomic.append(str(path), b"y" * 90)


@pytest.fixture
def short_pwrite(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that writes three bytes at a time."""
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: pwrite(fd, data[:3], offset))


@pytest.mark.usefixtures("short_pwrite")
def test_a_file_rewritten_in_place_is_whole_after_short_writes(tmp_path: Path) -> None:
    path = str(tmp_path / "job.x.local")
    for data in (b"one=1\n", b"one=1\ntwo=2\n", b"two=2\n"):
        atomic.rewrite(path, data)
        assert data == atomic.read(path)


@pytest.mark.usefixtures("short_pwrite")
def test_a_status_is_whole_after_short_writes(tmp_path: Path) -> None:
    path = str(tmp_path / "job.x.status")
    for data in (b"ACCEPTED\n", b"PENDING:PREPARING\n", b"PENDING:ACCEPTED\n", b"INLRMS\n", b"FINISH\n"):
        atomic.put_line(path, data)
        assert data == atomic.read(path)


@pytest.mark.parametrize(("call", "use"), [("write", atomic.append), ("pwrite", atomic.rewrite)])
def test_a_file_system_that_writes_nothing_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, use: Callable[[str, bytes], None]
) -> None:
    path = str(tmp_path / "file")
    atomic.put(path, b"old")
    monkeypatch.setattr(os, call, lambda *_: 0)

    with pytest.raises(OSError, match="writes nothing"):
        use(path, b"new content")


def test_a_closed_file_is_opened_up_but_not_through_a_link(tmp_path: Path) -> None:
    for name in ("own", "precious"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o100)
    (tmp_path / "link").symlink_to("precious")

    for name in ("own", "link", "missing"):
        atomic.open_up(str(tmp_path / name))

    assert 0o700 == stat.S_IMODE((tmp_path / "own").stat().st_mode)
    assert 0o100 == stat.S_IMODE((tmp_path / "precious").stat().st_mode)


def test_writing_goes_on_where_a_short_write_ended() -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)
    try:
        with pytest.raises(BlockingIOError):
            atomic.write_all(writing, b"x" * 10_000)
        assert b"x" * 4096 == os.read(reading, 10_000)
    finally:
        os.close(reading)
        os.close(writing)


# --- locks ------------------------------------------------------------------------------------------------------------


def _locked_elsewhere(path: Path, kind: int) -> tuple[int, int]:
    """Another process holds this lock until the returned pipe is closed."""
    ready, says = os.pipe()
    waits, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go)
        fd = os.open(path, os.O_RDWR)
        fcntl.lockf(fd, kind)
        os.write(says, b".")
        os.read(waits, 1)
        os._exit(0)
    os.read(ready, 1)
    for fd in (ready, says, waits):
        os.close(fd)
    return pid, go


def test_a_file_that_another_process_writes_under_lock_is_neither_read_nor_written(path: Path) -> None:
    path.write_bytes(b"old\n")
    pid, go = _locked_elsewhere(path, fcntl.LOCK_EX)
    try:
        with pytest.raises(BlockingIOError, match=f"another process has locked the file: '{path}'"):
            atomic.read_locked(str(path))
        with pytest.raises(BlockingIOError, match=str(path)):
            atomic.rewrite(str(path), b"new content\n")
    finally:
        os.close(go)
        os.waitpid(pid, 0)

    assert b"old\n" == atomic.read_locked(str(path))
    atomic.rewrite(str(path), b"new content\n")
    assert b"new content\n" == path.read_bytes()


@pytest.mark.parametrize("replaced", [False, True], ids=["in place", "by another file"])
def test_what_another_process_wrote_before_we_had_the_lock_leaves_no_trace(
    path: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    """``arcrenew`` makes the file longer, for example."""
    path.write_bytes(b"a=1\n")
    lock = fcntl.lockf

    def late(fd: int, flags: int) -> None:
        if replaced:
            path.with_name("new").write_bytes(b"a=1\ndelegexpiretime=20270101000000Z\n")
            path.with_name("new").rename(path)
        else:
            path.write_bytes(b"a=1\ndelegexpiretime=20270101000000Z\n")
        lock(fd, flags)

    monkeypatch.setattr(fcntl, "lockf", late)
    if replaced:
        with pytest.raises(BlockingIOError):
            atomic.rewrite(str(path), b"a=22222\n")
        assert path.read_bytes().startswith(b"a=1\ndelegexpiretime=")
    else:
        atomic.rewrite(str(path), b"a=22222\n")
        assert path.read_bytes() == b"a=22222\n"


def test_a_growing_local_file_stays_the_same_file(path: Path) -> None:
    """Readers that wait for its lock then read the new content."""
    path.write_bytes(b"a=1\n")
    inode = path.stat().st_ino

    atomic.rewrite(str(path), b"a=1\nb=2\n")

    assert inode == path.stat().st_ino


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [atomic.read, atomic.read_locked], ids=_ids)
def test_what_is_not_there_is_none(path: Path, read: Callable[[str], bytes | None]) -> None:
    assert read(str(path)) is None


@pytest.mark.parametrize("read", [atomic.read, atomic.read_locked], ids=_ids)
@pytest.mark.parametrize("kind", ["link", "dangling", "directory", "pipe"])
def test_what_is_no_file_is_corrupt(path: Path, read: Callable[[str], bytes | None], kind: str) -> None:
    match kind:
        case "link":
            path.symlink_to("/etc/passwd")
        case "dangling":
            path.symlink_to(path.with_name("nothing"))
        case "directory":
            path.mkdir()
        case _:
            os.mkfifo(path)

    with pytest.raises(CorruptFile) as raised:
        read(str(path))

    assert path == raised.value.path


def test_more_than_the_limit_is_corrupt(path: Path) -> None:
    path.write_bytes(b"x" * 101)

    assert b"x" * 101 == atomic.read(str(path), limit=101)
    with pytest.raises(CorruptFile, match="too large: 101 bytes; the limit is 100"):
        atomic.read(str(path), limit=100)


def test_a_file_without_a_size_is_read_up_to_the_limit() -> None:
    """As those in /proc, which say zero and hold more."""
    assert atomic.read("/proc/self/status")
    with pytest.raises(CorruptFile, match="grew beyond"):
        atomic.read("/proc/self/status", limit=10)


def test_removing_says_whether_there_was_something(path: Path) -> None:
    path.touch()

    assert [True, False] == [atomic.remove(str(path)), atomic.remove(str(path))]
