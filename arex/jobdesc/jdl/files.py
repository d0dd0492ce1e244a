"""The sandboxes of JDL: names, URLs and wildcards."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from arex.jobdesc.jdl.classads import AdAttribute
from arex.jobdesc.jdl.job import Reading
from arex.jobdesc.model import InputFile, Location, OutputFile, Target
from arex.model.url import SCHEMES, Url, fault, is_remote, local_path, parse_url, sort_options
from arex.suggest import closest

_WILDCARD: Final = re.compile(r"[*?\[]")
_REMOTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
#: CREAM's URL for a file that the client downloads.
STAYS: Final = "gsiftp://localhost"


def input_sandbox(job: Reading, a: AdAttribute) -> None:
    base = _base(job, "inputsandboxbaseuri")
    names: set[str] = set()
    for text in job.strings(a):
        file = _input(job, a, text, base)
        if not file.pattern and file.name in names:
            job.fail(f"InputSandbox has two files with the name {file.name[:80]!r}", a)
        names.add(file.name)
        job.inputs.append(file)


def _base(job: Reading, name: str) -> str:
    """With a slash at its end; empty if it is absent."""
    if (a := job.attributes.get(name)) is None:
        return ""
    text = job.string(a)
    _url(job, a, text)
    return text if text.endswith("/") else f"{text}/"


def _input(job: Reading, a: AdAttribute, text: str, base: str) -> InputFile:
    where = text
    if _REMOTE.match(text) is None and not text.startswith("/"):
        where = base + text
    local = _REMOTE.match(where) is None or where.lower().startswith("file:")
    path = local_path(where) if local else _url(job, a, where).path.partition("?")[0]
    name = path.rpartition("/")[2]
    if not name:
        job.fail(f"InputSandbox: {text[:80]!r} does not name a file", a)
    if local:
        source = Location(url=f"file:{path}" if is_remote(path) else path)
        return InputFile(name=name, sources=(source,), pattern=_WILDCARD.search(path) is not None)
    url = _url(job, a, where)
    return InputFile(name=name, sources=(_location(url),))


def _location(url: Url) -> Location:
    return Location(url=url.plain(), options=sort_options(url.arc_options.items()), locations=url.locations)


def _url(job: Reading, a: AdAttribute, text: str) -> Url:
    try:
        url = parse_url(text)
    except ValueError as exc:
        job.fail(f"{a.name}: {exc}", a)
    if url.scheme not in SCHEMES:
        job.remark(f"Unknown URL scheme '{url.scheme[:80]}'", a, closest(url.scheme, SCHEMES))
    if wrong := fault(url):
        what = f"The URL '{text[:80]}' {wrong}"
        job.remark(f"{what}: its transfer will fail", a, error=what)
    return url


def output_sandbox(job: Reading, a: AdAttribute) -> None:
    names = job.strings(a)
    targets = _targets(job, names)
    whole = False
    for name, target in zip(names, targets, strict=True):
        if not name:
            job.fail("OutputSandbox: an empty name", a)
        if _WILDCARD.search(name) is None:
            job.outputs.append(_output(job, a, name, target))
        elif target:
            job.fail(f"OutputSandbox: the wildcard {name[:80]!r} can't have a target: name the files", a)
        else:
            whole = True
            job.remark("A wildcard in OutputSandbox keeps the whole session directory", a)
    if whole:
        job.outputs.append(OutputFile(name="/"))


def _targets(job: Reading, names: Sequence[str]) -> list[str]:
    each, base = job.attributes.get("outputsandboxdesturi"), job.attributes.get("outputsandboxbasedesturi")
    if each is not None and base is not None:
        job.fail("OutputSandboxDestURI and OutputSandboxBaseDestURI can't be given together", base)
    if base is not None:
        return [_base(job, "outputsandboxbasedesturi") + name.rpartition("/")[2] for name in names]
    if each is None:
        return [""] * len(names)
    targets = job.strings(each)
    if len(targets) != len(names):
        job.fail(f"OutputSandboxDestURI has {len(targets)} entries, OutputSandbox has {len(names)}", each)
    return targets


def _output(job: Reading, a: AdAttribute, name: str, target: str) -> OutputFile:
    if not target:
        return OutputFile(name=name)
    source = job.attributes.get("outputsandboxdesturi") or job.attributes.get("outputsandboxbasedesturi") or a
    if _REMOTE.match(target) is None:
        job.fail(f"{source.name}: {target[:80]!r} is not a URL", source)
    url = _url(job, source, target)
    if url.scheme == "file" or url.hostname == "localhost":
        return OutputFile(name=name, local=Target(url=local_path(target)) if url.scheme == "file" else None)
    found = _location(url)
    return OutputFile(name=name, targets=(Target(url=found.url, options=found.options, locations=found.locations),))
