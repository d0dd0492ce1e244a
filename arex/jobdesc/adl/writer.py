"""The model to ADL, byte for byte as the clients of ARC 6.17 write it; no XML library needed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from arex.errors import JobDescriptionError
from arex.jobdesc.model import (
    InputFile,
    JobDescription,
    Location,
    Notification,
    OutputFile,
    Program,
    Resources,
    Software,
    Target,
)
from arex.jobdesc.times import format_mds, format_period
from arex.model.labels import as_annotations
from arex.model.url import is_remote
from arex.xmltext import ILLEGAL

MB: Final = 1048576
ADL: Final = "http://www.eu-emi.eu/es/2010/12/adl"
NORDUGRID: Final = "http://www.nordugrid.org/es/2011/12/nordugrid-adl"
_TYPES: Final = "http://www.eu-emi.eu/es/2010/12/types"
_ROOT: Final = f'<ActivityDescription xmlns="{ADL}" xmlns:emiestypes="{_TYPES}" xmlns:nordugrid-adl="{NORDUGRID}">'

#: Letters of a notification in ``.local`` to states of ADL.
ON_STATE: Final = {
    "b": "PREPROCESSING",
    "q": "PROCESSING",
    "f": "POSTPROCESSING",
    "e": "TERMINAL",
}
#: ARC's clients write ACCEPTED for a state that is not supported (a blank), and leave out ACCEPTED itself (``a``).
_ODD_STATE: Final = {" ": "ACCEPTED"}
_FIRST_STATE: Final = {"a": "ACCEPTED"}

#: Options with separate elements.
_SAID_ELSEWHERE: Final = frozenset({"mandatory", "useiffailure", "useifcancel", "useifsuccess"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ALL_BITS: Final = 0xFFFFFFFF

_SPECIAL: Final = re.compile(r"[&<>\r]|[^\x00-\x7f]")
_NAMED: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}

_Lines = Iterator[str]


def _escape(text: str) -> str:
    if ILLEGAL.search(text) is not None:
        raise JobDescriptionError(f"{text[:80]!r} contains a character that is not allowed in XML, and so not in ADL")
    return _SPECIAL.sub(lambda match: _NAMED.get(match[0]) or f"&#x{ord(match[0]):X};", text)


def _leaf(name: str, value: object) -> str:
    """One element, on one line. ``true`` and ``false`` for booleans."""
    text = str(value).lower() if isinstance(value, bool) else _escape(str(value))
    return f"<{name}>{text}</{name}>" if text else f"<{name}/>"


def _given(name: str, value: str | int | None) -> _Lines:
    """An element, unless its value is empty."""
    if value is not None and value != "" and value is not False:
        yield _leaf(name, value)


def _block(name: str, lines: Iterable[str]) -> _Lines:
    """An element around others, which are indented by two blanks."""
    inner = [f"  {line}" for line in lines]
    if not inner:
        yield f"<{name}/>"
        return
    yield f"<{name}>"
    yield from inner
    yield f"</{name}>"


def _present(name: str, lines: Iterable[str]) -> _Lines:
    """An element around others, if there are any."""
    inner = list(lines)
    if inner:
        yield from _block(name, inner)


def write_adl(job: JobDescription, *, whole: bool = False) -> str:
    """
    One ADL document.

    Sources of inputs that are local to the client are left out: it uploads them.

    Args:
        job: to be written.
        whole: as ARC's services understand it best. Its clients leave out whether to overwrite what is there, and the
            number of slots of a job that only wants its node to itself; they ask for a disk of no size, which is
            refused.

    Raises:
        JobDescriptionError: a string holds a control character that XML forbids.
    """
    lines = [_ROOT]
    for section in (
        _block("ActivityIdentification", _identification(job)),
        _block("Application", _application(job, whole=whole)),
        _block("Resources", _resources(job.resources, whole=whole)),
        _block("DataStaging", _staging(job, whole=whole)),
    ):
        lines.extend(f"  {line}" for line in section)
    return "\n".join(('<?xml version="1.0"?>', *lines, "</ActivityDescription>", ""))


def _identification(job: JobDescription) -> _Lines:
    yield from _given("Name", job.name)
    yield from _given("Description", job.summary)
    yield from _given("Type", job.type)
    yield from (_leaf("Annotation", text) for text in (*job.annotations, *as_annotations(job.labels)))
    yield from (_leaf("nordugrid-adl:ActivityOldID", text) for text in job.activity_ids)


def _application(job: JobDescription, *, whole: bool) -> _Lines:
    yield from _block("Executable", _executable(job))
    yield from _given("Input", job.stdin)
    yield from _given("Output", job.stdout)
    yield from _given("Error", job.stderr)
    yield from _given("nordugrid-adl:Rerun", job.rerun)
    yield from _given("nordugrid-adl:Priority", job.priority)
    for name, value in job.environment:
        yield from _block("Environment", (_leaf("Name", name), _leaf("Value", value)))
    for program in job.before:
        yield from _block("PreExecutable", _program(program))
    for program in job.after:
        yield from _block("PostExecutable", _program(program))
    yield from _given("nordugrid-adl:LoggingDirectory", job.gmlog)
    for report in job.remote_logging:
        opening = 'RemoteLogging optional="true"' if report.optional else "RemoteLogging"
        yield f"<{opening}>"
        yield f"  {_leaf('ServiceType', report.type)}"
        yield f"  {_leaf('URL', report.url)}"
        yield "</RemoteLogging>"
    if job.expiration is not None and job.expiration >= _EPOCH:
        # the last hours of the year 9999 may be those of the next one here, which no datetime can say
        here = time.localtime(job.expiration.timestamp())
        yield _leaf("ExpirationTime", time.strftime("%Y-%m-%d %H:%M:%S", here))
    if job.lifetime_s is not None:
        yield _leaf("WipeTime", format_period(job.lifetime_s))
    for notification in job.notifications:
        yield from _block("Notification", _notification(notification, whole=whole))
    if job.start_time is not None:
        yield _leaf("nordugrid-adl:StartTime", format_mds(job.start_time))
    yield from _given("nordugrid-adl:AccessControl", job.acl)
    yield from (_leaf("nordugrid-adl:CredentialService", url) for url in job.credential_services)
    yield from _given("nordugrid-adl:DryRun", job.dryrun)


def _executable(job: JobDescription) -> _Lines:
    return _program(Program(path=job.executable, arguments=job.arguments, exit_code=job.exit_code))


def _program(program: Program) -> _Lines:
    if not program.path:
        return
    yield _leaf("Path", program.path)
    yield from (_leaf("Argument", argument) for argument in program.arguments)
    yield from _given("FailIfExitCodeNotEqualTo", program.exit_code)


def _notification(notification: Notification, *, whole: bool) -> _Lines:
    yield _leaf("Protocol", "email")
    yield _leaf("Recipient", notification.recipient)
    states = ON_STATE | (_FIRST_STATE if whole else _ODD_STATE)
    yield from (_leaf("OnState", states[letter]) for letter in notification.states if letter in states)


def _resources(resources: Resources, *, whole: bool) -> _Lines:
    for system in resources.operating_systems:
        version = (*_given("Family", system.family), _leaf("Version", system.version))
        yield from _block("OperatingSystem", (_leaf("Name", system.name), *version))
    yield from _given("Platform", resources.platform)
    for runtime in resources.runtimes:
        yield from _block("RuntimeEnvironment", _runtime(runtime))
    yield from _present("ParallelEnvironment", _parallel(resources))
    if resources.coprocessor:
        opening = 'Coprocessor optional="true"' if resources.coprocessor_optional else "Coprocessor"
        yield f"<{opening}>{_escape(resources.coprocessor)}</Coprocessor>"
    yield from _given("NodeAccess", resources.node_access)
    for name, amount in (
        ("IndividualPhysicalMemory", resources.memory_mb),
        ("IndividualVirtualMemory", resources.virtualmemory_mb),
        ("DiskSpaceRequirement", _natural(resources.disk_mb or None if whole else resources.disk_mb)),
    ):
        yield from _given(name, None if amount is None else (amount & _ALL_BITS) * MB)
    yield from _given("RemoteSessionAccess", resources.session_access)
    yield from _present("SlotRequirement", _slots(resources, whole=whole))
    yield from _given("QueueName", resources.queue)
    yield from _given("IndividualCPUTime", resources.single_cputime_s)
    yield from _given("TotalCPUTime", resources.cputime_s)
    yield from _given("WallTime", resources.walltime_s)


def _runtime(runtime: Software) -> _Lines:
    yield _leaf("Name", runtime.name)
    yield _leaf("Version", runtime.version)
    yield from (_leaf("Option", option) for option in runtime.options)


def _parallel(resources: Resources) -> _Lines:
    if (parallel := resources.parallel) is None:
        return
    yield from _given("Type", parallel.type)
    yield from _given("Version", parallel.version)
    yield from _given("ProcessesPerSlot", _natural(parallel.processes_per_slot))
    yield from _given("ThreadsPerProcess", _natural(parallel.threads_per_process))
    yield from _pairs(parallel.options)


def _natural(number: int | None) -> int | None:
    return None if number is None or number < 0 else number


def _slots(resources: Resources, *, whole: bool) -> _Lines:
    slots, per_host, exclusive = _natural(resources.slots), _natural(resources.slots_per_host), resources.exclusive
    if slots is None and whole and (per_host is not None or exclusive is not None):
        slots = 1  # a SlotRequirement without a number is an error to ARC
    yield from _given("NumberOfSlots", slots)
    yield from _given("SlotsPerHost", per_host)
    if exclusive is not None:
        yield _leaf("ExclusiveExecution", exclusive)


def _staging(job: JobDescription, *, whole: bool) -> _Lines:
    yield from _given("ClientDataPush", job.client_data_push)
    for file in job.inputs:
        yield from _block("InputFile", _input(file, job.executable))
    for output in job.outputs:
        yield from _block("OutputFile", _output(output, whole=whole))
    yield from _given("nordugrid-adl:DelegationID", job.delegationid)


def _input(file: InputFile, executable: str) -> _Lines:
    yield _leaf("Name", file.name)
    for source in file.sources:
        if is_remote(source.url):
            yield from _block("Source", _source(source))
    yield from _given("IsExecutable", file.executable or file.name == executable)


def _output(file: OutputFile, *, whole: bool) -> _Lines:
    yield _leaf("Name", file.name)
    for target in file.targets:
        yield from _block("Target", _target(target, whole=whole))


def _source(location: Location) -> _Lines:
    yield _leaf("URI", location.url)
    yield from _pairs(location.options)
    yield from _given("DelegationID", location.delegationid)


def _target(target: Target, *, whole: bool) -> _Lines:
    yield _leaf("URI", target.url)
    yield from _pairs((name, value) for name, value in target.options if name not in _SAID_ELSEWHERE)
    yield from _pairs(("location", url) for url in target.locations if is_remote(url) or not whole)
    yield from _given("DelegationID", target.delegationid)
    asked = target.option("mandatory")
    yield _leaf("Mandatory", asked in {"true", "1"} or target.mandatory if whole else asked or target.mandatory)
    if whole:
        yield from _given("CreationFlag", target.creation.value)
    yield _leaf("UseIfFailure", target.if_failure)
    yield _leaf("UseIfCancel", target.if_cancel)
    yield _leaf("UseIfSuccess", target.if_success)


def _pairs(options: Iterable[tuple[str, str]]) -> _Lines:
    for name, value in options:
        yield from _block("Option", (_leaf("Name", name), _leaf("Value", value)))
