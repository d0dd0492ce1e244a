"""
``.xml``: the job as a GLUE2 ComputingActivity, rewritten whenever its state changes.

Source: ARC 6.17; ``docs/developers/control-directory.md`` lists the states.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from arex.controldir import codec
from arex.controldir.delegations import user_name
from arex.errors import CorruptFile
from arex.gm.context import JobContext
from arex.jobdesc.control.grami import parse_grami
from arex.model.arc import CANCELLED, LOCAL_INTERFACE
from arex.model.grami import Grami
from arex.model.local import JobLocal
from arex.model.report import Phase, Report, Usage
from arex.model.state import State, Status
from arex.xmltext import legal

_NAMESPACE: Final = "http://schemas.ogf.org/glue/2009/03/spec_2.0_r1"
_VALIDITY_S: Final = 10800
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})

_REST: Final = {
    Status(State.ACCEPTED): "ACCEPTING",
    Status(State.ACCEPTED, pending=True): "ACCEPTED",
    Status(State.PREPARING): "PREPARING",
    Status(State.PREPARING, pending=True): "PREPARED",
    Status(State.SUBMIT): "SUBMITTING",
    Status(State.INLRMS, pending=True): "EXECUTED",
    Status(State.CANCELING): "KILLING",
    Status(State.FINISHING): "FINISHING",
    Status(State.DELETED): "WIPED",
}
_REST_INLRMS: Final = {
    "Q": "QUEUING",
    "R": "RUNNING",
    "S": "HELD",
    "H": "HELD",
    "E": "EXITINGLRMS",
    "EXECUTED": "EXITINGLRMS",
}
#: Attributes by the letter of the phase in the batch system, after queued.
_EMIES_INLRMS: Final = {"R": ("app-running",), "S": ("batch-suspend",)}
_EMIES: Final = {
    State.ACCEPTED: ("accepted", ("client-stagein-possible",)),
    State.PREPARING: ("preprocessing", ("client-stagein-possible", "server-stagein")),
    State.SUBMIT: ("processing-accepting", ()),
    State.INLRMS: ("processing-queued", ()),
    State.CANCELING: ("processing", ("processing-cancel",)),
    State.FINISHING: ("postprocessing", ("client-stageout-possible", "server-stageout")),
    State.FINISHED: ("terminal", ("client-stageout-possible",)),
    State.DELETED: ("terminal", ("expired",)),
}
_PHASE_OF: Final = {
    State.ACCEPTED: "validation",
    State.PREPARING: "preprocessing",
    State.SUBMIT: "processing",
    State.INLRMS: "processing",
    State.CANCELING: "processing",
    State.FINISHING: "postprocessing",
}
_account: Final = functools.cache(user_name)
_IN_BATCH: Final = frozenset({State.INLRMS, State.CANCELING})


def publish(context: JobContext) -> None:
    """Write the document for the state that the job is in now; a job that has not been admitted has none yet."""
    if context.job.state is State.UNDEFINED:
        return
    context.store.put(context.job.id, "xml", codec.encode(document(context)))


def shows(context: JobContext) -> bool:
    """Whether the document on disk already has this phase of the job, its nodes, and what it used so far."""
    report = _report(context)
    if report.usage != Usage():
        return False
    shown = _read(context, "xml")
    nodes = [f"<ExecutionNode>{_escaped(node)}</ExecutionNode>" for node in report.nodes]
    return all(text.encode() in shown for text in (f"<State>nordugrid:INLRMS:{context.phase}</State>", *nodes))


def document(context: JobContext) -> str:
    """The whole document; reads ``.grami``, ``.diag`` and ``.failed``."""
    now = codec.iso_time(context.services.clock.now())
    body = "".join(f"  <{name}>{_escaped(value)}</{name}>\n" for name, value in _elements(context))
    share = f"urn:ogf:ComputingShare:{context.settings.hostname}:{context.job.local.queue or ''}"
    return (
        f'<ComputingActivity xmlns="{_NAMESPACE}" BaseType="Activity" CreationTime="{now}" Validity="{_VALIDITY_S}">\n'
        f"{body}  <Associations>\n    <ComputingShareID>{_escaped(share)}</ComputingShareID>\n  </Associations>\n"
        "</ComputingActivity>\n"
    )


def _escaped(text: str) -> str:
    return legal(text).translate(_ESCAPES)


def _elements(context: JobContext) -> Iterator[tuple[str, str]]:
    job, local = context.job, context.job.local
    interface = local.interface or LOCAL_INTERFACE
    failures = [line for line in codec.decode(_read(context, "failed")).splitlines() if line]
    grami = _grami(context)
    yield "ID", f"urn:caid:{context.settings.hostname}:{interface}:{job.id}"
    if local.jobname:
        yield "Name", local.jobname
    yield "OtherInfo", f"SubmittedVia={interface}"
    yield "Type", "single"
    yield "IDFromEndpoint", f"urn:idfe:{job.id}"
    if local.localid and job.state in _IN_BATCH:
        yield "LocalIDFromManager", local.localid
    yield "JobDescription", _language(context)
    yield from (("State", text) for text in states(job.status, context.phase, local, failures))
    if job.state is State.FINISHED and local.failedstate is not None:
        yield from (("RestartState", text) for text in restart_states(local.failedstate))
    used = dict(codec.parse_diag(_read(context, "diag")))
    if (code := codec.diag_number(used.get("exitcode", ""))) is not None:
        yield "ExitCode", str(code)
    yield from (("Error", line) for line in failures)
    if local.subject:
        yield "Owner", local.subject
    yield "LocalOwner", _account()
    yield from _requested(grami)
    if local.gmlog:
        yield "LogDir", local.gmlog
    nodes = [used["nodename"]] if used.get("nodename") else _report(context).nodes
    yield from (("ExecutionNode", node) for node in nodes)
    if local.queue:
        yield "Queue", local.queue
    yield from _used(used, _report(context).usage, grami)
    yield from _times(context, used)


def _read(context: JobContext, suffix: str) -> bytes:
    """Content of a control file; empty if it is missing or invalid, so that the document has less information."""
    try:
        return context.store.read(context.job.id, suffix) or b""
    except CorruptFile:
        return b""


def _grami(context: JobContext) -> Grami | None:
    try:
        return parse_grami(_read(context, "grami"))
    except CorruptFile:
        return None


def _language(context: JobContext) -> str:
    """The language of the description, as A-REX names it."""
    return "emies:adl" if _read(context, "description").lstrip().startswith(b"<") else "nordugrid:xrsl"


def _report(context: JobContext) -> Report:
    """The last report of the batch system, if the job is there; an empty one otherwise."""
    known = context.report if context.job.state in _IN_BATCH else None
    return known or Report(phase=Phase.OTHER)


def _requested(grami: Grami | None) -> Iterator[tuple[str, str]]:
    if grami is None:
        return
    # wall time is published times slots, as GLUE2 clients divide by slots again
    if grami.walltime_s is not None:
        yield "RequestedTotalWallTime", str(grami.walltime_s * grami.count)
    if grami.cputime_s is not None:
        yield "RequestedTotalCPUTime", str(grami.cputime_s)
    yield "RequestedSlots", str(grami.count)
    yield from (("RequestedApplicationEnvironment", runtime.name) for runtime in grami.runtimes)
    root = f"{grami.directory}/"
    yield "StdIn", grami.stdin
    yield "StdOut", grami.stdout.removeprefix(root)
    yield "StdErr", grami.stderr.removeprefix(root)


def _used(used: dict[str, str], so_far: Usage, grami: Grami | None) -> Iterator[tuple[str, str]]:
    """What the job used: from its diag file after its end, before that as far as the batch system reports it."""
    slots = 1 if grami is None else grami.count
    before = (so_far.wall_s, so_far.user_s, so_far.system_s, so_far.max_rss_kb)
    keys = ("walltime", "usertime", "kerneltime", "maxresidentmemory")
    wall, user, system, memory = (
        amount if (known := codec.diag_number(used.get(key, ""))) is None and amount is not None else known
        for key, amount in zip(keys, before, strict=True)
    )
    if wall is not None:
        yield "UsedTotalWallTime", str(int(wall) * slots)
    if user is not None or system is not None:
        yield "UsedTotalCPUTime", str(int((user or 0) + (system or 0)))
    if memory is not None:
        yield "UsedMainMemory", str(-(-int(memory) // 1024))  # MB


def _times(context: JobContext, used: dict[str, str]) -> Iterator[tuple[str, str]]:
    local = context.job.local
    pairs: list[tuple[str, datetime | None]] = [
        ("SubmissionTime", local.starttime),
        ("StartTime", _stamp(used.get("lrmsstarttime")) or _report(context).started),
        ("ComputingManagerEndTime", _stamp(used.get("lrmsendtime"))),
        ("EndTime", context.job.changed if context.job.state is State.FINISHED else None),
        ("WorkingAreaEraseTime", local.cleanuptime if context.job.state is State.FINISHED else None),
        ("ProxyExpirationTime", local.delegexpiretime),
    ]
    yield from ((name, codec.iso_time(moment)) for name, moment in pairs if moment is not None)


def _stamp(text: str | None) -> datetime | None:
    try:
        return codec.parse_mds(text) if text else None
    except ValueError:
        return None  # the payload can write into its diag file


def states(status: Status, phase: str, local: JobLocal, failures: list[str]) -> list[str]:
    """The State elements: nordugrid, file, bes, arcrest, emies and its attributes."""
    if status.state is State.FINISHED:
        return _final_states(local, failures)
    word = f"INLRMS:{phase}" if status.state is State.INLRMS and phase and not status.pending else str(status)
    primary, attributes = _EMIES[status.state]
    rest = (
        _REST.get(status) or _REST.get(Status(status.state)) or _REST_INLRMS.get(phase, "OTHER" if phase else "QUEUING")
    )
    if status.state is State.INLRMS and phase not in {"", "Q", "H"}:
        primary, attributes = "processing-running", _EMIES_INLRMS.get(phase, ())
    if status.pending:
        attributes = (*attributes, "server-paused")
    bes = {State.ACCEPTED: "Pending", State.DELETED: "Finished"}.get(status.state, "Running")
    return [
        f"nordugrid:{word}",
        f"file:{'hold' if status.pending else status.state.lower()}",
        f"bes:{bes}",
        f"arcrest:{rest}",
        f"emies:{primary}",
        *(f"emiesattr:{attribute}" for attribute in attributes),
    ]


def restart_states(failed: State) -> list[str]:
    """The RestartState elements: the state in which a job failed. A-REX assumes that it was running in the LRMS."""
    if failed is not State.INLRMS:
        return states(Status(failed), "", JobLocal(), [])
    return ["nordugrid:INLRMS", *states(Status(failed), "O", JobLocal(), [])[1:], "emiesattr:app-running"]


def _final_states(local: JobLocal, failures: list[str]) -> list[str]:
    primary, attributes = _EMIES[State.FINISHED]
    if not failures:
        return ["nordugrid:FINISHED", "file:finished", "bes:Finished", "arcrest:FINISHED", f"emies:{primary}",
                *(f"emiesattr:{attribute}" for attribute in attributes)]  # fmt: skip
    killed = CANCELLED in failures
    word, bes = ("KILLED", "Cancelled") if killed else ("FAILED", "Failed")
    where = local.failedstate or State.ACCEPTED
    return [
        f"nordugrid:{word}::{local.failedstate or ''}",
        f"file:{'killed' if killed else where.lower()}",
        f"bes:{bes}",
        f"arcrest:{word}",
        f"emies:{primary}",
        *(f"emiesattr:{attribute}" for attribute in attributes),
        f"emiesattr:{_PHASE_OF.get(where, 'processing')}-{'cancel' if killed else 'failure'}",
    ]
