"""xRSL to the model: what attributes mean to ARC 6.17. See also ``grammar`` and ``writer``."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Final

from arex.jobdesc.model import DescriptionDialect, JobDescription, RemoteLogging
from arex.jobdesc.quantities import megabytes
from arex.jobdesc.remarks import SourceText
from arex.jobdesc.software import software
from arex.jobdesc.times import parse_time
from arex.jobdesc.xrsl.attribute import Attribute
from arex.jobdesc.xrsl.draft import Draft, note, note_rows
from arex.jobdesc.xrsl.files import read_input, read_output
from arex.jobdesc.xrsl.finish import finish
from arex.jobdesc.xrsl.grammar import Branch, Group, Relation, Text, Variables, requests
from arex.model.numbers import wrap
from arex.model.url import full_url
from arex.suggest import closest

#: Alternatives of one job.
MAX_ALTERNATIVES: Final = 1000
MAX_PRIORITY: Final = 100
#: Bound on the relations of one job over all its alternatives.
MAX_RELATIONS: Final = 300_000

_FLOAT: Final = re.compile(r"[ \t\n\v\f\r]*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_GLOBUS: Final = frozenset({
    *("resourcemanagercontact", "directory", "maxcputime", "maxwalltime", "maxtime", "maxmemory", "minmemory"),
    *("grammyjob", "project", "hostcount", "label", "subjobcommstype", "subjobstarttype", "filecleanup"),
    *("filestagein", "filestageinshared", "filestageout", "gasscache", "jobtype", "librarypath", "remoteiourl"),
    "scratchdir",
})  # fmt: skip

#: An attribute applies to a job and to its alternatives so far; the job is the first of them.
_Rule = Callable[[list[Draft], Attribute], None]


def _once(field: str) -> _Rule:
    """A string that is given once, unless it was empty."""

    def rule(drafts: list[Draft], a: Attribute) -> None:
        text = a.text()
        for draft in drafts:
            if getattr(draft, field):
                a.fail(f"Attribute '{a.name}' multiply defined")
            setattr(draft, field, text)

    return rule


def _set(field: str, read: Callable[[Attribute], object]) -> _Rule:
    """A value of which the last counts."""

    def rule(drafts: list[Draft], a: Attribute) -> None:
        value = read(a)
        for draft in drafts:
            setattr(draft, field, value)

    return rule


def _arguments(drafts: list[Draft], a: Attribute) -> None:
    words = a.texts()
    for draft in drafts:
        if draft.arguments:
            a.fail(f"Attribute '{a.name}' multiply defined")
        draft.arguments = list(words)


def _environment(drafts: list[Draft], a: Attribute) -> None:
    # as in ARC: it does not apply to alternatives before this attribute
    for at, (name, value) in a.rows(2):
        if "\n" in value or "\r" in value:
            a.source.remark(f"Line breaks in the value of the variable {name[:80]} are dropped", at)
        drafts[0].environment.append((name, value))


def _inputfiles(drafts: list[Draft], a: Attribute) -> None:
    rows = a.files()
    files = [read_input(a, at, row) for at, row in rows]
    for draft in drafts:
        draft.inputs.extend(files)
    note_rows(drafts, a, rows)


def _outputfiles(drafts: list[Draft], a: Attribute) -> None:
    rows = a.files()
    files = [read_output(a, at, row) for at, row in rows]
    for draft in drafts:
        draft.outputs.extend(files)
    note_rows(drafts, a, rows)


def _period(field: str, kept: Callable[[int], int | None]) -> _Rule:
    def rule(drafts: list[Draft], a: Attribute) -> None:
        seconds = kept(a.period())
        # as in ARC: only clients apply it to the alternatives before this attribute
        for draft in drafts if a.dialect is DescriptionDialect.USER else drafts[:1]:
            setattr(draft, field, seconds)

    return rule


def _limit(seconds: int) -> int | None:
    number = wrap(seconds)
    return None if number == -1 else number


def _lifetime(seconds: int) -> int | None:
    return None if seconds < 0 else seconds


def _benchmarks(drafts: list[Draft], a: Attribute) -> None:
    """Only the time of the first valid benchmark is used; it does not apply to alternatives."""
    for _, row in a.rows(3):
        if _FLOAT.fullmatch(row[1]):
            drafts[0].cputime_s = wrap(a.seconds(row[2]))
            return
    what = "No benchmark has a number for its value"
    a.remark(what, error=what)


def _memory(a: Attribute) -> int | None:
    number = a.number(megabytes)
    return None if number == -1 else number


def _disk(a: Attribute) -> int | None:
    number = a.number(partial(megabytes, zero=True))
    return None if number == -1 else number


def _natural(a: Attribute) -> int | None:
    number = a.number()
    return None if number < 0 else number


def _count(a: Attribute) -> int | None:
    number = a.integer()
    if a.by_user and number < 1:
        what = f"count: {number} is not a number of slots; write 1 or more"
        a.remark(what, error=what)
    return None if number == -1 else number


def _priority(a: Attribute) -> int | None:
    number = a.number()
    if number > MAX_PRIORITY:
        a.remark(
            f"priority is too large: it counts as {MAX_PRIORITY}",
            error=f"priority: {number} is not a number from 0 to {MAX_PRIORITY}",
        )
    return None if number < 0 else min(number, MAX_PRIORITY)


def _flag(a: Attribute) -> bool:
    text = a.text().lower()
    if text not in {"yes", "true", "no", "false"}:
        a.fail(f"Value of '{a.name}' attribute must either be 'yes' or 'no'")
    return text in {"yes", "true"}


def _dryrun(a: Attribute) -> bool:
    text = a.text().lower()
    if text not in {"yes", "no"}:
        what = f"Value of '{a.name}' attribute counts as 'no': it is neither 'yes' nor 'no'"
        a.remark(what, error=f"{a.name}: write yes or no, not {text[:80]!r}")
    return text == "yes"


def _starttime(drafts: list[Draft], a: Attribute) -> None:
    try:
        when = parse_time(a.text())
    except ValueError as exc:
        a.remark(f"Value of '{a.name}' attribute is ignored: {exc}", error=f"{a.name}: {exc}")
        when = None
    for draft in drafts:
        draft.start_time = when


def _acl(drafts: list[Draft], a: Attribute) -> None:
    from arex.jobdesc.adl.acl import normal_acl  # noqa: PLC0415 - few jobs have one, and it needs an XML library

    try:
        acl = normal_acl(a.text())
    except ValueError as exc:
        a.remark(f"Value of '{a.name}' attribute is ignored: {exc}", error=f"{a.name}: {exc}")
        return
    for draft in drafts:
        draft.acl = acl


def _notify(drafts: list[Draft], a: Attribute) -> None:
    states = drafts[0].notifications
    for text in a.texts():
        words = text.replace("\t", " ").split(" ")
        words = [word for word in words if word]
        if not words:
            a.remark(f"An empty text in '{a.name}' has no effect")
            continue
        wanted = words.pop(0) if "@" not in words[0] else "be"
        if not words:
            a.fail(f"Syntax error in 'notify' attribute value ('{text}'), it must contain an email address")
        if wrong := set(wanted) - set("bqfecd"):
            a.fail(f"Syntax error in 'notify' attribute value ('{text}'), unknown state flag '{min(wrong)}'")
        for word in words:
            if "@" not in word:
                a.fail(f"Syntax error in 'notify' attribute value ('{text}'), '{word}' is not an email address")
            states[word] = "".join(dict.fromkeys(states.get(word, "") + wanted))
    for draft in drafts:
        draft.notifications = states  # the same for all, and none of the others is ever the first


def _url(a: Attribute) -> str:
    """A URL, or nothing with a remark."""
    try:
        return full_url(a.text())
    except ValueError as exc:
        a.remark(f"Value of '{a.name}' attribute is ignored: {exc}", error=f"{a.name}: {exc}")
        return ""


def _jobreport(drafts: list[Draft], a: Attribute) -> None:
    if url := _url(a):
        for draft in drafts:
            draft.remote_logging.append(RemoteLogging(url=url))


def _credentialserver(drafts: list[Draft], a: Attribute) -> None:
    if url := _url(a):
        for draft in drafts:
            draft.credential_services.append(url)


def _delegationid(drafts: list[Draft], a: Attribute) -> None:
    text = a.text()
    if a.operator != "=":
        a.fail(f"Invalid comparison operator '{a.operator}' used at 'delegationid' attribute, only \"=\" is allowed")
    for draft in drafts:
        draft.delegationid = text


def _queue(drafts: list[Draft], a: Attribute) -> None:
    text = a.text()
    if a.operator not in ({"=", "!="} if a.dialect is DescriptionDialect.USER else {"="}):
        a.fail(f"Invalid comparison operator '{a.operator}' used at 'queue' attribute")
    for draft in drafts:
        if a.operator == "=":
            draft.queue = text
        else:
            draft.excluded_queues.append(text)


def _runtime(drafts: list[Draft], a: Attribute) -> None:
    if not a.values:
        a.fail(f"Value of attribute '{a.name}' expected not to be empty")
    name, *options = a.texts()
    wanted = software(name, a.operator, options)
    for draft in drafts:
        if wanted.name:
            draft.runtimes.append(wanted)
    note(drafts, a, a.at, wanted.full_name)


def _opsys(drafts: list[Draft], a: Attribute) -> None:
    wanted = software(a.text(), a.operator)
    for draft in drafts:
        if wanted.name:
            draft.systems.append(wanted)


def _middleware(drafts: list[Draft], a: Attribute) -> None:
    wanted = software(a.text(), a.operator)
    for draft in drafts:
        if wanted.name:
            draft.middleware.append(wanted)


def _nodeaccess(drafts: list[Draft], a: Attribute) -> None:
    draft = drafts[0]  # as in ARC: it does not apply to alternatives before this attribute
    for word in a.texts():
        if word not in {"inbound", "outbound"}:
            a.remark(
                f"Value '{word[:80]}' of '{a.name}' and what follows is ignored: neither inbound nor outbound",
                error=f"{a.name}: write inbound or outbound, not {word[:80]!r}",
            )
            return
        draft.node_access = word if draft.node_access in {"", word} else "inoutbound"


def _action(drafts: list[Draft], a: Attribute) -> None:
    text = a.text()
    if text not in {"request", "cancel", "clean", "renew", "restart"}:
        a.remark(f"Value of '{a.name}' attribute is ignored")
        return
    for draft in drafts:
        draft.action = text
        draft.late["action"] = a


def _internal(_: list[Draft], a: Attribute) -> None:
    a.text()


def _nothing(_: list[Draft], a: Attribute) -> None:
    """The attribute is read elsewhere."""


def _unsupported(_: list[Draft], a: Attribute) -> None:
    a.remark(f"Attribute '{a.name}' is not supported: it is ignored")


_RULES: Final[dict[str, _Rule]] = {
    "executable": _once("executable"),
    "arguments": _arguments,
    "stdin": _once("stdin"),
    "stdout": _once("stdout"),
    "stderr": _once("stderr"),
    "gmlog": _once("gmlog"),
    "jobname": _once("name"),
    "architecture": _once("platform"),
    "delegationid": _delegationid,
    "environment": _environment,
    "inputfiles": _inputfiles,
    "outputfiles": _outputfiles,
    "cputime": _period("cputime_s", _limit),
    "walltime": _period("walltime_s", _limit),
    "lifetime": _period("lifetime_s", _lifetime),
    "benchmarks": _benchmarks,
    "memory": _set("memory_mb", _memory),
    "disk": _set("disk_mb", _disk),
    "count": _set("slots", _count),
    "exclusiveexecution": _set("exclusive", _flag),
    "runtimeenvironment": _runtime,
    "opsys": _opsys,
    "middleware": _middleware,
    "nodeaccess": _nodeaccess,
    "queue": _queue,
    "starttime": _starttime,
    "rerun": _set("rerun", _natural),
    "priority": _set("priority", _priority),
    "notify": _notify,
    "dryrun": _set("dryrun", _dryrun),
    "acl": _acl,
    "jobreport": _jobreport,
    "credentialserver": _credentialserver,
    "action": _action,
    "rslsubstitution": _nothing,
    "cluster": _unsupported,
    "replicacollection": _internal,
    **dict.fromkeys(("hostname", "jobid", "clientxrsl", "clientsoftware", "savestate"), _internal),
}
#: Attributes that are applied at the end, with others; the last of each counts.
_LATE: Final = frozenset({"executables", "ftpthreads", "cache", "countpernode", "join", "gridtime"})
#: Attributes whose values are compared with what the service has.
_LIMITED: Final = frozenset({"queue", "count", "walltime", "cputime", "gridtime", "memory", "disk", "notify"})
_RELATIONAL: Final = frozenset({"queue", "delegationid", "runtimeenvironment", "opsys", "middleware"})


def parse_xrsl(text: str, dialect: DescriptionDialect) -> list[JobDescription]:
    """
    Read the jobs of one xRSL text, in its order.

    Unknown attributes are skipped, with a warning. Alternatives (``|``) of a job are in its ``alternatives``.

    Raises:
        JobDescriptionError: with line and column.
    """
    source = SourceText(text)
    return [_XrslReader(source, dialect).job(request) for request in requests(source)]


class _XrslReader:
    """Goes through the tree of one job."""

    def __init__(self, source: SourceText, dialect: DescriptionDialect) -> None:
        self._source, self._dialect = source, dialect
        self._work = 0
        source.remarks.start_job()

    def job(self, request: Branch | Relation) -> JobDescription:
        drafts = [Draft()]
        self._read(Variables(self._source).resolve(request), drafts)
        for draft in drafts:
            finish(draft)
        if self._dialect is DescriptionDialect.USER and (action := drafts[0].late.get("action")):
            action.fail("'action' attribute not allowed in user-side job description")
        return drafts[0].finish(tuple(one.finish((), ()) for one in drafts[1:]), self._source.remarks.of_job())

    def _read(self, item: Branch | Relation, drafts: list[Draft]) -> None:
        if isinstance(item, Relation):
            self._count(len(drafts), item)
            self._apply(item, drafts)
        elif item.operator == "&":
            for part in item.items:
                self._read(part, drafts)
        else:
            self._choose(item, drafts)

    def _choose(self, item: Branch, drafts: list[Draft]) -> None:
        """The first branch belongs to the job; each other one is an alternative, from a copy of the job so far."""
        start = drafts[0].copy()
        first, *others = item.items
        self._read(first, drafts)
        for other in others:
            more = [start.copy()]
            self._count(len(start.inputs) + len(start.outputs), item)
            self._read(other, more)
            drafts.extend(more)
            if len(drafts) > MAX_ALTERNATIVES:
                self._source.fail(f"More than {MAX_ALTERNATIVES} alternatives", item.at)

    def _count(self, number: int, item: Branch | Relation) -> None:
        self._work += number
        if self._work > MAX_RELATIONS:
            self._source.fail(f"More than {MAX_RELATIONS} relations", item.at)

    def _apply(self, item: Relation, drafts: list[Draft]) -> None:
        values = tuple(value for value in item.values if isinstance(value, Text | Group))
        a = Attribute(self._source, self._dialect, item.at, item.name, item.operator, values)
        if item.operator != "=" and item.name not in _RELATIONAL:
            a.remark(f"'{item.operator}' counts as '=' at attribute '{item.name[:80]}'")
        if item.name in _LIMITED and a.by_user:
            note(drafts, a, a.at)
        if item.name in _LATE:
            self._postpone(a, drafts)
        elif rule := _RULES.get(item.name):
            rule(drafts, a)
        elif item.name in _GLOBUS:
            a.remark(f"The Globus attribute '{item.name}' is not supported: it is ignored")
        else:
            hint = "" if self._source.remarks.full else closest(item.name, (*_RULES, *_LATE))
            what = f"Unknown attribute '{item.written[:80]}'"
            a.remark(f"{what}: it is ignored", hint, error=what if hint else "")

    def _postpone(self, a: Attribute, drafts: list[Draft]) -> None:
        if a.name == "join" and a.dialect is DescriptionDialect.GRIDMANAGER:
            return
        if a.name != "executables":
            a.text()
        for draft in drafts:
            draft.late[a.name] = a
