"""Starting a script that may outlive this process: it is not killed when the service stops."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Final

from arex.errors import BatchUnavailable

_OPEN: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def open_log(path: str, flags: int) -> int:
    return os.open(path, _OPEN | flags, 0o600)


async def start(argv: Sequence[str], errors: int, environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    """
    Start it in a separate session with its output in a file, so that it does not depend on this process.

    Raises:
        BatchUnavailable: it cannot be started.
    """
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
        raise BatchUnavailable(f"{argv[0]} could not be started: {exc.strerror or exc}") from exc


def let_go(process: asyncio.subprocess.Process) -> None:
    """Let the script continue; asyncio would kill it during its cleanup."""
    transport = process._transport  # type: ignore[attr-defined]  # noqa: SLF001
    transport._proc.returncode = 0  # noqa: SLF001
    transport.close()
