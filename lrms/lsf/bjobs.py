"""
What bjobs says about jobs, as values: JSON, fields with a delimiter, or columns for people.

Source: bjobs(1) of LSF 7, 9.1 and 10.1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from arex.errors import UnreadableOutput
from arex.model.ids import LocalId
from arex.model.report import Usage
from arex.process import Completed

#: In the order in which they are asked for; each of the account's other jobs may have anything in the last two.
FIELDS: Final = (
    "jobid", "stat", "exit_code", "exit_reason", "exec_host", "start_time", "finish_time", "cpu_used", "run_time",
    "max_mem", "job_description", "job_name",
)  # fmt: skip
DELIMITER: Final = "^"
_UNITS: Final = {"K": 1, "M": 1024, "G": 1024**2, "T": 1024**3}
_COLUMNS: Final = re.compile(r"(\d+)\s+\S+\s+([A-Z_]+)\s+\S+\s+\S+\s+(.*)\s\w{3}\s+\d+ \d\d:\d\d", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class BjobsRecord:
    """One job, or one child of an array."""

    localid: LocalId
    state: str
    name: str = ""
    description: str = ""
    exit_code: int | None = None
    exit_reason: str = ""
    pend_reason: str = ""
    nodes: tuple[str, ...] = ()
    started: datetime | None = None
    ended: datetime | None = None
    usage: Usage = Usage()  # noqa: RUF009 - frozen

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Self:
        """From fields by the names that bjobs prints above them; raises KeyError, ValueError."""
        name, code = fields["JOB_NAME"], fields["EXIT_CODE"]
        return cls(
            localid=_localid(fields["JOBID"], name),
            state=fields["STAT"],
            name=name,
            description=fields["JOB_DESCRIPTION"],
            exit_code=int(code) if code.isdecimal() else None,
            exit_reason=" ".join(fields["EXIT_REASON"].split()),
            pend_reason=" ".join(fields.get("PEND_REASON", "").split()).rstrip(";"),
            nodes=_nodes(fields["EXEC_HOST"]),
            started=_moment(fields["START_TIME"]),
            ended=_moment(fields["FINISH_TIME"]),
            usage=Usage(
                wall_s=_seconds(fields["RUN_TIME"]),
                user_s=_seconds(fields["CPU_USED"]),
                max_rss_kb=_kilobytes(fields["MAX_MEM"]),
            ),
        )


def read_json(done: Completed) -> list[BjobsRecord]:
    """
    From ``-json``; lines that ask to wait may come before.

    Raises:
        UnreadableOutput: it is invalid, or incomplete.
    """
    try:
        answer = json.loads(done.out[done.out.index("{") :], strict=False)
        records = [BjobsRecord.of({key: str(value) for key, value in each.items()}) for each in answer["RECORDS"]]
        complete = int(answer["JOBS"]) == len(records)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise UnreadableOutput(done.argv, done.code, done.out or done.err) from exc
    if not complete:
        raise UnreadableOutput(done.argv, done.code, done.out)
    return records


def read_delimited(done: Completed) -> list[BjobsRecord]:
    """
    From ``-o`` with a delimiter, below a line with the names; a dash is an empty value.

    Raises:
        UnreadableOutput: it has another form, or is incomplete.
    """
    lines = _below(done, DELIMITER.join(name.upper() for name in FIELDS))
    records = []
    for line in lines:
        values = ["" if each == "-" else each for each in line.split(DELIMITER)]
        if len(values) < len(FIELDS):
            raise UnreadableOutput(done.argv, done.code, line)
        try:
            records.append(BjobsRecord.of(dict(zip((name.upper() for name in FIELDS), values, strict=False))))
        except ValueError as exc:
            raise UnreadableOutput(done.argv, done.code, line) from exc
    return records


def read_plain(done: Completed) -> list[BjobsRecord]:
    """
    From ``-w``: id, user, state, queue, hosts, name and time in columns; a job that has not started has no second host.

    Raises:
        UnreadableOutput: it has another form, or is incomplete.
    """
    records = []
    for line in _below(done, "JOBID"):
        if (found := _COLUMNS.fullmatch(line.strip())) is None:
            raise UnreadableOutput(done.argv, done.code, line)
        words = found[3].split()
        name = words[-1] if words else ""
        hosts = _nodes(words[0]) if len(words) > 1 else ()
        records.append(BjobsRecord(localid=_localid(found[1], name), state=found[2], name=name, nodes=hosts))
    return records


def _below(done: Completed, head: str) -> Iterator[str]:
    """The lines below the one with this beginning; the last one must end with a line break."""
    before, found, rest = done.out.partition(head)
    if not found or (before and not before.endswith("\n")) or not rest.endswith("\n"):
        raise UnreadableOutput(done.argv, done.code, done.out or done.err)
    return (line for line in rest.splitlines()[1:] if line.strip())


def _localid(number: str, name: str) -> LocalId:
    """Some versions show a child with its array's number only: then its name has the index."""
    if re.fullmatch(r"\d+\[\d+\]", number, re.ASCII):
        return LocalId(number)
    if not re.fullmatch(r"\d+", number, re.ASCII):
        raise ValueError(f"not a job id: {number!r}")
    index = re.search(r"\[\d+\]$", name, re.ASCII)
    return LocalId(number + (index[0] if index else ""))


def _nodes(text: str) -> tuple[str, ...]:
    """``2*n1:n2`` or ``n1:n1``: each once."""
    return tuple(dict.fromkeys(part.rpartition("*")[2] for part in text.split(":") if part))


def _moment(text: str) -> datetime | None:
    """A time in local time; None if it has no year, as on most sites."""
    text = re.sub(r" [A-Z]$", "", " ".join(text.split()))
    for form in ("%b %d %H:%M:%S %Y", "%b %d %H:%M %Y"):
        try:
            return datetime.strptime(text, form).astimezone(UTC)
        except ValueError:
            continue
    return None


def _seconds(text: str) -> float | None:
    """``0.1 second(s)``, or ``00:00:01`` where the site wants that."""
    if found := re.match(r"([\d.]+) second", text):
        return float(found[1])
    if found := re.fullmatch(r"(\d+):(\d\d):(\d\d)", text, re.ASCII):
        return int(found[1]) * 3600.0 + int(found[2]) * 60 + int(found[3])
    return None


def _kilobytes(text: str) -> int | None:
    """``5.2 Gbytes``."""
    found = re.match(r"([\d.]+) ?([KMGT])", text)
    return int(float(found[1]) * _UNITS[found[2]]) if found else None
