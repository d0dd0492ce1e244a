"""Runs the commands of a batch system: with a time limit, few variables, a count, and a limit on queries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from arex import process
from arex.clock import Clock
from arex.process import Completed
from lrms.command.dialect import Call
from lrms.command.ratelimit import RateLimit
from lrms.environment import outside

#: Variables of the daemon's environment that commands get (and with SLURM, jobs), but no others.
_KEPT: Final = "PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|TZ|TMPDIR|LD_LIBRARY_PATH"


class Runner:
    """Runs commands; raises ``BatchUnavailable`` if one cannot be run or takes too long."""

    def __init__(self, kept_env: str, *, timeout_s: float, queries_per_minute: int, clock: Clock) -> None:
        """``kept_env``: more variables for the commands, as a regular expression."""
        self._kept = re.compile(f"{_KEPT}|{kept_env}" if kept_env else _KEPT)
        self._timeout_s = timeout_s
        self._limit = RateLimit(queries_per_minute, clock)

    async def run(self, call: Call) -> Completed:
        """Run a command now."""
        self._limit.count(Path(call.argv[0]).name)
        ours = {name: value for name, value in outside().items() if self._kept.fullmatch(name)}
        return await process.run(
            call.argv, timeout=self._timeout_s, stdin=call.stdin, cwd=call.cwd, env={**ours, **call.env}
        )

    async def query(self, call: Call) -> Completed:
        """Run a query as soon as the limit allows it."""
        await self._limit.query()
        return await self.run(call)

    def figures(self) -> Mapping[str, int]:
        """How often each command was run."""
        return self._limit.figures()
