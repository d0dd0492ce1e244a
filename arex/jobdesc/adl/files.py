"""``DataStaging`` of ADL: files, and the URLs where they come from and go to."""

from __future__ import annotations

from typing import NamedTuple

from arex.jobdesc.adl.node import Node
from arex.jobdesc.model import Creation, InputFile, Location, OutputFile, Target
from arex.model.url import SCHEMES, Url, fault, is_remote, local_path, parse_url, sort_options
from arex.suggest import closest


class DataStaging(NamedTuple):
    """The part of a job that is about files."""

    delegationid: str
    client_data_push: bool
    inputs: tuple[InputFile, ...]
    outputs: tuple[OutputFile, ...]


def read_staging(node: Node) -> DataStaging:
    """
    The files of a job.

    Raises:
        JobDescriptionError: a name is missing, or a URL is invalid.
    """
    node.knows("ClientDataPush", "InputFile", "OutputFile", "ng:DelegationID")
    return DataStaging(
        delegationid=node.text("ng:DelegationID"),
        client_data_push=node.flag("ClientDataPush"),
        inputs=tuple(map(_input, node.nodes("InputFile"))),
        outputs=tuple(map(_output, node.nodes("OutputFile"))),
    )


def _name(node: Node) -> str:
    name = node.text("Name")
    if not name:
        node.fail("Name is missing or empty", "Name")
    return name


def _input(node: Node) -> InputFile:
    node.knows("Name", "Source", "IsExecutable")
    name = _name(node)
    return InputFile(
        name=name,
        sources=tuple(map(_source, node.nodes("Source"))) or _named_source(node, name),
        executable=node.text("IsExecutable") not in {"", "false", "0"},
    )


def _named_source(node: Node, name: str) -> tuple[Location, ...]:
    """As in ARC: if the name of a file without a source is a URL, that is its source."""
    try:
        url = parse_url(name)
    except ValueError:
        return ()
    if url.scheme == "file":
        return ()
    node.remark(f"The name of the file is a URL, and its source, too: {name[:80]}")
    options = sort_options(url.arc_options.items())
    return (Location(url=url.plain(), options=options, locations=url.locations),)


def _url(node: Node) -> Url:
    text = node.text("URI")
    try:
        url = parse_url(text)
    except ValueError as exc:
        node.fail(f"Wrong URI specified: {exc}", "URI")
    if url.scheme not in SCHEMES and not node.full:
        node.remark(f"Unknown URL scheme {url.scheme[:80]!r}", closest(url.scheme, SCHEMES))
    if not node.full and (wrong := fault(url)):
        node.remark(f"The URL {text[:80]!r} {wrong}: its transfer will fail", error=f"The URL {text[:80]!r} {wrong}")
    return url


def _source(node: Node) -> Location:
    node.knows("URI", "DelegationID", "Option")
    url = _url(node)
    if url.scheme == "file":
        path = local_path(node.text("URI"))
        return Location(url=f"file:{path}" if is_remote(path) else path)
    more = [(name, value) for name, value in node.options() if name and value]
    return Location(
        url=url.plain(),
        options=sort_options((*url.arc_options.items(), *more)),
        delegationid=node.text("DelegationID"),
        locations=url.locations,
    )


def _output(node: Node) -> OutputFile:
    node.knows("Name", "Target")
    return OutputFile(name=_name(node), targets=tuple(map(_target, node.nodes("Target"))))


def _target(node: Node) -> Target:
    node.knows(
        *("URI", "DelegationID", "Option", "Mandatory", "CreationFlag"),
        *("UseIfSuccess", "UseIfFailure", "UseIfCancel"),
    )
    url = _url(node)
    locations, options = list(url.locations), url.arc_options
    for name, value in node.options():
        if name == "location":
            locations.append(_location(node, value))
        elif name and value:
            options[name] = value
    options.pop("mandatory", None)
    return Target(
        url=url.plain(),
        options=sort_options(options.items()),
        locations=tuple(locations),
        delegationid=node.text("DelegationID"),
        mandatory=node.flag("Mandatory"),
        creation=node.read("CreationFlag", _creation) or Creation.UNSET,
        if_success=node.flag("UseIfSuccess", default=True),
        if_failure=node.flag("UseIfFailure"),
        if_cancel=node.flag("UseIfCancel"),
    )


def _creation(text: str) -> Creation:
    if not text:
        raise ValueError("it is empty")
    return Creation(text)


def _location(node: Node, text: str) -> str:
    try:
        url = parse_url(text)
    except ValueError as exc:
        node.fail(f"Location is invalid: {exc}", "Option")
    if url.scheme == "file":
        node.fail("Location must not be a file", "Option")
    return url.full()
