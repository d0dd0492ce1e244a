"""Starts programs, with a time limit, a separate session and a limit for the output. No other module does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess  # noqa: TID251 - here and nowhere else
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from arex.errors import BatchUnavailable

#: A command that says more than this is not answering our question.
MAX_OUTPUT = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended; judging it is the caller's."""

    argv: tuple[str, ...]
    code: int  #: negative: the signal that killed it
    out: str
    err: str


class CommandFailed(BatchUnavailable):
    """A program could not be started or did not end in time: no answer."""


async def run(
    argv: Sequence[str],
    *,
    timeout: float,  # noqa: ASYNC109 - the limit includes killing the whole session
    stdin: bytes = b"",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Completed:
    """
    Run a program to its end; any exit code is an answer.

    The environment is ours with ``LC_ALL=C``; output is UTF-8 with replacement, at most 64 MiB.

    Raises:
        CommandFailed: it does not start, takes longer than ``timeout`` seconds, or talks without end.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=cwd,
            env={**(os.environ if env is None else env), "LC_ALL": "C"},
            start_new_session=True,
        )
    except OSError as exc:
        raise CommandFailed(f"{argv[0]} could not be started: {exc.strerror or exc}") from exc
    try:
        async with asyncio.timeout(timeout):
            out, err = await _talk(process, stdin)
            code = await process.wait()
    except TimeoutError as exc:
        await _kill_session(process)
        raise CommandFailed(f"{argv[0]} did not exit within {timeout:g} s") from exc
    except _TooMuch as exc:
        await _kill_session(process)
        raise CommandFailed(f"{argv[0]} printed more than {MAX_OUTPUT} bytes") from exc
    except BaseException:
        await _kill_session(process)
        raise
    return Completed(tuple(argv), code, out.decode(errors="replace"), err.decode(errors="replace"))


class _TooMuch(Exception):
    pass


async def _talk(process: asyncio.subprocess.Process, stdin: bytes) -> tuple[bytes, bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_feed(process.stdin, stdin))
            out = tasks.create_task(_collect(process.stdout))
            err = tasks.create_task(_collect(process.stderr))
    except ExceptionGroup as faults:
        raise faults.exceptions[0] from None
    return out.result(), err.result()


async def _feed(stream: asyncio.StreamWriter, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it need not read what we say
        stream.write(data)
        await stream.drain()
    stream.close()


async def _collect(stream: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := await stream.read(1 << 16):
        size += len(part)
        if size > MAX_OUTPUT:
            raise _TooMuch
        parts.append(part)
    return b"".join(parts)


async def _kill_session(process: asyncio.subprocess.Process) -> None:
    """Also what outlived its leader and holds our pipes: its process group keeps the number."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # asyncio waits for the end of pipes that are not read any more, or that another process holds
    process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001
    await process.wait()


def detach(argv: Sequence[str], *, output: Path, keep: int) -> int:
    """
    Start a program that outlives us, in its own session, with descriptor ``keep`` open; returns its pid.

    Raises:
        OSError: it does not start, or ``output`` can't be written.
    """
    output.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(output, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as log:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(keep,),
            cwd="/",
        )
    child.returncode = 0  # it is not ours to wait for, and Popen would warn about that
    return child.pid
