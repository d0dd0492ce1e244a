"""
What ARC 6.17 makes of job descriptions: a question a line on standard input, an answer a line on standard output.

Both are JSON. A question is ``{"text": base64, "dialect": "" or "GRIDMANAGER"}``; the answer has ``jobs``, each a list
of alternatives with its ADL, or ``refused`` with the reason. Run it with the interpreter that has ARC's bindings. The
process may die of a question, see :class:`Oracle`.
"""

from __future__ import annotations

import base64
import json
import select
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

_PYTHON: Final = "/usr/bin/python3"
#: What does not answer by then is taken for dead.
_WITHIN_S: Final = 120


class OracleMissing(Exception):
    """The other interpreter has no bindings of ARC."""


@dataclass(frozen=True, slots=True)
class Question:
    text: bytes
    dialect: str = ""  #: or "GRIDMANAGER"


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to run a job."""

    adl: str  #: empty: ARC can't write it
    xrsl: str  #: in the dialect GRIDMANAGER; it knows relations, which ADL does not


@dataclass(frozen=True, slots=True)
class Answer:
    """``jobs`` is empty if the description was refused; ``crashed`` if ARC did not survive it."""

    jobs: tuple[tuple[Alternative, ...], ...] = ()
    refused: str = ""
    crashed: bool = False


class Oracle:
    """
    A process that has ARC's bindings; another one takes its place if a question kills it.

    Raises:
        OracleMissing: on entering, if the bindings of ARC 6.17 are not there.
    """

    def __init__(self, environ: dict[str, str], cwd: Path) -> None:
        self._environ, self._cwd = environ, cwd
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        done = subprocess.run(
            [_PYTHON, "-c", "import arc; print(arc.__file__)"],
            capture_output=True,
            text=True,
            env=self._environ,
            check=False,
        )
        if done.returncode != 0:
            raise OracleMissing(f"no ARC bindings for {_PYTHON}: {done.stderr.strip()[-200:]}")
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def ask(self, question: Question) -> Answer:
        """What ARC says, or that it did not survive to say it."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        text = base64.b64encode(question.text).decode()
        process.stdin.write(json.dumps({"text": text, "dialect": question.dialect}).encode() + b"\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], _WITHIN_S)
        line = process.stdout.readline() if ready else b""
        if not line:
            self._end()
            return Answer(crashed=True)
        return _answer(json.loads(line))

    def renew(self) -> None:
        """Let another process take over: what came before shines through variables that 6.17 does not set."""
        self._end()

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            [_PYTHON, str(Path(__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environ,
            cwd=self._cwd,
        )
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _answer(told: dict[str, Any]) -> Answer:
    jobs = tuple(tuple(Alternative(one["adl"], one["xrsl"]) for one in job) for job in told["jobs"])
    return Answer(jobs, told["refused"])


# --- in the process that has the bindings ---------------------------------------------------------------------------


def _main() -> None:
    import arc  # type: ignore[import-not-found]  # noqa: PLC0415 - only the other interpreter has it

    arc.Logger.getRootLogger().removeDestinations()
    for line in sys.stdin:
        question = json.loads(line)
        answer = _ask_arc(arc, base64.b64decode(question["text"]), question["dialect"])
        print(json.dumps(answer), flush=True)


def _ask_arc(arc: Any, text: bytes, dialect: str) -> dict[str, Any]:
    found = arc.JobDescriptionList()
    try:
        result = _parse(arc, text, found, dialect)
    except Exception as exc:  # noqa: BLE001 - whatever C++ threw would have ended a client
        return {"jobs": [], "refused": f"exception: {exc}"}
    if not result:
        return {"jobs": [], "refused": result.str() or "refused"}
    return {"jobs": [[_facts(one) for one in (job, *job.GetAlternatives())] for job in found], "refused": ""}


def _parse(arc: Any, text: bytes, found: Any, dialect: str) -> Any:
    try:
        return arc.JobDescription.Parse(text.decode(), found, "", dialect)
    except UnicodeDecodeError:
        # the bindings take text alone; files may hold anything, but are always a user's
        with tempfile.NamedTemporaryFile() as file:
            file.write(text)
            file.flush()
            return arc.JobDescription.ParseFromFile(file.name, found)


def _facts(job: Any) -> dict[str, str]:
    return {"adl": _written(*job.UnParse("emies:adl")), "xrsl": _written(*job.UnParse("nordugrid:xrsl", "GRIDMANAGER"))}


def _written(done: object, text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if done else ""


if __name__ == "__main__":
    _main()
