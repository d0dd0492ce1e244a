"""ADL parser, as in ARC 6.17: most invalid values are errors, unknown elements are skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from arex.errors import JobDescriptionError
from arex.jobdesc.adl.acl import normal_acl
from arex.jobdesc.adl.files import read_staging
from arex.jobdesc.adl.node import AdlDocument, Node, boolean, line_of
from arex.jobdesc.adl.writer import MB, write_adl
from arex.jobdesc.adl.xml import read_xml
from arex.jobdesc.model import (
    JobDescription,
    Notification,
    Parallel,
    Program,
    Remark,
    RemoteLogging,
    Resources,
    Software,
    TextPlace,
)
from arex.jobdesc.times import parse_time, read_period
from arex.model.labels import from_annotations
from arex.model.numbers import LONG, whole_number, wrap
from arex.model.url import full_url

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["parse_adl", "write_adl"]

_LETTER: Final = {
    "ACCEPTED": "a",
    "PREPROCESSING": "b",
    "PROCESSING": "q",
    "POSTPROCESSING": "f",
    "TERMINAL": "e",
}
_ACCESS: Final = frozenset({"inbound", "outbound", "inoutbound"})
_LIST: Final = "ActivityDescriptions"
_ONE: Final = "ActivityDescription"


def parse_adl(text: str | bytes, *, places: bool = False) -> list[JobDescription]:
    """
    Read an ``ActivityDescription``, or the ones in ``ActivityDescriptions``.

    Entities, document types and anything outside the text are refused or ignored. ``places`` are for a user who makes
    mistakes.

    Raises:
        JobDescriptionError: with the line, and the column where it is not XML.
    """
    element = read_xml(text)
    page = AdlDocument(element)
    root = Node(page, element, page.mark(element, None))
    if root.name == _ONE:
        return [_job(page, root, places=places)]
    if root.name == _LIST:
        return [_job(page, node, places=places) for node in root.nodes(_ONE)]
    raise _not_ours(element)


def _not_ours(root: _Element) -> JobDescriptionError:
    where = "is in the wrong namespace" if str(root.tag).endswith(_ONE) else f"is not an {_ONE}"
    return JobDescriptionError(f"the root element {where}", line_of(root))


def _job(page: AdlDocument, root: Node, *, places: bool) -> JobDescription:
    page.remarks.start_job()
    root.knows("ActivityIdentification", "Application", "Resources", "DataStaging")
    job = JobDescription()
    if (node := root.node("ActivityIdentification")) is not None:
        job = _identified(job, node)
    if (node := root.node("Application")) is not None:
        job = _application(job, node)
    if (node := root.node("Resources")) is not None:
        job = replace(job, resources=_resources(node))
    if (node := root.node("DataStaging")) is not None:
        staging = read_staging(node)
        job = replace(
            job,
            delegationid=staging.delegationid,
            client_data_push=staging.client_data_push,
            inputs=staging.inputs,
            outputs=staging.outputs,
        )
    return replace(job, warnings=_in_order(page.remarks.of_job()), places=tuple(_places(root)) if places else ())


#: Elements whose values are compared with what the service has, with the name of the same in xRSL.
_LIMITED: Final = {
    "IndividualPhysicalMemory": "memory",
    "DiskSpaceRequirement": "disk",
    "QueueName": "queue",
    "TotalCPUTime": "cputime",
    "WallTime": "walltime",
    "SlotRequirement": "count",
}


def _places(root: Node) -> Iterator[TextPlace]:
    for node in root.nodes("Resources"):
        for element, attribute in _LIMITED.items():
            yield from _place(attribute, node.nodes(element))
        yield from _place("runtimeenvironment", node.nodes("RuntimeEnvironment"), lambda item: _runtime(item).full_name)
    for node in root.nodes("DataStaging"):
        for element, attribute in (("InputFile", "inputfiles"), ("OutputFile", "outputfiles")):
            yield from _place(attribute, node.nodes(element), lambda item: item.text("Name"))


def _place(attribute: str, nodes: Iterable[Node], item: Callable[[Node], str] | None = None) -> Iterator[TextPlace]:
    for node in nodes:
        if (line := node.line) is not None:
            yield TextPlace(attribute=attribute, line=line, item=item(node) if item else "")


def _in_order(remarks: Iterable[Remark]) -> tuple[Remark, ...]:
    return tuple(sorted(remarks, key=lambda remark: remark.line or 0))


def _identified(job: JobDescription, node: Node) -> JobDescription:
    node.knows("Name", "Description", "Type", "Annotation", "ng:ActivityOldID")
    labels, annotations = from_annotations(node.texts("Annotation"))
    return replace(
        job,
        name=node.text("Name"),
        summary=node.text("Description"),
        type=node.text("Type"),
        annotations=annotations,
        labels=labels,
        activity_ids=node.texts("ng:ActivityOldID"),
    )


# --- Application ----------------------------------------------------------------------------------------------------


def _application(job: JobDescription, node: Node) -> JobDescription:
    node.knows(
        *("Executable", "Input", "Output", "Error", "Environment", "PreExecutable", "PostExecutable"),
        *("RemoteLogging", "ExpirationTime", "WipeTime", "Notification", "LoggingDirectory", "?LoggingDirectory"),
        *("ng:Rerun", "ng:Priority", "ng:LoggingDirectory", "ng:StartTime", "ng:AccessControl"),
        *("ng:CredentialService", "ng:DryRun"),
    )
    main = next(map(_program, node.nodes("Executable")), Program())
    return replace(
        job,
        executable=main.path,
        arguments=main.arguments,
        exit_code=main.exit_code,
        stdin=node.text("Input"),
        stdout=node.text("Output"),
        stderr=node.text("Error"),
        environment=tuple((item.text("Name"), item.text("Value")) for item in node.nodes("Environment")),
        before=tuple(map(_program, node.nodes("PreExecutable"))),
        after=tuple(map(_program, node.nodes("PostExecutable"))),
        gmlog=node.anywhere("LoggingDirectory"),
        rerun=_natural(node.number("ng:Rerun")),
        priority=_priority(node),
        dryrun=node.flag("ng:DryRun"),
        remote_logging=tuple(map(_remote_logging, node.nodes("RemoteLogging"))),
        expiration=_expiration(node),
        lifetime_s=_lifetime(node),
        notifications=tuple(_notifications(node)),
        start_time=_start_time(node),
        acl=node.read("ng:AccessControl", normal_acl) or "",
        credential_services=tuple(map(_service, node.nodes("ng:CredentialService"))),
    )


def _program(node: Node) -> Program:
    node.knows("Path", "Argument", "FailIfExitCodeNotEqualTo")
    return Program(
        path=node.text("Path"),
        arguments=node.texts("Argument"),
        exit_code=node.read("FailIfExitCodeNotEqualTo", whole_number),
    )


def _natural(number: int | None) -> int | None:
    return None if number is None or number < 0 else number


def _priority(node: Node) -> int | None:
    number = _natural(node.number("ng:Priority"))
    if number is None or number <= 100:
        return number
    node.remark("Priority is too large: it counts as 100", error=f"Priority: {number} is not a number from 0 to 100")
    return 100


def _remote_logging(node: Node) -> RemoteLogging:
    node.knows("ServiceType", "URL")
    try:
        url = full_url(node.text("URL"))
    except ValueError as exc:
        node.fail(f"RemoteLogging: {exc}", "URL")
    return RemoteLogging(url=url, type=node.text("ServiceType"), optional=bool(node.optional()))


def _service(node: Node) -> str:
    try:
        return full_url(node.content)
    except ValueError as exc:
        node.fail(f"CredentialService must contain valid URL: {exc}")


def _expiration(parent: Node) -> datetime | None:
    if (node := parent.node("ExpirationTime")) is None:
        return None
    optional = node.optional()
    try:
        return parse_time(node.content)
    except ValueError as exc:
        if not optional:
            node.fail(f"ExpirationTime: {exc}")
        node.remark(f"ExpirationTime is ignored: {exc}", error=f"ExpirationTime: {exc}")
        return None


def _lifetime(parent: Node) -> int | None:
    if (node := parent.node("WipeTime")) is None:
        return None
    node.optional()
    found = read_period(node.content)
    if found.fault or not node.content:
        why = found.fault or "it is empty"
        node.remark(f"WipeTime counts as 0 seconds: {why}", error=f"WipeTime: {why}")
    return None if found.seconds < 0 else found.seconds


def _start_time(parent: Node) -> datetime | None:
    if (node := parent.node("ng:StartTime")) is None:
        return None
    try:
        return parse_time(node.content)
    except ValueError as exc:
        node.remark(f"StartTime is ignored: {exc}", error=f"StartTime: {exc}")
        return None


def _notifications(application: Node) -> Iterator[Notification]:
    """What ARC does not support is skipped, unless ``ExpirationTime`` (as in ARC) says that it is not optional."""
    expiration = application.node("ExpirationTime")
    strict = expiration is not None and expiration.optional() is False
    for node in application.nodes("Notification"):
        node.knows("Protocol", "Recipient", "OnState")
        if node.text("Protocol") != "email":
            what = "only the notification protocol email is supported"
            if strict:
                node.fail(what)
            node.remark(f"{what}: it is ignored")
            continue
        states = "".join(_state(item, strict=strict) for item in node.nodes("OnState"))
        yield from (Notification(recipient=text, states=states) for text in node.texts("Recipient"))


def _state(node: Node, *, strict: bool) -> str:
    if (letter := _LETTER.get(node.content)) is not None:
        return letter
    what = f"OnState: no notification for the state {node.content[:80]!r}"
    if strict:
        node.fail(what)
    node.remark(what)
    return " "


# --- Resources ------------------------------------------------------------------------------------------------------


def _resources(node: Node) -> Resources:
    node.knows(
        *("OperatingSystem", "Platform", "RuntimeEnvironment", "ParallelEnvironment", "Coprocessor", "NetworkInfo"),
        *("NodeAccess", "IndividualPhysicalMemory", "IndividualVirtualMemory", "DiskSpaceRequirement"),
        *("RemoteSessionAccess", "Benchmark", "SlotRequirement", "QueueName"),
        *("IndividualCPUTime", "TotalCPUTime", "WallTime"),
    )
    for name in ("NetworkInfo", "Benchmark"):
        if name in node:
            node.fail(f"{name} is not supported yet.", name)
    coprocessor = node.node("Coprocessor")
    slots = node.node("SlotRequirement")
    found = Resources(
        operating_systems=tuple(one for one in map(_system, list(node.nodes("OperatingSystem"))[:1]) if one.name),
        platform=node.text("Platform"),
        runtimes=tuple(one for one in map(_runtime, node.nodes("RuntimeEnvironment")) if one.name),
        parallel=next(map(_parallel, node.nodes("ParallelEnvironment")), None),
        coprocessor=node.text("Coprocessor"),
        coprocessor_optional=bool(coprocessor and coprocessor.content and coprocessor.optional()),
        node_access=node.read("NodeAccess", _access) or "",
        memory_mb=node.read("IndividualPhysicalMemory", _megabytes),
        virtualmemory_mb=node.read("IndividualVirtualMemory", _megabytes),
        disk_mb=node.read("DiskSpaceRequirement", _disk),
        session_access=node.flag("RemoteSessionAccess"),
        queue=node.text("QueueName"),
        single_cputime_s=node.integer("IndividualCPUTime"),
        cputime_s=node.integer("TotalCPUTime"),
        walltime_s=node.integer("WallTime"),
    )
    return found if slots is None else _with_slots(found, slots)


def _access(text: str) -> str:
    if text not in _ACCESS:
        raise ValueError(f"expected inbound, outbound or inoutbound, not {text[:80]!r}")
    return text


def _megabytes(text: str) -> int | None:
    """Megabytes from bytes, rounded up; a number that is too large wraps around as in ARC."""
    number = wrap(-(-whole_number(text, LONG, signed=False) // MB))
    return None if number == -1 else number


def _disk(text: str) -> int | None:
    if whole_number(text, LONG, signed=False) == 0:
        raise ValueError("must not be zero")
    number = _megabytes(text)
    return None if number is None or number < 0 else number


def _with_slots(resources: Resources, node: Node) -> Resources:
    node.knows("NumberOfSlots", "SlotsPerHost", "ExclusiveExecution")
    if "NumberOfSlots" not in node:
        node.fail("Missing or wrong value in NumberOfSlots.")
    slots = node.integer("NumberOfSlots")
    per_host = node.node("SlotsPerHost")
    use_slots = per_host is not None and per_host.attribute("useNumberOfSlots") in {"true", "1"}
    return replace(
        resources,
        slots=slots,
        slots_per_host=slots if use_slots else node.integer("SlotsPerHost"),
        exclusive=_exclusive(node),
    )


def _exclusive(node: Node) -> bool | None:
    text = node.text("ExclusiveExecution")
    try:
        return boolean(text) if "ExclusiveExecution" in node else None
    except ValueError as exc:
        node.remark(f"ExclusiveExecution is ignored: {exc}", error=f"ExclusiveExecution: {exc}")
        return None


def _system(node: Node) -> Software:
    node.knows("Name", "Family", "Version")
    return Software(name=node.text("Name"), version=node.text("Version"), family=node.text("Family"))


def _runtime(node: Node) -> Software:
    node.knows("Name", "Version", "Option")
    node.optional()
    return Software(name=node.text("Name"), version=node.text("Version"), options=node.texts("Option"))


def _parallel(node: Node) -> Parallel:
    node.knows("Type", "Version", "ProcessesPerSlot", "ThreadsPerProcess", "Option")
    options = tuple(node.options())
    if not all(name for name, _ in options):
        node.fail("Missing Name element or value in ParallelEnvironment/Option element.", "Option")
    return Parallel(
        type=node.text("Type"),
        version=node.text("Version"),
        processes_per_slot=node.integer("ProcessesPerSlot"),
        threads_per_process=node.integer("ThreadsPerProcess"),
        options=tuple(sorted(options, key=itemgetter(0))),
    )
