"""Real programs, short ones."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from arex import process
from arex.errors import BatchUnavailable
from arex.process import CommandFailed, Completed, detach, run
from lrms import processes


async def gone(pid: int) -> None:
    async with asyncio.timeout(10):
        while await asyncio.to_thread(processes.identify, pid, ""):
            await asyncio.sleep(0.005)


async def test_any_exit_code_is_an_answer() -> None:
    done = await run(["/bin/sh", "-c", "echo out; echo err >&2; exit 3"], timeout=10)

    assert Completed(("/bin/sh", "-c", "echo out; echo err >&2; exit 3"), 3, "out\n", "err\n") == done


async def test_a_signal_is_a_negative_code() -> None:
    done = await run(["/bin/sh", "-c", "kill -9 $$"], timeout=10)

    assert -signal.SIGKILL == done.code


async def test_what_we_say_arrives_and_ends() -> None:
    data = b"x" * 300_000

    assert data.decode() == (await run(["/bin/cat"], timeout=10, stdin=data)).out


async def test_a_program_that_does_not_listen_is_no_error() -> None:
    done = await run(["/bin/sh", "-c", "exec <&-; echo done"], timeout=10, stdin=b"x" * 1_000_000)

    assert (0, "done\n") == (done.code, done.out)


async def test_messages_are_english_and_the_rest_of_the_environment_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsers read messages; a site's own variables must still reach the batch commands."""
    monkeypatch.setenv("LC_ALL", "fi_FI.UTF-8")
    monkeypatch.setenv("SITE", "ours")

    done = await run(["/bin/sh", "-c", 'echo "$LC_ALL $SITE"'], timeout=10)
    other = await run(["/bin/sh", "-c", 'echo "$LC_ALL ${SITE-none}"'], timeout=10, env={"PATH": "/bin"})

    assert ("C ours\n", "C none\n") == (done.out, other.out)


async def test_it_runs_where_it_is_told_to(tmp_path: Path) -> None:
    assert f"{tmp_path}\n" == (await run(["/bin/pwd"], timeout=10, cwd=tmp_path)).out


async def test_bytes_that_are_no_text_are_replaced() -> None:
    done = await run(["/bin/sh", "-c", r"printf 'a\377b'"], timeout=10)

    assert "a\ufffdb" == done.out


@pytest.mark.parametrize("name", ["/no/such/program", "/etc/hostname", "/"])
async def test_what_does_not_start_is_no_answer(name: str) -> None:
    with pytest.raises(CommandFailed, match=f"^{name} could not be started: ") as caught:
        await run([name], timeout=10)

    assert isinstance(caught.value, BatchUnavailable)


async def test_a_timeout_kills_the_whole_session(tmp_path: Path) -> None:
    """A command that started helpers leaves none of them behind."""
    script = f"sleep 60 & echo $! $$ > {tmp_path}/pids; wait"

    with pytest.raises(CommandFailed, match=r"/bin/sh did not exit within 0\.2 s"):
        await run(["/bin/sh", "-c", script], timeout=0.2)

    for pid in (tmp_path / "pids").read_text(encoding="ascii").split():
        await gone(int(pid))


async def test_a_helper_that_outlives_its_parent_and_holds_the_pipe_is_killed_too(tmp_path: Path) -> None:
    """The command itself has ended, but its answer has not: that is a timeout like any other."""
    script = f"sleep 60 & echo $! > {tmp_path}/pid; exit 0"

    with pytest.raises(CommandFailed, match="did not exit within"):
        await run(["/bin/sh", "-c", script], timeout=0.2)

    await gone(int((tmp_path / "pid").read_text(encoding="ascii")))


async def test_a_cancelled_call_kills_its_program(tmp_path: Path) -> None:
    task = asyncio.create_task(run(["/bin/sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60"], timeout=60))
    async with asyncio.timeout(10):
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text(encoding="ascii"):
            await asyncio.sleep(0.005)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(int((tmp_path / "pid").read_text(encoding="ascii")))


@pytest.mark.parametrize("where", ["1", "2"])
async def test_a_program_that_talks_without_end_is_stopped_at_once(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Not at its time limit, when it would have filled the memory."""
    monkeypatch.setattr(process, "MAX_OUTPUT", 200_000)
    start = time.monotonic()

    with pytest.raises(CommandFailed, match="printed more than 200000 bytes"):
        await run(["/bin/sh", "-c", f"exec yes >&{where}"], timeout=30)

    assert time.monotonic() - start < 10


def test_a_detached_program_lives_in_a_session_of_its_own_and_keeps_a_descriptor(tmp_path: Path) -> None:
    read, write = os.pipe()
    log = tmp_path / "logs" / "out"

    script = f"import os; print('said'); os.write({write}, b'kept %d' % os.getsid(0)); print(os.getcwd())"

    pid = detach([sys.executable, "-I", "-c", script], output=log, keep=write)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        text = stream.read().split()
    os.waitpid(pid, 0)

    assert [b"kept", str(pid).encode()] == text
    assert "said\n/\n" == log.read_text(encoding="ascii")
    assert 0o600 == log.stat().st_mode & 0o777


def test_what_can_not_be_detached_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        detach(["/no/such/program"], output=tmp_path / "out", keep=1)
