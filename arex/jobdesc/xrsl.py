"""xRSL to the model: what each attribute means. The grammar is in ``rsl``, the way back in ``xrsl_writer``."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from arex.jobdesc.attribute import Attribute
from arex.jobdesc.model import (
    Dialect,
    InputFile,
    JobDescription,
    Location,
    Notification,
    OutputFile,
    RemoteLogging,
    Resources,
    Software,
    Target,
)
from arex.jobdesc.rsl import Relation, Source, Substitution, jobs
from arex.jobdesc.times import parse_period, parse_time
from arex.jobdesc.urls import is_remote, local_path, sort_options, split_url

_VERSION: Final = re.compile(r"-(?=[0-9])")
_XML_DECLARATION: Final = re.compile(r"\s*<\?xml[^>]*\?>\s*")
_FLAGS: Final = re.compile(r"[bqfecd]+")
_ANNOUNCED: Final = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+|\*\.\*)")

#: What is worked out from several attributes at the end.
_LATE: Final = frozenset({"join", "gridtime", "executables", "cache", "ftpthreads", "action"})
_REPEATABLE: Final = frozenset({"runtimeenvironment", "opsys", "middleware", "queue"})


_Rule = Callable[[JobDescription, Attribute], JobDescription]


def _executable(job: JobDescription, a: Attribute) -> JobDescription:
    return replace(job, executable=a.text())


def _arguments(job: JobDescription, a: Attribute) -> JobDescription:
    return replace(job, arguments=a.texts())


def _environment(job: JobDescription, a: Attribute) -> JobDescription:
    return replace(job, environment=a.pairs())


def _starttime(job: JobDescription, a: Attribute) -> JobDescription:
    try:
        return replace(job, start_time=parse_time(a.text()))
    except ValueError as exc:
        a.fail(f"Value of '{a.name}' attribute is {exc}")


def _rerun(job: JobDescription, a: Attribute) -> JobDescription:
    number = a.integer()
    return replace(job, rerun=None if number < 0 else number)


def _priority(job: JobDescription, a: Attribute) -> JobDescription:
    return replace(job, priority=min(max(a.integer(), 1), 100))


def _acl(job: JobDescription, a: Attribute) -> JobDescription:
    return replace(job, acl=_XML_DECLARATION.sub("", a.text(), count=1).strip())


def _notify(job: JobDescription, a: Attribute) -> JobDescription:
    found: list[Notification] = []
    for text in a.texts():
        words = text.split()
        states = "be" if words and "@" in words[0] else words.pop(0) if words else ""
        if not words:
            a.fail(f"Syntax error in 'notify' attribute value ('{text}'), it must contain an email address")
        if _FLAGS.fullmatch(states) is None:
            a.fail(f"Syntax error in 'notify' attribute value ('{text}'), it contains unknown state flags")
        for word in words:
            if "@" not in word:
                a.fail(f"Syntax error in 'notify' attribute value ('{text}'), it must only contain email addresses")
            found.append(Notification(recipient=word, states=states))
    return replace(job, notifications=tuple(found))


def _jobreport(job: JobDescription, a: Attribute) -> JobDescription:
    return replace(job, remote_logging=tuple(RemoteLogging(url=split_url(text)[0]) for text in a.texts()))


def _credentialserver(job: JobDescription, a: Attribute) -> JobDescription:
    return replace(job, credential_services=(split_url(a.text())[0],))


def _queue(job: JobDescription, a: Attribute) -> JobDescription:
    if a.operator == "=":
        if job.resources.queue:
            a.fail("Attribute 'queue' multiply defined")
        return replace(job, resources=replace(job.resources, queue=a.text()))
    if a.operator != "!=" or a.dialect is not Dialect.USER:
        a.fail(f"Operator '{a.operator}' can't be used with attribute 'queue'")
    excluded = (*job.resources.excluded_queues, a.text())
    return replace(job, resources=replace(job.resources, excluded_queues=excluded))


def _software(a: Attribute) -> Software:
    if not a.values:
        a.fail(f"Value of attribute '{a.name}' expected to be single value")
    full_name, *options = a.texts()
    # the version starts behind the first dash that a digit follows
    name, *version = _VERSION.split(full_name, maxsplit=1)
    return Software(name=name, version="".join(version), relation=a.operator, options=tuple(options))


def _runtime(job: JobDescription, a: Attribute) -> JobDescription:
    return replace(job, resources=replace(job.resources, runtimes=(*job.resources.runtimes, _software(a))))


def _opsys(job: JobDescription, a: Attribute) -> JobDescription:
    systems = (*job.resources.operating_systems, _software(a))
    return replace(job, resources=replace(job.resources, operating_systems=systems))


def _middleware(job: JobDescription, a: Attribute) -> JobDescription:
    return replace(job, resources=replace(job.resources, middleware=(*job.resources.middleware, _software(a))))


def _nodeaccess(job: JobDescription, a: Attribute) -> JobDescription:
    words = set(a.texts())
    access = "inoutbound" if words >= {"inbound", "outbound"} else next(iter(words), "")
    if access not in {"inbound", "outbound", "inoutbound"}:
        a.fail("Value of 'nodeaccess' attribute must be inbound or outbound")
    return replace(job, resources=replace(job.resources, node_access=access))


def _benchmarks(job: JobDescription, a: Attribute) -> JobDescription:
    for row in a.rows():
        if len(row) == 3:
            try:
                seconds = parse_period(row[2], 60 if a.dialect is Dialect.USER else 1)
            except ValueError:
                continue  # the first that can be read counts
            return replace(job, resources=replace(job.resources, cputime_s=seconds))
    return job


def _options(row: Sequence[str]) -> tuple[list[tuple[str, str]], str]:
    """URL options of one file, and its delegation."""
    pairs = [(name, value) for name, _, value in (option.partition("=") for option in row)]
    delegationid = dict(pairs).get("delegationid", "")
    return [pair for pair in pairs if pair[0] not in {"location", "delegationid"}], delegationid


def _inputfiles(job: JobDescription, a: Attribute) -> JobDescription:
    return replace(job, inputs=tuple(_input(a, *row) for row in a.files()))


def _input(a: Attribute, name: str, where: str, *row: str) -> InputFile:
    if is_remote(where):
        url, own = split_url(where)
        more, delegationid = _options(row)
        location = Location(url=url, options=sort_options((*own, *more)), delegationid=delegationid)
        return InputFile(name=name, sources=(location,))
    if a.dialect is Dialect.USER:
        # an empty source is the file of the same name in the current directory
        return InputFile(name=name, sources=(Location(url=local_path(where) or name),))
    if where and _ANNOUNCED.fullmatch(where) is None and not where.startswith("file:"):
        a.fail(f"Source of input file '{name}' is neither a URL nor a size: '{where}'")
    if where.startswith("file:"):
        return InputFile(name=name, sources=(Location(url=split_url(where)[0]),))
    return InputFile(name=name, announced=where)


def _outputfiles(job: JobDescription, a: Attribute) -> JobDescription:
    return replace(job, outputs=tuple(_output(*row) for row in a.files()))


def _output(name: str, where: str, *row: str) -> OutputFile:
    if not is_remote(where):
        return OutputFile(name=name)
    url, own = split_url(where)
    more, delegationid = _options(row)
    return OutputFile(
        name=name, targets=(Target(url=url, options=sort_options((*own, *more)), delegationid=delegationid),)
    )


def _plain(field: str) -> _Rule:
    return lambda job, a: replace(job, **{field: a.text()})  # type: ignore[arg-type]


def _amount(field: str) -> _Rule:
    return lambda job, a: replace(job, resources=replace(job.resources, **{field: a.natural()}))  # type: ignore[arg-type]


def _time(field: str) -> _Rule:
    return lambda job, a: replace(job, resources=replace(job.resources, **{field: a.period()}))  # type: ignore[arg-type]


def _lifetime(job: JobDescription, a: Attribute) -> JobDescription:
    return replace(job, lifetime_s=a.period())


def _dryrun(job: JobDescription, a: Attribute) -> JobDescription:
    return replace(job, dryrun=a.flag())


def _exclusive(job: JobDescription, a: Attribute) -> JobDescription:
    return replace(job, resources=replace(job.resources, exclusive=a.flag()))


def _architecture(job: JobDescription, a: Attribute) -> JobDescription:
    return replace(job, resources=replace(job.resources, platform=a.text()))


_RULES: Final[dict[str, _Rule]] = {
    "executable": _executable,
    "arguments": _arguments,
    "stdin": _plain("stdin"),
    "stdout": _plain("stdout"),
    "stderr": _plain("stderr"),
    "gmlog": _plain("gmlog"),
    "jobname": _plain("name"),
    "delegationid": _plain("delegationid"),
    "environment": _environment,
    "inputfiles": _inputfiles,
    "outputfiles": _outputfiles,
    "cputime": _time("cputime_s"),
    "walltime": _time("walltime_s"),
    "benchmarks": _benchmarks,
    "memory": _amount("memory_mb"),
    "disk": _amount("disk_mb"),
    "count": _amount("slots"),
    "countpernode": _amount("slots_per_host"),
    "exclusiveexecution": _exclusive,
    "runtimeenvironment": _runtime,
    "opsys": _opsys,
    "middleware": _middleware,
    "architecture": _architecture,
    "nodeaccess": _nodeaccess,
    "queue": _queue,
    "starttime": _starttime,
    "lifetime": _lifetime,
    "rerun": _rerun,
    "priority": _priority,
    "notify": _notify,
    "dryrun": _dryrun,
    "acl": _acl,
    "jobreport": _jobreport,
    "credentialserver": _credentialserver,
}


def parse_xrsl(text: str, dialect: Dialect) -> list[JobDescription]:
    """
    Read the jobs of one xRSL text, in its order.

    Unknown attributes are skipped. Alternatives (``|``) of a job are in its ``alternatives``.

    Raises:
        JobDescriptionError: with line and column.
    """
    source = Source(text)
    found = []
    for choices in jobs(source):
        first, *others = (_job(source, relations, dialect) for relations in choices)
        found.append(replace(first, alternatives=tuple(others)))
    return found


def _job(source: Source, relations: list[Relation], dialect: Dialect) -> JobDescription:
    variables = Substitution(source, relations)
    job, late = JobDescription(), dict[str, Attribute]()
    seen: set[str] = set()
    for relation in relations:
        name = relation.name
        rule = _RULES.get(name)
        if rule is None and name not in _LATE:
            continue
        if name in seen and name not in _REPEATABLE:
            source.fail(f"Attribute '{name}' multiply defined", relation.at)
        seen.add(name)
        values = tuple(variables.apply(value) for value in relation.values)
        attribute = Attribute(source, dialect, relation.at, name, relation.operator, values)
        if rule is None:
            late[name] = attribute
        else:
            job = rule(job, attribute)
    return _complete(job, late, seen, dialect)


def _complete(job: JobDescription, late: dict[str, Attribute], seen: set[str], dialect: Dialect) -> JobDescription:
    if "action" in late:
        _check_action(late["action"], dialect)
    if "executables" in late:
        job = _mark_executables(job, late["executables"])
    job = _transfer_options(job, late)
    if dialect is Dialect.USER and "join" in late:
        job = _join(job, late["join"])
    if dialect is Dialect.USER and "gridtime" in late:
        job = _gridtime(job, late["gridtime"], seen)
    return job


def _check_action(action: Attribute, dialect: Dialect) -> None:
    if dialect is Dialect.USER:
        action.fail("'action' attribute not allowed in user-side job description")
    if action.text() != "request":
        action.fail("'action' attribute must be 'request'")


def _mark_executables(job: JobDescription, a: Attribute) -> JobDescription:
    names = set(a.texts())
    known = {file.name for file in job.inputs} | {job.executable}
    for name in a.texts():
        if name not in known:
            a.fail(f"File '{name}' in the 'executables' attribute is not present in the 'inputfiles' attribute")
    return replace(job, inputs=tuple(replace(f, executable=f.executable or f.name in names) for f in job.inputs))


def _transfer_options(job: JobDescription, late: dict[str, Attribute]) -> JobDescription:
    """``cache`` for what is fetched and not run, ``ftpthreads`` for all URLs."""
    cache = (("cache", late["cache"].text()),) if "cache" in late else ()
    threads: tuple[tuple[str, str], ...] = ()
    if "ftpthreads" in late:
        number = late["ftpthreads"].integer()
        if not 1 <= number <= 10:
            late["ftpthreads"].fail("The value of the ftpthreads attribute must be a number from 1 to 10")
        threads = (("threads", str(number)),)
    if not cache and not threads:
        return job
    inputs = tuple(
        replace(
            file,
            sources=tuple(
                replace(s, options=sort_options((*s.options, *(() if file.executable else cache), *threads)))
                if is_remote(s.url)
                else s
                for s in file.sources
            ),
        )
        for file in job.inputs
    )
    outputs = tuple(
        replace(f, targets=tuple(replace(t, options=sort_options((*t.options, *threads))) for t in f.targets))
        for f in job.outputs
    )
    return replace(job, inputs=inputs, outputs=outputs)


def _join(job: JobDescription, a: Attribute) -> JobDescription:
    if not a.flag():
        return job
    if not job.stdout:
        a.fail("'stdout' attribute must be specified when 'join' attribute is specified")
    if job.stderr and job.stderr != job.stdout:
        a.fail("Attribute 'join' cannot be specified when both 'stdout' and 'stderr' attributes is specified")
    return replace(job, stderr=job.stdout)


def _gridtime(job: JobDescription, a: Attribute, seen: set[str]) -> JobDescription:
    for other in ("cputime", "walltime"):
        if other in seen:
            a.fail(f"Attributes 'gridtime' and '{other}' cannot be specified together")
    resources: Resources = job.resources
    seconds = a.period()
    times = replace(resources, cputime_s=seconds, walltime_s=seconds * (resources.slots or 1))
    return replace(job, resources=times)
