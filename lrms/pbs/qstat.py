"""
What qstat says about jobs, as attributes by name: JSON or text from OpenPBS, XML from Torque.

Source: qstat.c of OpenPBS 23.06 and Torque 6.1; what is known to go wrong with the JSON: issues 1255 and 2541 and
pull request 2049 of openpbs/openpbs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self
from xml.sax.saxutils import unescape

from arex.errors import UnreadableOutput
from arex.model.report import EndCause, Usage
from arex.process import Completed

TAG_VARIABLE: Final = "AREX_TAG"
JOB_ID: Final = re.compile(r"(\d+)(?:\[(\d*)\]|-(\d+))?(?:\.[\w.-]+)?(?:@[\w.-]+)?", re.ASCII)
_ELEMENT: Final = re.compile(r"<(\w+)>([^<]*)</\1>")


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
        return int(text) if re.fullmatch(r"-?\d+", text, re.ASCII) else None

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


def read_json(done: Completed) -> dict[str, QstatJob]:
    """
    Jobs by id. Environments of jobs can make the JSON invalid; this is repaired where possible: escapes that JSON does
    not have, numbers with leading zeros, raw control characters.

    Raises:
        UnreadableOutput: it is invalid, or incomplete.
    """
    text = re.sub(r"\\(.)", lambda found: found[0] if found[1] in '"\\/bfnrtu' else found[1], done.out, flags=re.DOTALL)
    text = re.sub(r'":(\s*)([-+]?0\d[\w.+-]*)(?=\s*[,}\n])', r'":\1"\2"', text)
    try:
        answer = json.loads(text, strict=False)
    except (ValueError, RecursionError) as exc:
        raise UnreadableOutput(done.argv, done.code, done.out or done.err) from exc
    jobs = answer.get("Jobs", {}) if isinstance(answer, dict) and "pbs_server" in answer else None
    if not isinstance(jobs, dict):
        raise UnreadableOutput(done.argv, done.code, done.out)
    return {localid: QstatJob.of_json(values) for localid, values in jobs.items() if isinstance(values, dict)}


def read_text(done: Completed) -> dict[str, QstatJob]:
    """
    Jobs by id, from ``qstat -f``: one line for an attribute, continued with a tab; an empty line ends a job.

    Raises:
        UnreadableOutput: it has another form, or is incomplete.
    """
    jobs: dict[str, QstatJob] = {}
    for block in re.split(r"\n\n+", done.out.replace("\n\t", "").lstrip("\n"))[:-1]:
        first, *lines = block.split("\n")
        pairs = [line.strip().partition(" = ") for line in lines]
        localid = first.removeprefix("Job Id: ").strip()
        if first == localid or not JOB_ID.fullmatch(localid) or not all(equals for _, equals, _ in pairs):
            raise UnreadableOutput(done.argv, done.code, block[:300])
        jobs[localid] = QstatJob.of_text({name: value for name, _, value in pairs})
    if done.out.strip() and not done.out.endswith("\n\n"):
        raise UnreadableOutput(done.argv, done.code, done.out[-300:])
    return jobs


def read_xml(done: Completed) -> dict[str, QstatJob]:
    """
    Jobs by id. The XML of some versions has characters that no XML parser accepts, so only its elements are parsed.

    Raises:
        UnreadableOutput: it has another form, or is incomplete.
    """
    text = done.out.strip()
    if not text and not done.err.strip():
        return {}  # this means that there is no job
    if not re.fullmatch(r"(<\?xml[^>]*\?>\s*)?<Data>(<Job>.*</Job>)?</Data>", text, re.DOTALL):
        raise UnreadableOutput(done.argv, done.code, done.out[-300:] or done.err)
    jobs: dict[str, QstatJob] = {}
    for part in re.findall(r"<Job>(.*?)</Job>", text, re.DOTALL):
        attributes = _elements(part)
        localid = attributes.get("Job_Id", "")
        if not JOB_ID.fullmatch(localid):
            raise UnreadableOutput(done.argv, done.code, part[:300])
        jobs[localid] = QstatJob.of_text(attributes)
    return jobs


def _elements(text: str) -> dict[str, str]:
    flat: dict[str, str] = {}
    for group in ("resources_used", "Resource_List"):
        if (found := re.search(rf"<{group}>(.*?)</{group}>", text, re.DOTALL)) is not None:
            flat |= {f"{group}.{name}": each for name, each in _ELEMENT.findall(found[1])}
            text = text.replace(found[0], "")
    return flat | {name: unescape(value) for name, value in _ELEMENT.findall(text)}


def _moment(text: str) -> datetime | None:
    """Seconds of the epoch, or ctime in the server's local time."""
    if text.isdecimal():
        return datetime.fromtimestamp(int(text), UTC)
    try:
        return datetime.strptime(text, "%a %b %d %H:%M:%S %Y").astimezone(UTC)
    except ValueError:
        return None


def _seconds(text: str) -> float | None:
    """``[[hours:]minutes:]seconds``."""
    if not re.fullmatch(r"\d+(:\d+){0,2}", text, re.ASCII):
        return None
    total = 0.0
    for part in text.split(":"):
        total = total * 60 + float(part)
    return total


def _kilobytes(text: str) -> float | None:
    found = re.fullmatch(r"(\d+)([kmgtp]?)([bw])", text.lower(), re.ASCII)
    if found is None:
        return None
    factor = 1024.0 ** ("kmgtp".index(found[2]) if found[2] else -1)
    return int(found[1]) * factor * (8 if found[3] == "w" else 1)
