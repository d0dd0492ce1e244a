"""The model to xRSL, in the style of the clients of ARC 6.17: what they keep in their list of jobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from arex.jobdesc.locations import join_url
from arex.jobdesc.model import InputFile, JobDescription, Location, Resources, Software
from arex.jobdesc.times import format_mds, format_period

_Pieces = Iterator[str]
_YES_NO: Final = {True: "yes", False: "no"}


def quote(text: str) -> str:
    """A string of xRSL, which can hold any character."""
    return '"' + text.replace('"', '""') + '"'


def write_xrsl(job: JobDescription) -> str:
    """
    One xRSL text on one line, to be read in the USER dialect.

    Lost, since xRSL cannot express it: the expected exit code, virtual memory, the parallel environment,
    ends other than success, and names of ADL that only people read.
    """
    return "&" + ("".join(f"( {piece} )" for piece in _pieces(job)) or '( executable = "" )')


def _pieces(job: JobDescription) -> _Pieces:
    resources = job.resources
    yield from _text("executable", job.executable)
    yield from _list("arguments", job.arguments)
    yield from _text("stdin", job.stdin)
    yield from _text("stdout", job.stdout)
    yield from _text("stderr", job.stderr)
    yield from _period("cputime", resources.cputime_s)
    yield from _period("walltime", resources.walltime_s)
    yield from _number("memory", resources.memory_mb)
    yield from _rows("environment", job.environment)
    yield from _rows("inputfiles", map(_input, job.inputs))
    yield from _list("executables", [file.name for file in job.inputs if file.executable])
    yield from _rows("outputfiles", (row for file in job.outputs for row in _outputs(file.name, file.targets)))
    yield from _text("delegationid", job.delegationid)
    yield from _text("queue", resources.queue)
    yield from (f"queue != {quote(name)}" for name in resources.excluded_queues)
    yield from _number("rerun", job.rerun)
    yield from _number("priority", job.priority)
    yield from _period("lifetime", job.lifetime_s)
    yield from _number("disk", resources.disk_mb)
    yield from _requirements(resources)
    if job.start_time is not None:
        yield from _text("starttime", format_mds(job.start_time))
    yield from _text("gmlog", job.gmlog)
    yield from _text("jobname", job.name)
    yield from _text("acl", job.acl)
    told = (
        ("".join(letter for letter in one.states if letter in "bqfecd"), one.recipient) for one in job.notifications
    )
    yield from _list("notify", [f"{states} {recipient}" for states, recipient in told if states and "@" in recipient])
    yield from (f"jobreport = {quote(report.url)}" for report in job.remote_logging)
    yield from (f"credentialserver = {quote(url)}" for url in job.credential_services[:1])
    if job.dryrun:
        yield 'dryrun = "yes"'


def _requirements(resources: Resources) -> _Pieces:
    yield from (_software("runtimeenvironment", runtime) for runtime in resources.runtimes)
    yield from (_software("middleware", middleware) for middleware in resources.middleware)
    yield from (_software("opsys", system) for system in resources.operating_systems)
    yield from _text("architecture", resources.platform)
    if resources.node_access:
        words = ["inbound", "outbound"] if resources.node_access == "inoutbound" else [resources.node_access]
        yield from _list("nodeaccess", words)
    yield from _number("count", resources.slots)
    yield from _number("countpernode", resources.slots_per_host)
    if resources.exclusive is not None:
        yield f'exclusiveexecution = "{_YES_NO[resources.exclusive]}"'


def _text(name: str, text: str) -> _Pieces:
    if text:
        yield f"{name} = {quote(text)}"


def _number(name: str, number: int | None) -> _Pieces:
    if number is not None:
        yield f'{name} = "{number}"'


def _period(name: str, seconds: int | None) -> _Pieces:
    if seconds is not None and seconds >= 0:  # xRSL has no word for less than nothing
        yield f'{name} = "{format_period(seconds)}"'


def _list(name: str, texts: Iterable[str]) -> _Pieces:
    if words := " ".join(map(quote, texts)):
        yield f"{name} = {words}"


def _rows(name: str, rows: Iterable[Iterable[str]]) -> _Pieces:
    if groups := " ".join(f"( {' '.join(map(quote, row))} )" for row in rows):
        yield f"{name} = {groups}"


def _software(name: str, software: Software) -> str:
    return f"{name} {software.relation} {' '.join(map(quote, (software.full_name, *software.options)))}"


def _input(file: InputFile) -> list[str]:
    if file.sources[:1] == (Location(url=file.name),):
        return [file.name, ""]  # a name need not be a URL, a source must
    return _row(file.name, file.sources[0]) if file.sources else [file.name, file.announced]


def _outputs(name: str, targets: Iterable[Location]) -> list[list[str]]:
    return [_row(name, target) for target in targets] or [[name, ""]]


def _row(name: str, where: Location) -> list[str]:
    delegation = [f"delegationid={where.delegationid}"] if where.delegationid else []
    return [name, join_url(where), *delegation]
