"""From one language to another: the text, and a list of what the other language cannot express."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, Final

from arex.errors import JobDescriptionError
from arex.jobdesc import parse
from arex.jobdesc.model import DescriptionDialect, InputFile, JobDescription, Location, OutputFile, Resources, Target


class Language(StrEnum):
    """As ARC names it."""

    XRSL = "nordugrid:xrsl"
    ADL = "emies:adl"
    JDL = "egee:jdl"

    @property
    def word(self) -> str:
        """As people name it."""
        return {"xrsl": "xRSL"}.get(self.short, self.short.upper())

    @property
    def short(self) -> str:
        return self.value.partition(":")[2]

    @classmethod
    def named(cls, name: str) -> Language:
        """
        By ARC's name or the short one, in any case.

        Raises:
            ValueError: it is neither.
        """
        for language in cls:
            if name.lower() in {language.value, language.short}:
                return language
        raise ValueError(f"unknown language {name[:80]!r}; expected one of {', '.join(one.short for one in cls)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    text: str
    lost: tuple[str, ...]  #: a sentence for everything that the text lacks or changes


#: Fields of the model in words.
_WORDS: Final = {
    "name": "the name of the job",
    "summary": "the description of the job",
    "type": "the type of the job",
    "annotations": "annotations",
    "labels": "labels",
    "activity_ids": "former ids of the job",
    "executable": "the executable",
    "arguments": "the arguments",
    "exit_code": "the exit code that counts as success",
    "stdin": "standard input",
    "stdout": "standard output",
    "stderr": "standard error",
    "environment": "environment variables",
    "expanded": "environment variables that refer to others",
    "gmlog": "the directory of the service's log",
    "rerun": "the number of attempts",
    "priority": "the priority",
    "dryrun": "the dry run",
    "remote_logging": "accounting services",
    "expiration": "the time when the description expires",
    "lifetime_s": "how long results are kept, in seconds",
    "notifications": "notifications by mail",
    "start_time": "the start time",
    "acl": "the access control list",
    "action": "the action",
    "credential_services": "credential services",
    "delegationid": "the delegated credential",
    "client_data_push": "that the client sends files later",
    "before": "programs that run before the job",
    "after": "programs that run after the job",
    "alternatives": "alternatives",
    "requirements": "requirements on the service",
    "rank": "the rank of services",
    "unused": "attributes of JDL without effect",
    "operating_systems": "the operating system",
    "platform": "the platform",
    "middleware": "the middleware",
    "runtimes": "runtime environments",
    "parallel": "the parallel environment",
    "node_access": "network access of the node",
    "memory_mb": "memory in MB",
    "virtualmemory_mb": "virtual memory in MB",
    "disk_mb": "disk space in MB",
    "session_access": "remote access to the session",
    "slots": "the number of slots",
    "slots_per_host": "slots on each host",
    "exclusive": "whether other jobs may run on the same hosts",
    "queue": "the queue",
    "coprocessor": "the coprocessor",
    "coprocessor_optional": "whether the coprocessor is optional",
    "excluded_queues": "queues that are excluded",
    "single_cputime_s": "CPU time of one slot in seconds",
    "cputime_s": "CPU time in seconds",
    "walltime_s": "wall time in seconds",
    "sources": "its source",
    "pattern": "that it stands for any number of files",
    "announced": "its announced size and checksum",
    "targets": "its targets",
}


def convert(job: JobDescription, language: Language) -> Converted:
    """
    Write a job in a language, and read it again to find out what was lost.

    Raises:
        JobDescriptionError: the language cannot hold a character, a name or a URL of this job; or the library for JDL
            is not installed.
    """
    text = _written(job, language)
    try:
        [again] = parse(text, DescriptionDialect.USER, max_size=0)
    except JobDescriptionError as exc:
        raise JobDescriptionError(f"this job cannot be written as {language.word}: {exc.what}") from exc
    return Converted(text=text, lost=tuple(_differences(_normal(job), _normal(again), language.word)))


def _written(job: JobDescription, language: Language) -> str:
    if language is Language.JDL:
        from arex.jobdesc.jdl.writer import write_jdl  # noqa: PLC0415 - one language is asked for

        return write_jdl(job)
    if language is Language.ADL:
        from arex.jobdesc.adl.writer import write_adl  # noqa: PLC0415 - the same

        return write_adl(job, whole=True)
    from arex.jobdesc.xrsl.grammar import comments  # noqa: PLC0415 - the same
    from arex.jobdesc.xrsl.writer import write_xrsl  # noqa: PLC0415 - the same

    text = write_xrsl(job)
    if any(end < 0 for _, end in comments(text)):
        raise JobDescriptionError("(* without *) is not allowed in xRSL, not even in a string: it begins a comment")
    return f"{text}\n"


def _normal(job: JobDescription) -> JobDescription:
    """For comparison: an input without a source is the file of that name; the executable flag follows."""
    return replace(job, inputs=tuple(_normal_input(job, file) for file in job.inputs))


def _normal_input(job: JobDescription, file: InputFile) -> InputFile:
    own = () if file.announced else (Location(url=file.name),)
    executable = file.executable or (bool(file.name) and file.name == job.executable)
    return replace(file, sources=file.sources or own, executable=executable)


def _differences(job: JobDescription, again: JobDescription, language: str) -> Iterator[str]:
    for field in fields(JobDescription):
        if field.name == "resources":
            yield from _fields(job.resources, again.resources, [one.name for one in fields(Resources)], language)
        elif field.name == "inputs":
            yield from _files("input", job.inputs, again.inputs, language)
        elif field.name == "outputs":
            yield from _files("output", job.outputs, again.outputs, language)
        elif field.compare:
            yield from _fields(job, again, [field.name], language)


def _fields(old: object, new: object, names: Sequence[str], language: str, whose: str = "") -> Iterator[str]:
    for name in names:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            shown = "" if name in {"acl", "alternatives"} else f": {_shown(before)}"
            now = f"; it has {_shown(after)}" if after not in (None, "", (), False) else ""
            yield f"{whose}{language} cannot express {_WORDS[name]}{shown}{now}"


def _shown(value: Any) -> str:  # noqa: ANN401 - any field of the model
    """A value in a few words."""
    if isinstance(value, tuple):
        text = ", ".join(_shown(one) for one in value) or "none"
    else:
        name = getattr(value, "full_name", None) or getattr(value, "recipient", None) or getattr(value, "path", None)
        text = str(name or getattr(value, "url", None) or value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _files(
    kind: str, old: Sequence[InputFile | OutputFile], new: Sequence[InputFile | OutputFile], language: str
) -> Iterator[str]:
    if len(old) != len(new):
        yield f"{language} cannot express the {kind} files: it has {len(new)} of {len(old)}"
        return
    for before, after in zip(old, new, strict=True):
        whose = f"{kind} file {before.name}: "
        if before.name != after.name:
            yield f"{whose}in {language} it is named {after.name}"
        if isinstance(before, InputFile):
            yield from _fields(before, after, ["sources", "announced", "pattern"], language, whose)
            if before.executable != getattr(after, "executable", None):
                yield f"{whose}{language} cannot express that it is {'' if before.executable else 'not '}executable"
        elif isinstance(after, OutputFile) and before != after:
            yield from _targets(whose, before.targets, after.targets, language)


def _targets(whose: str, old: Sequence[Target], new: Sequence[Target], language: str) -> Iterator[str]:
    urls = [[target.url for target in targets] for targets in (old, new)]
    if urls[0] != urls[1]:
        yield f"{whose}{language} cannot express its targets: {', '.join(urls[0][:3]) or 'none'}"
    elif list(old) != list(new):
        yield f"{whose}{language} cannot express all options and conditions of its targets"
