"""``.grami``: the shell assignments from which job scripts and batch backends learn about a job."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from arex.errors import CorruptFile
from arex.jobdesc.control.filelists import flat, output_names, pfn
from arex.jobdesc.model import JobDescription, Resources
from arex.jobdesc.times import format_mds, parse_time
from arex.model.grami import Grami, ParallelEnvironment, RunTime
from arex.model.ids import JobId, LocalId
from arex.model.local import JobLocal

_NULL: Final = "/dev/null"
_GLOBALS: Final = ("JOBID", "JOBURL", "JOBINTERFACE", "JOBHOST")
#: What the shell takes literally without quotes.
_BARE: Final = re.compile(r"[A-Za-z0-9_.,:@%+=/-]*")


def build_grami(job: JobDescription, local: JobLocal, *, jobid: JobId, session: Path, controldir: Path) -> Grami:
    """
    What the job script needs, from the description and what the service decided about it.

    Queue and priority of ``local`` take precedence over those of the description. Line feeds are dropped, as ARC does.
    """
    resources = job.resources
    slots, per_host = resources.slots, resources.slots_per_host
    return Grami(
        gridid=jobid,
        directory=session,
        controldir=controldir,
        args=(_command(flat(job.executable)), *map(flat, job.arguments)),
        arg_code=job.exit_code,
        stdin=flat(job.stdin) or _NULL,
        stdout=_in_session(session, job.stdout),
        stderr=_in_session(session, job.stderr),
        environment=tuple((flat(name), flat(value)) for name, value in job.environment),
        globalid=local.globalid or "",
        joburl=local.globalurl or "",
        interface=local.interface or "",
        jobhost=local.headhost or "",
        cputime_s=resources.cputime_s,
        walltime_s=resources.walltime_s,
        memory_mb=resources.memory_mb,
        virtualmemory_mb=resources.virtualmemory_mb,
        disk_mb=resources.disk_mb,
        count=1 if slots is None else slots,
        countpernode=None if slots is None else -1 if per_host is None else per_host,
        numnodes=-(-slots // per_host) if slots and per_host else None,
        parallel=_parallel(resources),
        exclusivenode=bool(resources.exclusive),
        runtimes=tuple(
            RunTime(name=flat(one.full_name), options=tuple(map(flat, one.options))) for one in resources.runtimes
        ),
        jobname=flat(job.name),
        queue=local.queue or flat(resources.queue),
        starttime=local.exectime,
        priority=local.priority or job.priority or 50,
        inputfiles=(*(["/"] if job.client_data_push else []), *(pfn(flat(file.name)) for file in job.inputs)),
        outputfiles=tuple(map(flat, output_names(job))),
    )


def _command(executable: str) -> str:
    executable = executable.strip(" \t\n\r")
    return executable if executable.startswith(("/", "$", "./")) else f"./{executable}"


def _in_session(session: Path, name: str) -> str:
    return f"{session}/{flat(name)}" if name else _NULL


def _parallel(resources: Resources) -> ParallelEnvironment | None:
    if resources.slots is None:
        return None
    if (wanted := resources.parallel) is None:
        return ParallelEnvironment()
    return ParallelEnvironment(
        type=flat(wanted.type),
        version=flat(wanted.version),
        processes_per_host=_number(wanted.processes_per_slot),
        threads_per_process=_number(wanted.threads_per_process),
    )


def dump_grami(grami: Grami) -> bytes:
    """The file, in ARC's order of lines; safe to be sourced by a shell whatever the strings hold."""
    text = "".join(f"joboption_{name}={value}\n" for name, value in _assignments(grami))
    return text.encode("utf-8", "surrogateescape")


def _assignments(grami: Grami) -> Iterator[tuple[str, str]]:
    yield "directory", _quote(str(grami.directory))
    yield "controldir", _quote(str(grami.controldir))
    yield from _numbered("arg", grami.args)
    if grami.arg_code is not None:
        yield "arg_code", str(grami.arg_code)
    yield "stdin", _quote(grami.stdin)
    yield "stdout", _quote(grami.stdout)
    yield "stderr", _quote(grami.stderr)
    yield from _numbered("env", (f"{name}={value}" for name, value in grami.environment))
    identity = (grami.globalid, grami.joburl, grami.interface, grami.jobhost)
    for number, (name, value) in enumerate(zip(_GLOBALS, identity, strict=True), len(grami.environment)):
        yield f"env_{number}", f"GRID_GLOBAL_{name}={_quote(value)}"
    yield "cputime", _number(grami.cputime_s)
    yield "walltime", _number(grami.walltime_s)
    yield "memory", _number(grami.memory_mb)
    yield "virtualmemory", _number(grami.virtualmemory_mb)
    yield "disk", _number(grami.disk_mb)
    yield from _slots(grami)
    for number, runtime in enumerate(grami.runtimes):
        yield f"runtime_{number}", _quote(runtime.name)
        yield from _numbered(f"runtime_{number}", runtime.options, start=1)
    yield "jobname", _quote(grami.jobname)
    yield "queue", _quote(grami.queue)
    yield "starttime", "" if grami.starttime is None else format_mds(grami.starttime)
    yield "gridid", _quote(grami.gridid)
    yield "priority", str(grami.priority)
    yield from _numbered("inputfile", grami.inputfiles)
    yield from _numbered("outputfile", grami.outputfiles)
    if grami.localid is not None:
        yield "jobid", _bare(grami.localid)


def _slots(grami: Grami) -> Iterator[tuple[str, str]]:
    yield "count", str(grami.count)
    if grami.countpernode is not None:
        yield "countpernode", str(grami.countpernode)
    if grami.numnodes is not None:
        yield "numnodes", str(grami.numnodes)
    if grami.parallel is not None:
        yield "penv_type", _bare(grami.parallel.type)
        yield "penv_version", _bare(grami.parallel.version)
        yield "penv_processesperhost", _bare(grami.parallel.processes_per_host)
        yield "penv_threadsperprocess", _bare(grami.parallel.threads_per_process)
    if grami.exclusivenode:
        yield "exclusivenode", "true"


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _bare(text: str) -> str:
    """Without quotes, as ARC writes it, wherever a shell would read it back the same."""
    return text if _BARE.fullmatch(text) else _quote(text)


def _number(number: int | None) -> str:
    return "" if number is None else str(number)


def _numbered(name: str, values: Iterable[str], start: int = 0) -> Iterator[tuple[str, str]]:
    return ((f"{name}_{number}", _quote(value)) for number, value in enumerate(values, start))


# --- reading --------------------------------------------------------------------------------------------------------

_ASSIGNMENT: Final = re.compile(
    r"""[ \t]*(?:export[ \t]+)?joboption_(\w+)=((?:'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[^\s'"\\;\#&|])*+)[^\n]*\n?""",
    re.ASCII | re.DOTALL,
)
_LINE: Final = re.compile(r"[^\n]*\n?")
_PIECE: Final = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^'"\\]+)""", re.DOTALL)
_IN_DOUBLE: Final = re.compile(r'\\([\\"$`])|\\\n')


def parse_grami(data: bytes, path: Path = Path(".grami")) -> Grami:
    """
    Read a ``.grami`` of ours, of ARC's, or one that a backend has added to; no shell is involved.

    Lines that are no assignments are skipped. Of repeated assignments the last counts, as in a shell, but of
    ``joboption_jobid`` the first, as for the grid manager of ARC. An invalid number counts as missing.

    Raises:
        CorruptFile: it does not say which job it belongs to, or where that runs.
    """
    values = _values(data.decode("utf-8", "surrogateescape"))
    for name in ("gridid", "directory"):
        if not values.get(name):
            raise CorruptFile(path, f"no joboption_{name}")
    environment, identity = _environment(values)
    return Grami(
        gridid=JobId(values["gridid"]),
        directory=Path(values["directory"]),
        controldir=Path(values.get("controldir", "")),
        args=tuple(_series(values, "arg")),
        arg_code=_integer(values, "arg_code"),
        stdin=values.get("stdin", _NULL),
        stdout=values.get("stdout", _NULL),
        stderr=values.get("stderr", _NULL),
        environment=environment,
        globalid=identity[0],
        joburl=identity[1],
        interface=identity[2],
        jobhost=identity[3],
        cputime_s=_integer(values, "cputime"),
        walltime_s=_integer(values, "walltime"),
        memory_mb=_integer(values, "memory"),
        virtualmemory_mb=_integer(values, "virtualmemory"),
        disk_mb=_integer(values, "disk"),
        count=_integer(values, "count") or 1,
        countpernode=_integer(values, "countpernode"),
        numnodes=_integer(values, "numnodes"),
        parallel=_read_parallel(values),
        exclusivenode=values.get("exclusivenode") == "true",
        runtimes=tuple(
            RunTime(name=name, options=tuple(_series(values, f"runtime_{number}", start=1)))
            for number, name in enumerate(_series(values, "runtime"))
        ),
        jobname=values.get("jobname", ""),
        queue=values.get("queue", ""),
        starttime=_time(values.get("starttime", "")),
        priority=_integer(values, "priority") or 50,
        inputfiles=tuple(_series(values, "inputfile")),
        outputfiles=tuple(_series(values, "outputfile")),
        localid=LocalId(values["jobid"]) if values.get("jobid") else None,
    )


def _values(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _ASSIGNMENT.match(text, at)
        if match is None:
            match = _LINE.match(text, at)
        elif match[1] != "jobid" or match[1] not in values:
            values[match[1]] = _unquote(match[2])
        at = len(text) if match is None else match.end()
    return values


def _unquote(text: str) -> str:
    return "".join(
        single or _IN_DOUBLE.sub(r"\1", double) or ("" if escaped == "\n" else escaped) or bare
        for single, double, escaped, bare in _PIECE.findall(text)
    )


def _series(values: Mapping[str, str], name: str, start: int = 0) -> Iterator[str]:
    while (value := values.get(f"{name}_{start}")) is not None:
        yield value
        start += 1


def _environment(values: Mapping[str, str]) -> tuple[tuple[tuple[str, str], ...], list[str]]:
    """The variables of the description, and the four identities that ARC puts behind them."""
    pairs = [(name, value) for name, _, value in (one.partition("=") for one in _series(values, "env"))]
    names = [f"GRID_GLOBAL_{name}" for name in _GLOBALS]
    if [name for name, _ in pairs[-4:]] != names:
        return tuple(pairs), [""] * 4
    return tuple(pairs[:-4]), [value for _, value in pairs[-4:]]


def _read_parallel(values: Mapping[str, str]) -> ParallelEnvironment | None:
    if "penv_type" not in values:
        return None
    return ParallelEnvironment(
        type=values["penv_type"],
        version=values.get("penv_version", ""),
        processes_per_host=values.get("penv_processesperhost", ""),
        threads_per_process=values.get("penv_threadsperprocess", ""),
    )


def _integer(values: Mapping[str, str], name: str) -> int | None:
    text = values.get(name, "")
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else None


def _time(text: str) -> datetime | None:
    try:
        return parse_time(text)
    except ValueError:
        return None  # absent, or not a time: no wish is known
