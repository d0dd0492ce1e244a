"""
Stage 0 of runtime environments: their scripts, run by a shell on the front end before the job script is written.

A separate shell for each job reads the job's ``joboption_*`` variables from its standard input (they may hold
secrets, so never from argv), sources parameters and script of one environment after the other, and prints what the
variables are then, separated by NULs. The output of the scripts goes to the job's log.
Source: ``docs/admins/runtime-environments.md``.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from arex import process
from arex.errors import SubmitRejected
from arex.jobdesc.control.grami import dump_grami, parse_grami
from arex.model.grami import Grami
from arex.process import CommandFailed, Completed, NotStarted
from lrms.jobscript.quoting import expanding
from lrms.jobscript.settings import NOTHING_SETTLED, Settled
from lrms.jobscript.template import part

_SHARED: Final = "RUNTIME_NODE_SEES_FRONTEND"
#: The job's identity in its environment, which scripts cannot change.
_IDENTITY: Final = frozenset(f"GRID_GLOBAL_{name}" for name in ("JOBID", "JOBURL", "JOBINTERFACE", "JOBHOST"))
_NUMBERS: Final = ("arg_code", "count", "countpernode", "numnodes", "cputime", "walltime", "memory", "virtualmemory",
                   "disk", "priority")  # fmt: skip
#: Characters from the beginning and the end of the scripts' output that go to the log of the job.
_HEAD, _TAIL = 8192, 24576


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """How stage 0 is run."""

    path: str = "/bin/sh"
    timeout_s: float = 60.0
    environment: Mapping[str, str]  #: all that the scripts see
    variables: Mapping[str, str]  #: of the shell, in addition to the job's options


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of stage 0 for a job."""

    grami: Grami
    settled: Settled = NOTHING_SETTLED
    log: str = ""  #: what the scripts printed, cut to a sensible size
    rejected: SubmitRejected | None = None


async def run_stage0(grami: Grami, shell: Shell) -> Outcome:
    """
    Run the environments of one job, including those that a script adds.

    If a script fails, the job is ``rejected``, with the log.

    Raises:
        BatchUnavailable: no shell could be started; this is not a fault of the job.
    """
    command = " ".join(map(expanding, grami.args))
    try:
        done = await process.run(
            (shell.path, "-s"),
            timeout=shell.timeout_s,
            stdin=_program(grami, command, shell.variables),
            cwd=Path("/"),
            env=shell.environment,
        )
    except NotStarted:
        raise
    except CommandFailed as exc:
        names = ", ".join(each.name for each in grami.runtimes)
        limit = (
            f"it did not end within {shell.timeout_s:g} s"
            if isinstance(exc.__cause__, TimeoutError)
            else "endless output"
        )
        return _failed(Outcome(grami=grami), names, limit)
    reported = _reported(done.out)
    outcome = Outcome(grami=grami, log=_cut(done.err))
    if reported.after is None:
        return _failed(outcome, reported.at, _reason(done))
    return _judged(outcome, reported.before, reported.after)


@dataclass(frozen=True, slots=True)
class _Reported:
    """The output of the shell."""

    at: str  #: the environment that was run last
    before: Mapping[str, str]  #: variables
    after: Mapping[str, str] | None  #: None: it did not get so far


def _failed(outcome: Outcome, name: str, why: str) -> Outcome:
    return replace(outcome, rejected=SubmitRejected(f"Runtime {name} stage 0 execution failed: {why}"))


def _reason(done: Completed) -> str:
    """The last line that is not empty: scripts end with their reason."""
    lines = [line.strip() for line in done.err.splitlines() if line.strip()]
    how = f"signal {-done.code}" if done.code < 0 else f"exit code {done.code}"
    return f"{how}: {lines[-1][:500]}" if lines else how


def _cut(text: str) -> str:
    if len(text) <= _HEAD + _TAIL:
        return text
    return f"{text[:_HEAD]}\n... {len(text) - _HEAD - _TAIL} characters are left out ...\n{text[-_TAIL:]}"


def _reported(out: str) -> _Reported:
    at = ""
    before: dict[str, str] | None = None
    values: dict[str, str] = {}
    words = out.split("\0")
    for name, value in zip(words[::2], words[1::2], strict=False):
        match name:
            case "at":
                at = value
            case "begin":
                before, values = values, {}
            case "end":
                return _Reported(at, before or {}, values)
            case _:
                values[name] = value
    return _Reported(at, before or {}, None)


# --- what it has changed ----------------------------------------------------------------------------------------------


def _judged(outcome: Outcome, before: Mapping[str, str], after: Mapping[str, str]) -> Outcome:
    for name in _NUMBERS:
        if (text := after.get(f"joboption_{name}", "")) and not text.removeprefix("-").isdecimal():
            why = f"Runtime stage 0 has set {name} to {text!r}, which is not a number"
            return replace(outcome, rejected=SubmitRejected(why))
    if before.get(_SHARED) and not after.get(_SHARED):
        why = f"Runtime stage 0 has cleared {_SHARED}, and arex does not move session directories for single jobs"
        return replace(outcome, rejected=SubmitRejected(why))
    changed = {name: value for name, value in after.items() if before.get(name) != value}
    settled = Settled(
        command=changed.pop("joboption_args", ""),
        instance=changed.get("ACCOUNTING_WN_INSTANCE", ""),
        benchmark=changed.get("ACCOUNTING_BENCHMARK", ""),
        scratch=changed.get("RUNTIME_LOCAL_SCRATCH_DIR", ""),
        movetool=changed.get("RUNTIME_LOCAL_SCRATCH_MOVE_TOOL", ""),
        shared=changed.get("RUNTIME_FRONTEND_SEES_NODE", ""),
        multicore=bool(changed.get("RUNTIME_ENABLE_MULTICORE_SCRATCH")),
        docker_image=changed.get("DOCKER_IMAGE", ""),
        properties=_series(after, "joboption_nodeproperty"),
    )
    gone = {name for name in before if name not in after and name.startswith("joboption_")}
    options = {name: value for name, value in changed.items() if name.startswith("joboption_")}
    return replace(outcome, grami=_changed(outcome.grami, options, after if gone else {}), settled=settled)


def _series(values: Mapping[str, str], name: str) -> tuple[str, ...]:
    found: list[str] = []
    while (value := values.get(f"{name}_{len(found)}")) is not None:
        found.append(value)
    return tuple(found)


def _changed(grami: Grami, options: Mapping[str, str], everything: Mapping[str, str]) -> Grami:
    """
    The job with these options; its id and directories cannot change.

    ``everything`` counts where options were removed; otherwise unchanged options keep their bytes.
    """
    if not options and not everything:
        return grami
    data = b"" if everything else dump_grami(replace(grami, localid=None))
    lines = (f"{name}={shlex.quote(value)}\n" for name, value in (everything or options).items())
    own = f"joboption_gridid={shlex.quote(grami.gridid)}\njoboption_directory={shlex.quote(str(grami.directory))}\n"
    new = parse_grami(data + os.fsencode("".join(lines) + own))
    return replace(
        new,
        controldir=grami.controldir,
        environment=tuple(pair for pair in new.environment if pair[0] not in _IDENTITY),
        globalid=grami.globalid,
        joburl=grami.joburl,
        interface=grami.interface,
        jobhost=grami.jobhost,
        localid=grami.localid,
    )


# --- the program ------------------------------------------------------------------------------------------------------


def _program(grami: Grami, command: str, variables: Mapping[str, str]) -> bytes:
    """The program of the shell. It is parsed before it runs, so that no script can consume it from standard input."""
    options = os.fsdecode(dump_grami(replace(grami, localid=None)))
    text = part(
        "stage0",
        VARIABLES="\n".join(f"{name}={shlex.quote(value)}" for name, value in variables.items()),
        ARGS=shlex.quote(command),
        RTE=shlex.quote(str(grami.controldir / "rte")),
        OPTIONS=options.removesuffix("\n"),
    )
    return os.fsencode(text + "\n")
