"""Real programs, short ones."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from arex import process
from arex.errors import BatchUnavailable
from arex.process import CommandFailed, Completed, NotStarted, detach, run
from lrms import processes


async def gone(pid: int) -> None:
    async with asyncio.timeout(30):
        while await asyncio.to_thread(processes.identify, pid, ""):
            await asyncio.sleep(0.005)


@pytest.fixture
def expires(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Let the next time limit end as soon as a file has a whole line, however slowly programs start here."""
    timeout = asyncio.timeout
    waiting: list[asyncio.Task[None]] = []

    def when_written(path: Path) -> None:
        async def expire(limit: asyncio.Timeout) -> None:
            while not path.exists() or "\n" not in path.read_text(encoding="ascii"):
                await asyncio.sleep(0.005)
            limit.reschedule(asyncio.get_running_loop().time())

        def limited(_seconds: float) -> asyncio.Timeout:
            monkeypatch.setattr(asyncio, "timeout", timeout)
            limit = timeout(None)
            waiting.append(asyncio.create_task(expire(limit)))
            return limit

        monkeypatch.setattr(asyncio, "timeout", limited)

    return when_written


async def test_any_exit_code_is_an_answer() -> None:
    done = await run(["/bin/sh", "-c", "echo out; echo err >&2; exit 3"], timeout=30)

    assert Completed(("/bin/sh", "-c", "echo out; echo err >&2; exit 3"), 3, "out\n", "err\n") == done


async def test_a_signal_is_a_negative_code() -> None:
    done = await run(["/bin/sh", "-c", "kill -9 $$"], timeout=30)

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

    done = await run(["/bin/sh", "-c", 'echo "$LC_ALL $SITE"'], timeout=30)
    other = await run(["/bin/sh", "-c", 'echo "$LC_ALL ${SITE-none}"'], timeout=10, env={"PATH": "/bin"})

    assert ("C ours\n", "C none\n") == (done.out, other.out)


async def test_it_runs_where_it_is_told_to(tmp_path: Path) -> None:
    assert f"{tmp_path}\n" == (await run(["/bin/pwd"], timeout=10, cwd=tmp_path)).out


async def test_bytes_that_are_no_text_are_replaced() -> None:
    done = await run(["/bin/sh", "-c", r"printf 'a\377b'"], timeout=30)

    assert "a\ufffdb" == done.out


@pytest.mark.parametrize("name", ["/no/such/program", "/etc/hostname", "/"])
async def test_what_does_not_start_is_no_answer(name: str) -> None:
    with pytest.raises(CommandFailed, match=f"^{name} could not be started: ") as caught:
        await run([name], timeout=30)

    assert isinstance(caught.value, BatchUnavailable)


async def test_a_timeout_kills_the_whole_session(tmp_path: Path, expires: Callable[[Path], None]) -> None:
    """A command that started helpers leaves none of them behind."""
    expires(tmp_path / "pids")
    script = f"sleep 60 & echo $! $$ > {tmp_path}/pids; wait"

    with pytest.raises(CommandFailed, match=r"/bin/sh did not exit within 0\.2 s"):
        await run(["/bin/sh", "-c", script], timeout=0.2)

    for pid in (tmp_path / "pids").read_text(encoding="ascii").split():
        await gone(int(pid))


async def test_a_helper_that_outlives_its_parent_and_holds_the_pipe_is_killed_too(
    tmp_path: Path, expires: Callable[[Path], None]
) -> None:
    """The command itself has ended, but its answer has not: that is a timeout like any other."""
    expires(tmp_path / "pid")
    script = f"sleep 60 & echo $! > {tmp_path}/pid; exit 0"

    with pytest.raises(CommandFailed, match="did not exit within"):
        await run(["/bin/sh", "-c", script], timeout=0.2)

    await gone(int((tmp_path / "pid").read_text(encoding="ascii")))


async def test_a_cancelled_call_kills_its_program(tmp_path: Path) -> None:
    task = asyncio.create_task(run(["/bin/sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60"], timeout=60))
    async with asyncio.timeout(30):
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
        await run(["/bin/sh", "-c", f"exec yes >&{where}"], timeout=60)

    assert time.monotonic() - start < 30


@pytest.mark.parametrize("fault", [OSError(24, "Too many open files"), RuntimeError("can't start new thread")])
async def test_a_host_that_is_full_is_no_answer(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    async def full(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(asyncio, "create_subprocess_exec", full)

    with pytest.raises(NotStarted, match=r"Too many open files|can't start new thread"):
        await run(["/bin/true"], timeout=30)


async def test_an_argument_that_no_program_can_have_is_no_answer() -> None:
    with pytest.raises(NotStarted, match="null byte"):
        await run(["/bin/true", "\0"], timeout=30)


async def test_a_program_that_does_not_end_when_it_is_killed_holds_up_no_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path, expires: Callable[[Path], None]
) -> None:
    """It waits for a dead file server, or has become root; its exit code is collected later."""
    expires(tmp_path / "pid")

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(process, "_KILL_S", 0.1)
    with monkeypatch.context() as patched:
        patched.setattr(os, "killpg", refuse)
        patched.setattr(subprocess.Popen, "kill", refuse)

        with pytest.raises(CommandFailed, match="did not exit within"):
            await run(["/bin/sh", "-c", f"echo $$ >{tmp_path}/pid; exec sleep 60"], timeout=0.5)

    pid = int((tmp_path / "pid").read_text(encoding="ascii"))
    assert f"process {pid} does not end" in caplog.text
    assert len(process._lingering) == 1
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(30):
        while process._lingering:
            await asyncio.sleep(0.005)
    await gone(pid)


def test_exit_codes_arrive_where_a_parent_has_ignored_sigchld() -> None:
    program = (
        "import asyncio; from arex.process import run\n"
        "print(asyncio.run(run(['/bin/sh', '-c', 'exit 3'], timeout=30)).code)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
    )

    assert "3\n" == said.stdout


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


async def test_a_program_of_root_that_can_not_be_killed_is_a_failure_and_holds_no_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, expires: Callable[[Path], None]
) -> None:
    """As a wrapper that became root under sudo."""
    expires(tmp_path / "pid")
    kill = os.kill

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "killpg", refuse)
    monkeypatch.setattr(os, "kill", refuse)
    monkeypatch.setattr(process, "_KILL_S", 0.1)

    with pytest.raises(CommandFailed, match="did not exit"):
        await process.run(("/bin/sh", "-c", f"echo $$ >{tmp_path}/pid; exec sleep 600"), timeout=0.5)

    kill(int((tmp_path / "pid").read_text()), 9)
    async with asyncio.timeout(10):  # asyncio has a thread that waits for the program
        while any("waitpid" in thread.name for thread in threading.enumerate()):
            await asyncio.sleep(0.005)
        await asyncio.sleep(0)  # then its answer is received
