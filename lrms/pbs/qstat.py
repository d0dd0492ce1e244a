"""
What qstat says about jobs, as attributes by name: JSON or text from OpenPBS, XML from Torque.

All jobs of all accounts are in the answer, with their environments, which may contain any text, also lines that look
like those of qstat. So an entry ends where the next one begins, whatever comes in between; a job with several entries
that differ is in an unknown state, since one of them is text of another job. An environment may even contain whole
entries, and the end of the one before, so that nothing in a text tells them from others: see ``QstatEntry.quotable``.

Source: qstat.c of OpenPBS 23.06 and Torque 6.1; what is known to go wrong with the JSON: issues 1255 and 2541 and
pull request 2049 of openpbs/openpbs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Self
from xml.sax.saxutils import unescape

from arex.errors import UnreadableOutput
from arex.model.report import EndCause, Usage
from arex.process import Completed

TAG_VARIABLE: Final = "AREX_TAG"
#: Digits of a number that is one: longer ones come from environments.
_DIGITS: Final = 18
JOB_ID: Final = re.compile(r"(\d{1,18})(?:\[(\d{0,18})\]|-(\d{1,18}))?(?:\.[\w.-]+)?(?:@[\w.-]+)?", re.ASCII)
_ELEMENT: Final = re.compile(r"<(\w+)>([^<]*)</\1>")
_TEXT_LINE: Final = re.compile(r" {4}([A-Za-z_][\w.]*) = (.*)", re.ASCII)
#: In JSON: the beginning of the entry of a job, and an attribute with a simple value.
_JSON_JOB: Final = re.compile(r'"([^"\n]+)"\s*:\s*\{(?=\s*"Job_Name"\s*:)')
_JSON_LINE: Final = re.compile(r'^[ \t]*"(\w+)"[ \t]*:[ \t]*(?:"([^"\n]*)"|(-?\d+)),?$', re.MULTILINE | re.ASCII)


@dataclass(frozen=True, slots=True)
class QstatJob:
    """The attributes of one job, as text; resources under ``LIST.NAME``."""

    attributes: Mapping[str, str]
    tag: str

    @classmethod
    def of_json(cls, values: Mapping[str, object]) -> Self:
        flat: dict[str, str] = {}
        for key, value in values.items():
            if isinstance(value, dict):
                flat |= {f"{key}.{name}": str(each) for name, each in value.items()}
            else:
                flat[key] = str(value)
        return cls(flat, flat.get(f"Variable_List.{TAG_VARIABLE}", ""))

    @classmethod
    def of_text(cls, values: Mapping[str, str]) -> Self:
        tag = re.search(rf"(?:^|,){TAG_VARIABLE}=([^,]*)", values.get("Variable_List", ""))
        return cls(values, tag[1] if tag else "")

    def text(self, name: str) -> str:
        return self.attributes.get(name, "")

    @property
    def owner(self) -> str:
        return self.text("Job_Owner").partition("@")[0]

    @property
    def exit_status(self) -> int | None:
        text = self.text("Exit_status") or self.text("exit_status")
        return int(text) if re.fullmatch(r"-?\d{1,9}", text, re.ASCII) else None

    @property
    def nodes(self) -> tuple[str, ...]:
        """``n1/0+n1/1+n2/0*4`` or ``n1/0-3``: each node once."""
        names = (part.partition("/")[0] for part in self.text("exec_host").split("+"))
        return tuple(dict.fromkeys(name for name in names if name))

    @property
    def started(self) -> datetime | None:
        return _moment(self.text("stime") or self.text("start_time"))

    @property
    def ended(self) -> datetime | None:
        return _moment(self.text("obittime") or self.text("comp_time") or self.text("mtime"))

    @property
    def usage(self) -> Usage:
        memory = _kilobytes(self.text("resources_used.mem"))
        return Usage(
            wall_s=_seconds(self.text("resources_used.walltime")),
            user_s=_seconds(self.text("resources_used.cput")),
            max_rss_kb=None if memory is None else int(memory),
        )

    def exceeded(self) -> EndCause | None:
        """The limit that a killed job exceeded, if the server does not tell."""
        for name, read, cause in (
            ("walltime", _seconds, EndCause.WALLTIME),
            ("cput", _seconds, EndCause.CPUTIME),
            ("mem", _kilobytes, EndCause.MEMORY),
        ):
            used, limit = read(self.text(f"resources_used.{name}")), read(self.text(f"Resource_List.{name}"))
            if used is not None and limit is not None and used > limit:
                return cause
        return None


@dataclass(frozen=True, slots=True)
class QstatEntry:
    """What an answer says about one job."""

    name: str  #: its id
    job: Callable[[], QstatJob] = field(compare=False)  #: raises any exception if the entry cannot be parsed
    #: whether it may be text in the environment of a job before it
    quotable: bool = False


class _Repeated(dict[str, object]):
    """An object of JSON that has a name more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(reversed(pairs))  # what comes after the environment may be a part of it
        self.pairs = pairs


def _object(pairs: list[tuple[str, Any]]) -> dict[str, object]:
    plain = dict(pairs)
    return plain if len(plain) == len(pairs) else _Repeated(pairs)


def read_json(done: Completed) -> list[QstatEntry]:
    """
    The entries of all jobs. Environments of jobs can make the JSON invalid; this is repaired where possible: escapes
    that JSON does not have, numbers with leading zeros, raw control characters. If that is not enough, each entry is
    parsed by itself, and an invalid one line by line.

    Raises:
        UnreadableOutput: it has another form, or is incomplete.
    """
    try:
        answer = json.loads(_repaired(done.out), strict=False, object_pairs_hook=_object)
    except (ValueError, RecursionError) as exc:
        if (entries := _pieces(done.out)) is None:
            raise UnreadableOutput(done.argv, done.code, done.out or done.err) from exc
        return entries
    jobs = answer.get("Jobs", {}) if isinstance(answer, dict) and "pbs_server" in answer else None
    if not isinstance(jobs, dict):
        raise UnreadableOutput(done.argv, done.code, done.out)
    pairs = jobs.pairs if isinstance(jobs, _Repeated) else jobs.items()
    return [QstatEntry(name, partial(QstatJob.of_json, values)) for name, values in pairs]


def _repaired(text: str) -> str:
    text = re.sub(r"\\(.)", lambda found: found[0] if found[1] in '"\\/bfnrtu' else found[1], text, flags=re.DOTALL)
    return re.sub(r'":(\s*)([-+]?0\d[\w.+-]*)(?=\s*[,}\n])', r'":\1"\2"', text)


def _pieces(text: str) -> list[QstatEntry] | None:
    """The entries of an answer that is complete, but invalid as a whole; None: it is not the answer of qstat."""
    if '"pbs_server"' not in text or not text.rstrip().endswith("\n}"):
        return None
    starts = [found for found in _JSON_JOB.finditer(text) if JOB_ID.fullmatch(found[1])]
    ends = [found.start() for found in starts[1:]] + [len(text)]
    if not starts:
        return None
    return [
        QstatEntry(each[1], partial(_piece, text[each.end() : end]), quotable=True)
        for each, end in zip(starts, ends, strict=True)
    ]


def _piece(text: str) -> QstatJob:
    """One entry, which what follows the brace of its job begins with."""
    try:
        decoder = json.JSONDecoder(strict=False, object_pairs_hook=_object)
        values, _ = decoder.raw_decode("{" + _repaired(text))
    except (ValueError, RecursionError):
        # outside of the environment, values are short and on one line each
        plain, _, environment = text.partition('"Variable_List"')
        found = _JSON_LINE.findall(plain) + _JSON_LINE.findall(environment)
        values = {name: quoted or number for name, quoted, number in reversed(found)}
        tag = re.search(rf'"{TAG_VARIABLE}":\s*"([^"]*)"', environment)
        return QstatJob({name: str(value) for name, value in values.items()}, tag[1] if tag else "")
    return QstatJob.of_json(values)


def read_text(done: Completed) -> list[QstatEntry]:
    """
    The entries of all jobs, from ``qstat -f``: one line for an attribute, continued with a tab.

    Raises:
        UnreadableOutput: it has another form, or is incomplete.
    """
    text = done.out
    if not text.strip():
        return []
    first, *others = re.split(r"\n\nJob Id: (?=[^\n]*\n)", "\n\n" + text.lstrip("\n"))
    if first or not others or not text.endswith("\n\n"):
        raise UnreadableOutput(done.argv, done.code, text[-300:])
    parts = [each.partition("\n") for each in others]
    return [QstatEntry(head.strip(), partial(_attributes, rest), quotable=True) for head, _, rest in parts]


def _attributes(text: str) -> QstatJob:
    """The attributes in an entry. Other lines belong to the value before; the first value of a name counts."""
    values: dict[str, list[str]] = {}
    name = ""
    for line in text.replace("\n\t", "").split("\n"):
        found = _TEXT_LINE.fullmatch(line)
        if found is not None and found[1] not in values:
            name = found[1]
            values[name] = [found[2]]
        elif name:
            values[name].append(line)
    return QstatJob.of_text({name: "\n".join(lines).strip() for name, lines in values.items()})


def read_xml(done: Completed) -> list[QstatEntry]:
    """
    The entries of all jobs. The XML of some versions has characters that no XML parser accepts, so only its elements
    are parsed.

    Raises:
        UnreadableOutput: it has another form, or is incomplete.
    """
    text = done.out.strip()
    if not text and not done.err.strip():
        return []  # this means that there is no job
    if not re.fullmatch(r"(<\?xml[^>]*\?>\s*)?<Data>(<Job>.*</Job>)?</Data>", text, re.DOTALL):
        raise UnreadableOutput(done.argv, done.code, done.out[-300:] or done.err)
    jobs = [_elements(part) for part in re.findall(r"<Job>(.*?)</Job>", text, re.DOTALL)]
    return [QstatEntry(each.get("Job_Id", ""), partial(QstatJob.of_text, each)) for each in jobs]


def _elements(text: str) -> dict[str, str]:
    flat: dict[str, str] = {}
    for group in ("resources_used", "Resource_List"):
        before, _, rest = text.partition(f"<{group}>")
        inside, end, after = rest.partition(f"</{group}>")
        if end:
            flat |= {f"{group}.{name}": each for name, each in _ELEMENT.findall(inside)}
            text = before + after
    # the first one of a name counts: what comes after the environment may be a part of it
    return flat | {name: unescape(value) for name, value in reversed(_ELEMENT.findall(text))}


def _moment(text: str) -> datetime | None:
    """Seconds of the epoch, or ctime in the server's local time."""
    try:
        if text.isdecimal():
            return datetime.fromtimestamp(int(text[:_DIGITS]), UTC)
        # the later one of two: a job must not seem to have ended before it was submitted
        return datetime.strptime(text, "%a %b %d %H:%M:%S %Y").replace(fold=1).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _seconds(text: str) -> float | None:
    """``[[hours:]minutes:]seconds``."""
    if not re.fullmatch(r"\d{1,18}(:\d{1,18}){0,2}", text, re.ASCII):
        return None
    total = 0.0
    for part in text.split(":"):
        total = total * 60 + float(part)
    return total


def _kilobytes(text: str) -> float | None:
    found = re.fullmatch(r"(\d{1,18})([kmgtp]?)([bw])", text.lower(), re.ASCII)
    if found is None:
        return None
    factor = 1024.0 ** ("kmgtp".index(found[2]) if found[2] else -1)
    return int(found[1]) * factor * (8 if found[3] == "w" else 1)
