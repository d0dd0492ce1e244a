"""Starting a script that may outlive this process: it is not killed when the service stops."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Final

from arex import process
from arex.errors import BatchUnavailable

_OPEN: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class NotRun(BatchUnavailable):
    """A script was not started, so it has done nothing."""


def open_log(path: str, flags: int) -> int:
    return os.open(path, _OPEN | flags, 0o600)


async def start(argv: Sequence[str], errors: int, environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    """
    Start it in a separate session with its output in a file, so that it does not depend on this process.

    Raises:
        NotRun: it cannot be started.
    """
    process.heed_exit_codes()
    try:
        return await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            cwd="/",
            env=environment,
            umask=0o077,
            start_new_session=True,
        )
    except OSError as exc:
        raise NotRun(f"{argv[0]} could not be started: {exc.strerror or exc}") from exc
    except (RuntimeError, MemoryError) as exc:  # no more threads: it may run, and no one watches it
        raise BatchUnavailable(f"{argv[0]} could not be watched: {str(exc) or type(exc).__name__}") from exc


def let_go(script: asyncio.subprocess.Process) -> None:
    """Let the script continue; asyncio would kill it during its cleanup."""
    transport = script._transport  # type: ignore[attr-defined]  # noqa: SLF001
    transport._proc.returncode = 0  # noqa: SLF001
    transport.close()
