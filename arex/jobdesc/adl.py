"""ADL to the model. Elements nobody knows are skipped, values that do not read are errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

from arex.errors import JobDescriptionError
from arex.jobdesc.adl_writer import ADL, MB, NORDUGRID, ON_STATE, write_adl
from arex.jobdesc.model import (
    Creation,
    InputFile,
    JobDescription,
    Location,
    Notification,
    OutputFile,
    Parallel,
    RemoteLogging,
    Resources,
    Software,
    Target,
)
from arex.jobdesc.times import parse_period, parse_time
from arex.jobdesc.urls import sort_options, split_url

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["parse_adl", "write_adl"]

_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")
_LETTER: Final = {state: letter for letter, state in ON_STATE.items()}
_PREFIX: Final = {f"{{{ADL}": "", f"{{{NORDUGRID}": "ng:"}
_REFUSED: Final = ("NetworkInfo", "Benchmark")
_T = TypeVar("_T")


def _line(element: _Element) -> int:
    line: object = element.sourceline
    return line if isinstance(line, int) else 1


class _Node:
    """An element with its children by name; names of the NorduGrid extension start with ``ng:``."""

    __slots__ = ("_children", "_element")

    def __init__(self, element: _Element) -> None:
        self._element = element
        self._children: dict[str, list[_Element]] = {}
        for child in element:
            space, _, name = str(child.tag).rpartition("}")
            if space in _PREFIX:
                self._children.setdefault(_PREFIX[space] + name, []).append(child)

    def fail(self, what: str, element: _Element | None = None) -> NoReturn:
        raise JobDescriptionError(what, _line(self._element if element is None else element))

    def __contains__(self, name: str) -> bool:
        return name in self._children

    def nodes(self, name: str) -> Iterator[_Node]:
        return map(_Node, self._children.get(name, ()))

    def node(self, name: str) -> _Node | None:
        return next(self.nodes(name), None)

    def attribute(self, name: str) -> bool:
        return self._element.get(name) in {"true", "1"}

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(element.text or "" for element in self._children.get(name, ()))

    def text(self, name: str) -> str:
        found = self._children.get(name)
        return (found[0].text or "") if found else ""

    def needed(self, name: str) -> str:
        text = self.text(name)
        if not text:
            self.fail(f"{name} is missing")
        return text

    def read(self, name: str, reader: Callable[[str], _T]) -> _T | None:
        """The value of one element, None when it is absent."""
        found = self._children.get(name)
        if not found:
            return None
        try:
            return reader(found[0].text or "")
        except ValueError as exc:
            self.fail(f"{name}: {exc}", found[0])

    def flag(self, name: str, *, default: bool = False) -> bool:
        found = self.read(name, _bool)
        return default if found is None else found


def _bool(text: str) -> bool:
    if text.strip() not in {"true", "1", "false", "0"}:
        raise ValueError(f"not true or false: {text[:80]!r}")
    return text.strip() in {"true", "1"}


def _integer(text: str) -> int:
    if _INTEGER.fullmatch(text.strip()) is None:
        raise ValueError(f"not a whole number: {text[:80]!r}")
    return int(text)


def _natural(text: str) -> int:
    number = _integer(text)
    if number < 0:
        raise ValueError(f"must not be negative: {text[:80]!r}")
    return number


def _megabytes(text: str) -> int:
    return -(-_natural(text) // MB)


def _priority(text: str) -> int:
    return min(max(_integer(text), 1), 100)


def _creation(text: str) -> Creation:
    return Creation(text.strip())


def parse_adl(text: str) -> list[JobDescription]:
    """
    Read an ``ActivityDescription``, or the ones in ``ActivityDescriptions``.

    Entities, document types and anything outside the text are refused or ignored.

    Raises:
        JobDescriptionError: with the line, and the column where it is not XML.
    """
    root = _root(text)
    if root.tag == f"{{{ADL}}}ActivityDescription":
        return [_job(_Node(root))]
    if root.tag == f"{{{ADL}}}ActivityDescriptions":
        return [_job(node) for node in _Node(root).nodes("ActivityDescription")]
    raise JobDescriptionError("the document is not an ActivityDescription", _line(root))


def _root(text: str) -> _Element:
    from lxml import etree  # noqa: PLC0415 - a client with an xRSL job does not pay for lxml

    at = text.find("<!DOCTYPE")
    if at >= 0:
        raise JobDescriptionError(
            "a document type is not allowed", text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        )
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
        huge_tree=False,
    )
    try:
        return etree.fromstring(text.encode("utf-8", "surrogatepass"), parser)
    except etree.XMLSyntaxError as exc:
        line, column = exc.position
        raise JobDescriptionError(exc.msg or "not XML", max(line, 1), max(column, 1)) from exc


def _job(root: _Node) -> JobDescription:
    job = JobDescription()
    if (node := root.node("ActivityIdentification")) is not None:
        job = replace(
            job,
            name=node.text("Name"),
            summary=node.text("Description"),
            type=node.text("Type"),
            annotations=node.texts("Annotation"),
            activity_ids=node.texts("ng:ActivityOldID"),
        )
    if (node := root.node("Application")) is not None:
        job = _application(job, node)
    if (node := root.node("Resources")) is not None:
        job = _with_resources(job, node)
    if (node := root.node("DataStaging")) is not None:
        job = replace(
            job,
            delegationid=node.text("ng:DelegationID"),
            client_data_push=node.flag("ClientDataPush"),
            inputs=tuple(map(_input, node.nodes("InputFile"))),
            outputs=tuple(map(_output, node.nodes("OutputFile"))),
        )
    return job


def _application(job: JobDescription, node: _Node) -> JobDescription:
    executable = node.node("Executable")
    if executable is not None:
        job = replace(
            job,
            executable=executable.text("Path"),
            arguments=executable.texts("Argument"),
            exit_code=executable.read("FailIfExitCodeNotEqualTo", _integer),
        )
    rerun = node.read("ng:Rerun", _integer)
    return replace(
        job,
        stdin=node.text("Input"),
        stdout=node.text("Output"),
        stderr=node.text("Error"),
        environment=tuple((item.needed("Name"), item.text("Value")) for item in node.nodes("Environment")),
        gmlog=node.text("ng:LoggingDirectory"),
        rerun=None if rerun is not None and rerun < 0 else rerun,
        priority=node.read("ng:Priority", _priority),
        dryrun=node.flag("ng:DryRun"),
        remote_logging=tuple(map(_remote_logging, node.nodes("RemoteLogging"))),
        expiration=node.read("ExpirationTime", _time),
        lifetime_s=node.read("WipeTime", parse_period),
        notifications=tuple(one for item in node.nodes("Notification") for one in _notifications(item)),
        start_time=node.read("ng:StartTime", _time),
        acl=node.text("ng:AccessControl"),
        credential_services=tuple(split_url(url)[0] for url in node.texts("ng:CredentialService")),
        unsupported=tuple(name for name in ("PreExecutable", "PostExecutable") if name in node),
    )


def _time(text: str) -> datetime:
    return parse_time(text)


def _remote_logging(node: _Node) -> RemoteLogging:
    return RemoteLogging(
        url=split_url(node.needed("URL"))[0],
        type=node.text("ServiceType") or "SGAS",
        optional=node.attribute("optional"),
    )


def _notifications(node: _Node) -> Iterator[Notification]:
    if node.text("Protocol") != "email":
        node.fail("only the notification protocol email is supported")
    letters = "".join(_LETTER.get(state, "") for state in node.texts("OnState"))
    return (Notification(recipient=text, states=letters) for text in node.texts("Recipient"))


def _with_resources(job: JobDescription, node: _Node) -> JobDescription:
    for name in _REFUSED:
        if name in node:
            node.fail(f"{name} is not supported yet.")
    slots = node.node("SlotRequirement")
    resources = Resources(
        operating_systems=tuple(map(_system, node.nodes("OperatingSystem"))),
        platform=node.text("Platform"),
        runtimes=tuple(map(_runtime, node.nodes("RuntimeEnvironment"))),
        parallel=next(map(_parallel, node.nodes("ParallelEnvironment")), None),
        node_access=node.text("NodeAccess"),
        memory_mb=node.read("IndividualPhysicalMemory", _megabytes),
        virtualmemory_mb=node.read("IndividualVirtualMemory", _megabytes),
        disk_mb=node.read("DiskSpaceRequirement", _megabytes),
        session_access=node.flag("RemoteSessionAccess"),
        slots=None if slots is None else slots.read("NumberOfSlots", _natural),
        slots_per_host=None if slots is None else _slots_per_host(slots),
        exclusive=None if slots is None else slots.read("ExclusiveExecution", _bool),
        queue=node.text("QueueName"),
        single_cputime_s=node.read("IndividualCPUTime", _natural),
        cputime_s=node.read("TotalCPUTime", _natural),
        walltime_s=node.read("WallTime", _natural),
    )
    unsupported = (*job.unsupported, *(("Coprocessor",) if "Coprocessor" in node else ()))
    return replace(job, resources=resources, unsupported=unsupported)


def _slots_per_host(node: _Node) -> int | None:
    per_host = node.node("SlotsPerHost")
    if per_host is not None and per_host.attribute("useNumberOfSlots"):
        return node.read("NumberOfSlots", _natural)
    return node.read("SlotsPerHost", _natural)


def _system(node: _Node) -> Software:
    return Software(name=node.text("Name"), version=node.text("Version"), family=node.text("Family"))


def _runtime(node: _Node) -> Software:
    return Software(name=node.needed("Name"), version=node.text("Version"), options=node.texts("Option"))


def _parallel(node: _Node) -> Parallel:
    return Parallel(
        type=node.text("Type"),
        version=node.text("Version"),
        processes_per_slot=node.read("ProcessesPerSlot", _natural),
        threads_per_process=node.read("ThreadsPerProcess", _natural),
        options=tuple((item.text("Name"), item.text("Value")) for item in node.nodes("Option")),
    )


def _input(node: _Node) -> InputFile:
    return InputFile(
        name=node.needed("Name"),
        sources=tuple(map(_source, node.nodes("Source"))),
        executable=node.flag("IsExecutable"),
    )


def _source(node: _Node) -> Location:
    url, options = _url(node)
    return Location(url=url, options=options, delegationid=node.text("DelegationID"))


def _url(node: _Node) -> tuple[str, tuple[tuple[str, str], ...]]:
    url, options = split_url(node.needed("URI"))
    named = ((item.needed("Name"), item.text("Value")) for item in node.nodes("Option"))
    return url, sort_options((*options, *named))


def _output(node: _Node) -> OutputFile:
    return OutputFile(name=node.needed("Name"), targets=tuple(map(_target, node.nodes("Target"))))


def _target(node: _Node) -> Target:
    url, options = _url(node)
    return Target(
        url=url,
        options=options,
        delegationid=node.text("DelegationID"),
        mandatory=node.flag("Mandatory"),
        creation=node.read("CreationFlag", _creation) or Creation.UNSET,
        if_success=node.flag("UseIfSuccess", default=True),
        if_failure=node.flag("UseIfFailure"),
        if_cancel=node.flag("UseIfCancel"),
    )
