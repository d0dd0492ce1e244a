"""Runs programs with a time limit, an output limit and a separate session. Only this module starts programs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess  # noqa: TID251 - no other module may use it
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from arex.errors import BatchUnavailable

log = logging.getLogger(__name__)

#: Larger outputs are an error of the command.
MAX_OUTPUT = 64 * 1024 * 1024
#: How long a killed program may take to end, seconds: one that waits for a dead file server does not end at all.
_KILL_S: Final = 5.0
#: Killed programs that have not ended yet; asyncio collects their exit codes when they do.
_lingering: Final[set[asyncio.Task[int]]] = set()


@dataclass(frozen=True, slots=True)
class Completed:
    """Exit code and output of a program."""

    argv: tuple[str, ...]
    code: int  #: negative: the number of the signal that killed the program
    out: str
    err: str


class CommandFailed(BatchUnavailable):
    """A program could not be started, did not end in time, or printed too much: there is no answer."""


class NotStarted(CommandFailed):
    """A program could not be started, or could not be watched from its start."""


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
        NotStarted: the program does not start, because of the program or of this host.
        CommandFailed: it takes longer than ``timeout`` seconds, or prints more than 64 MiB.
    """
    heed_exit_codes()
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
        raise NotStarted(f"{argv[0]} could not be started: {exc.strerror or exc}") from exc
    except (RuntimeError, ValueError, MemoryError) as exc:  # no more threads; a NUL in an argument; no more memory
        raise NotStarted(f"{argv[0]} could not be started: {str(exc) or type(exc).__name__}") from exc
    try:
        async with asyncio.timeout(timeout):
            out, err = await _talk(process, stdin)
            code = await process.wait()
    except TimeoutError as exc:
        await kill_session(process)
        raise CommandFailed(f"{argv[0]} did not exit within {timeout:g} s") from exc
    except _TooMuch as exc:
        await kill_session(process)
        raise CommandFailed(f"{argv[0]} printed more than {MAX_OUTPUT} bytes") from exc
    except BaseException:
        await kill_session(process)
        raise
    return Completed(tuple(argv), code, out.decode(errors="replace"), err.decode(errors="replace"))


def heed_exit_codes() -> None:
    """
    Let the kernel keep exit codes of programs: it does not where SIGCHLD is ignored, which a parent may pass on.

    Signals can be changed in the main thread only, where the event loop of the service runs.
    """
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


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


async def kill_session(process: asyncio.subprocess.Process) -> None:
    """
    Kill the process group, including processes that outlived the program and keep our pipes open.

    Returns after some seconds even if the program does not end: the kernel does not let it, or it belongs to root.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):  # a wrapper may have become another account
        os.killpg(process.pid, signal.SIGKILL)
    # otherwise asyncio waits until the pipes are closed, although no one reads them or another process has them open
    with contextlib.suppress(PermissionError):
        process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001
    ending = asyncio.create_task(process.wait(), name=f"end of process {process.pid}")
    _lingering.add(ending)
    ending.add_done_callback(_lingering.discard)
    await asyncio.wait([ending], timeout=_KILL_S)
    if not ending.done():
        log.warning(
            "process %d does not end although it was killed; %d such processes are left",
            process.pid,
            len(_lingering),
            extra={"event": "process.lingers"},
        )


def detach(argv: Sequence[str], *, output: Path | None, keep: int, env: Mapping[str, str] | None = None) -> int:
    """
    Start a program that may outlive this process, in a new session, with descriptor ``keep`` open; returns its pid.

    Args:
        argv: its command line.
        keep: a descriptor that stays open.
        output: file to which its output is appended; None: it has ours.
        env: its environment; None: ours.

    Raises:
        OSError: the program does not start, or ``output`` cannot be written.
    """
    if output is None:
        return _detach(argv, None, keep, env)
    output.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(output, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as log:
        return _detach(argv, log.fileno(), keep, env)


def _detach(argv: Sequence[str], output: int | None, keep: int, env: Mapping[str, str] | None) -> int:
    child = subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        pass_fds=(keep,),
        cwd="/",
        env=env,
    )
    child.returncode = 0  # prevents the warning of Popen about a child that was not waited for
    return child.pid
