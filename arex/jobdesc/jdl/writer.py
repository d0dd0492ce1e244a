"""The model to JDL, as CREAM and gLite's WMS accept it. What JDL cannot express is left out; ``convert`` lists it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from arex.errors import JobDescriptionError
from arex.jobdesc import shellwords
from arex.jobdesc.jdl import requirements
from arex.jobdesc.jdl.files import STAYS
from arex.jobdesc.locations import join_url
from arex.jobdesc.model import InputFile, JobDescription, OutputFile, Program

_SPECIAL: Final = re.compile(r'[\\"\n\t\r]')
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_ILLEGAL: Final = re.compile("[\x00\ud800-\udfff]")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z_0-9]*", re.ASCII)

_Lines = Iterator[str]


def quote(text: str) -> str:
    """
    A string of JDL.

    Raises:
        JobDescriptionError: the string holds a character that JDL cannot.
    """
    if _ILLEGAL.search(text) is not None:
        raise JobDescriptionError(f"a character that is not allowed in JDL in {text[:80]!r}")
    return '"' + _SPECIAL.sub(lambda match: _ESCAPES[match[0]], text) + '"'


def write_jdl(job: JobDescription) -> str:
    """
    One job in brackets, one attribute on each line.

    Raises:
        JobDescriptionError: a string holds a character that JDL cannot.
    """
    return "\n".join(("[", *(f"  {line};" for line in _lines(job)), "]", ""))


def _lines(job: JobDescription) -> _Lines:
    resources = job.resources
    yield 'Type = "Job"'
    yield from _text("JobName", job.name)
    yield from _text("Executable", job.executable)
    yield from _text("Arguments", shellwords.join(job.arguments))
    yield from _text("StdInput", job.stdin)
    yield from _text("StdOutput", job.stdout)
    yield from _text("StdError", job.stderr)
    yield from _list("Environment", [f"{name}={value}" for name, value in (*job.environment, *job.expanded)])
    yield from _program("Prologue", job.before)
    yield from _program("Epilogue", job.after)
    yield from _list("InputSandbox", map(_input, job.inputs))
    yield from _outputs(job.outputs)
    yield from _text("QueueName", resources.queue)
    yield from _number("RetryCount", job.rerun)
    yield from _number("CPUNumber", resources.slots)
    yield from _number("SMPGranularity", resources.slots_per_host)
    if resources.exclusive is not None:
        yield f"WholeNodes = {str(resources.exclusive).lower()}"
    if job.expiration is not None:
        yield f"ExpiryTime = {int(job.expiration.timestamp())}"
    if wishes := requirements.whole(job):
        yield f"Requirements = {wishes}"
    if job.rank:
        yield f"Rank = {job.rank}"
    for name, value in job.unused:
        yield f"{name if _NAME.fullmatch(name) else repr(name)} = {value}"


def _text(name: str, text: str) -> _Lines:
    if text:
        yield f"{name} = {quote(text)}"


def _number(name: str, number: int | None) -> _Lines:
    if number is not None and number >= 0:
        yield f"{name} = {number}"


def _list(name: str, texts: Iterable[str]) -> _Lines:
    if items := ", ".join(map(quote, texts)):
        yield f"{name} = {{ {items} }}"


def _program(name: str, programs: tuple[Program, ...]) -> _Lines:
    """One, that has to end with 0."""
    if len(programs) == 1 and programs[0].exit_code == 0:
        yield from _text(name, programs[0].path)
        yield from _text(f"{name}Arguments", shellwords.join(programs[0].arguments))


def _input(file: InputFile) -> str:
    return join_url(file.sources[0]) if file.sources else file.name


def _outputs(files: tuple[OutputFile, ...]) -> _Lines:
    yield from _list("OutputSandbox", ["*" if file.name == "/" else file.name for file in files])
    if any(file.targets for file in files):
        yield from _list(
            "OutputSandboxDestURI", [join_url(file.targets[0]) if file.targets else _stays(file) for file in files]
        )


def _stays(file: OutputFile) -> str:
    return "" if file.name == "/" else STAYS
