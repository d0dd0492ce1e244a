"""Runs programs with a time limit, an output limit and a separate session. Only this module starts programs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess  # noqa: TID251 - no other module may use it
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from arex.errors import BatchUnavailable

#: Larger outputs are an error of the command.
MAX_OUTPUT = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Completed:
    """Exit code and output of a program."""

    argv: tuple[str, ...]
    code: int  #: negative: the number of the signal that killed the program
    out: str
    err: str


class CommandFailed(BatchUnavailable):
    """A program could not be started, did not end in time, or printed too much: there is no answer."""


async def run(
    argv: Sequence[str],
    *,
    timeout: float,  # noqa: ASYNC109 - the limit includes killing the whole session
    stdin: bytes = b"",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Completed:
    """
    Run a program to its end and return its exit code and output.

    The program gets our environment, or ``env``, with ``LC_ALL=C``. Its output is decoded as UTF-8 with replacement
    characters.

    Raises:
        CommandFailed: the program does not start, takes longer than ``timeout`` seconds, or prints more than 64 MiB.
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
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the program may exit without reading its input
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
    """Kill the process group, including processes that outlived the program and keep our pipes open."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # otherwise asyncio waits until the pipes are closed, although no one reads them or another process has them open
    process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001
    await process.wait()


def detach(argv: Sequence[str], *, output: Path, keep: int) -> int:
    """
    Start a program that continues after this process, in a new session, with descriptor ``keep`` open; returns its pid.

    Raises:
        OSError: the program does not start, or ``output`` cannot be written.
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
    child.returncode = 0  # prevents the warning of Popen about a child that was not waited for
    return child.pid
