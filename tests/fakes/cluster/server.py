"""
The controller: takes the calls of the fake programs from a socket, in one process, so that a program starts quickly.

Files in its directory: ``socket``; ``faults`` (a line per fault: ``COMMAND KIND [SECONDS] [TIMES|always]``, a command
of ``*`` is any); ``calls`` (JSON: name to number); ``log`` (JSON lines: every call with its arguments).
It ends, with all jobs, as soon as whoever has started it closes its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.fakes.cluster.engine import TICK_S, End, Settings, State
from tests.fakes.cluster.front import Answer, FrontEnd, Refusal, Request
from tests.fakes.cluster.lsf import Lsf
from tests.fakes.cluster.pbs import Pbs
from tests.fakes.cluster.slurm import Slurm

SYSTEMS: Final[Mapping[str, type[FrontEnd]]] = {"slurm": Slurm, "pbs": Pbs, "lsf": Lsf}
#: For the tests themselves: ``@end ID CAUSE`` ends a job as no command could.
_PRIVATE: Final = "@end"
#: Faults after which a command has done nothing.
_NOT_DONE: Final = frozenset({"hang", "fail-before", "down", "limit"})
_GARBAGE: Final = "\x00\x7fELF\x02\x01\x01 \udcff\udcfe {]<&|| 8<\n" * 3


def settings(environment: Mapping[str, str]) -> Settings:
    """From the variables ``FAKE_*``."""
    default = Settings()
    return Settings(
        slots=int(environment.get("FAKE_SLOTS", default.slots)),
        min_age_s=float(environment.get("FAKE_MIN_AGE", default.min_age_s)),
        minute_s=float(environment.get("FAKE_MINUTE", default.minute_s)),
        accounting=environment.get("FAKE_SACCT", "on") != "off",
        accounting_lag_s=float(environment.get("FAKE_SACCT_LAG", default.accounting_lag_s)),
        queues=tuple(environment.get("FAKE_QUEUES", "").split()),
        flavour=environment.get("FAKE_PBS", default.flavour),
        slurm=environment.get("FAKE_SLURM", default.slurm),
    )


class Server:
    def __init__(self, root: Path, front: FrontEnd) -> None:
        self._root, self._front = root, front
        self._calls: Counter[str] = Counter()

    async def serve(self) -> None:
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        loop.add_reader(0, over.set)
        loop.add_signal_handler(signal.SIGTERM, over.set)
        loop.add_signal_handler(signal.SIGCHLD, self._front.cluster.reap)
        server = await asyncio.start_unix_server(self._talk, self._root / "socket", limit=1 << 26)
        print("ready", flush=True)
        try:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TICK_S):
                        await over.wait()
                self._front.cluster.tick()
        finally:
            server.close()
            self._front.cluster.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call: dict[str, Any] = json.loads(await reader.readline())
        request = Request(
            command=call["command"],
            argv=tuple(call["argv"]),
            stdin=call["stdin"],
            cwd=Path(call["cwd"]),
            environment=call["environment"],
            umask=call["umask"],
        )
        if (answer := await self._answer(request)) is None:
            await reader.read()  # until the program is killed
        else:
            text = json.dumps([answer.out, answer.err, answer.code])
            with contextlib.suppress(ConnectionError):
                writer.write(text.encode("ascii"))
                await writer.drain()
        writer.close()

    async def _answer(self, request: Request) -> Answer | None:
        if request.command == _PRIVATE:
            return self._end(request)
        self._count(request)
        kind, *argument = self._fault(request.command) or ["none"]
        if kind == "late":
            await asyncio.sleep(float(argument[0]))
        if kind in _NOT_DONE:
            return {
                "hang": lambda: None,
                "fail-before": lambda: self._front.failed(request.command),
                "down": lambda: self._front.down(request.command),
                "limit": self._front.over_limit,
            }[kind]()
        return self._spoilt(kind, request.command, self._run(request))

    def _spoilt(self, kind: str, command: str, answer: Answer) -> Answer | None:
        """What becomes of an answer on its way; the command has done its work."""
        match kind:
            case "hang-after":
                return None
            case "fail-after":
                return self._front.failed(command)
            case "garbage":
                return Answer(_GARBAGE)
            case "truncate":
                return Answer(answer.out[: len(answer.out) // 2])
            case "locale":
                return self._front.foreign(answer)
            case _:
                return answer

    def _run(self, request: Request) -> Answer:
        try:
            return self._front.commands[request.command](request)
        except Refusal as exc:
            return exc.answer

    def _end(self, request: Request) -> Answer:
        localid, cause = request.argv
        for job in self._front.find(localid):
            if job.state is not State.ENDED:
                self._front.cluster.cancel(job, End(cause))
        return Answer()

    def _count(self, request: Request) -> None:
        self._calls[request.command] += 1
        beside = self._root / "calls.new"
        beside.write_text(json.dumps(self._calls))
        beside.rename(self._root / "calls")
        with open(self._root / "log", "a", encoding="utf-8") as log:
            log.write(json.dumps({"time": time.time(), "command": request.command, "argv": request.argv}) + "\n")

    def _fault(self, command: str) -> list[str]:
        """What goes wrong with this call: the first line that fits, used up by one."""
        path = self._root / "faults"
        if not path.exists():
            return []
        with open(path, "r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            lines = [line.split() for line in file.read().splitlines() if line.strip()]
            for line in lines:
                name, kind, *rest = line
                if name not in {command, "*"} or (kind == "limit" and command not in self._front.submitters):
                    continue
                argument = [rest.pop(0)] if kind == "late" else []
                times = rest[0] if rest else "1"
                if times != "always":
                    line[:] = [name, kind, *argument, str(int(times) - 1)] if int(times) > 1 else []
                    file.seek(0)
                    file.truncate()
                    file.writelines(" ".join(each) + "\n" for each in lines if each)
                return [kind, *argument]
        return []


def main() -> None:
    """``server.py DIRECTORY SYSTEM``: serve until standard input is closed."""
    root, system = Path(sys.argv[1]), sys.argv[2]
    os.chdir(root)
    front = SYSTEMS[system](root, settings(os.environ))
    asyncio.run(Server(Path(), front).serve())
