"""
What bjobs says about jobs, as values: JSON, fields with a delimiter, or columns for people.

Names and descriptions of the account's other jobs may be any text. So one entry that cannot be parsed does not matter
to the others, and a job with several entries is in an unknown state, since one of them is text of another job.

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
#: A field of an entry, on a line without blanks at its ends and without its comma; the last quotation mark ends it.
_JSON_LINE: Final = re.compile(r'"([A-Z_]+)"\s*:\s*"(.*)"', re.ASCII)
_UNITS: Final = {"K": 1, "M": 1024, "G": 1024**2, "T": 1024**3}
_WORD: Final = re.compile(r"\S+", re.ASCII)
#: Id, user, state, queue, host; and month, day, time.
_BEFORE: Final = re.compile(r"\d{1,18} \S+ [A-Z_]+ \S+ \S+", re.ASCII)
_AFTER: Final = re.compile(r"\w{3} \d+ \d\d:\d\d", re.ASCII)


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
            exit_code=int(code) if re.fullmatch(r"\d{1,9}", code, re.ASCII) else None,
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


#: One job: its id, and the rest on demand. Both raise any exception if the entry cannot be parsed.
Entry = Mapping[str, str] | str


def read_json(done: Completed) -> list[dict[str, str]]:
    """
    The fields of each job, from ``-json``; lines that ask to wait may come before.

    Some versions do not escape what is in a name or a description: then each entry is parsed by itself.

    Raises:
        UnreadableOutput: it has another form, or is incomplete.
    """
    try:
        text = done.out[done.out.index("{") :]
        answer = json.loads(text, strict=False)
        records, count = answer["RECORDS"], int(answer["JOBS"])
    except (ValueError, RecursionError):
        records, count = _pieces(done)
    except (KeyError, TypeError) as exc:
        raise UnreadableOutput(done.argv, done.code, done.out or done.err) from exc
    if not isinstance(records, list) or count != len(records):
        raise UnreadableOutput(done.argv, done.code, done.out)
    return [{str(key): str(value) for key, value in each.items()} for each in records if isinstance(each, dict)]


def _pieces(done: Completed) -> tuple[list[dict[str, str]], int]:
    """
    The entries of an answer that is complete, but invalid as a whole, and their number as bjobs counts them.

    Raises:
        UnreadableOutput: it is something else.
    """
    count = re.search(r'^[ \t]*"JOBS"\s*:\s*(\d{1,9}),?$', done.out, re.MULTILINE | re.ASCII)
    if count is None or not re.search(r"\]\s*\}\s*$", done.out):
        raise UnreadableOutput(done.argv, done.code, done.out or done.err)
    parts = re.split(r'\{\s*(?="JOBID"\s*:)', done.out)[1:]
    return [_fields(part) for part in parts], int(count[1])


def _fields(text: str) -> dict[str, str]:
    """The fields of an entry that is no valid JSON."""
    lines = (line.strip().removesuffix(",").rstrip() for line in text.split("\n"))
    found = (_JSON_LINE.fullmatch(line) for line in lines)
    return {each[1]: each[2] for each in found if each}


def read_delimited(done: Completed) -> list[dict[str, str]]:
    """
    The fields of each job, from ``-o`` with a delimiter, below a line with the names; a dash is an empty value.

    Raises:
        UnreadableOutput: it has another form, or is incomplete.
    """
    names = [name.upper() for name in FIELDS]
    lines = list(_below(done, DELIMITER.join(names)))
    # a description may contain the delimiter, or end with the line; a line with less is the rest of one that ended so
    split = [line.split(DELIMITER, len(FIELDS) - 1) for line in lines]
    whole = [[*words, ""][: len(FIELDS)] for words in split if len(words) >= len(FIELDS) - 1]
    if lines and not whole:
        raise UnreadableOutput(done.argv, done.code, lines[0])
    return [dict(zip(names, ("" if each == "-" else each for each in words), strict=True)) for words in whole]


def read_plain(done: Completed) -> list[str]:
    """
    The lines of ``-w``: id, user, state, queue, hosts, name and time in columns.

    Raises:
        UnreadableOutput: it has another form, or is incomplete.
    """
    lines = [line.strip() for line in _below(done, "JOBID")]
    whole = [line for line in lines if _columns(line) is not None]
    if lines and not whole:
        raise UnreadableOutput(done.argv, done.code, lines[0])
    return whole


def record_of(entry: Entry) -> BjobsRecord:
    """One entry of any form; raises KeyError, ValueError."""
    if isinstance(entry, str):
        return _plain(entry)
    return BjobsRecord.of(entry)


def id_of(entry: Entry) -> LocalId:
    """The id in an entry; raises KeyError, ValueError."""
    if isinstance(entry, str):
        return _plain(entry).localid
    return _localid(entry["JOBID"], entry.get("JOB_NAME", ""))


def _plain(line: str) -> BjobsRecord:
    """A job that has not started has no second host."""
    if (found := _columns(line)) is None:
        raise ValueError(f"not a line of bjobs: {line!r}")
    words = found[5:-3]
    name = words[-1] if words else ""
    hosts = _nodes(words[0]) if len(words) > 1 else ()
    return BjobsRecord(localid=_localid(found[0], name), state=found[2], name=name, nodes=hosts)


def _columns(line: str) -> list[str] | None:
    """The words of a line: five, the execution host and the name, then three of a time; None: it is something else."""
    words = _WORD.findall(line)
    is_one = len(words) >= 8 and _BEFORE.fullmatch(" ".join(words[:5])) and _AFTER.fullmatch(" ".join(words[-3:]))
    return words if is_one else None


def _below(done: Completed, head: str) -> Iterator[str]:
    """The lines below the one with this beginning; the last one must end with a line break."""
    before, found, rest = done.out.partition(head)
    if not found or (before and not before.endswith("\n")) or not rest.endswith("\n"):
        raise UnreadableOutput(done.argv, done.code, done.out or done.err)
    return (line for line in rest.split("\n")[1:] if line.strip())


def _localid(number: str, name: str) -> LocalId:
    """Some versions show a child with its array's number only: then its name has the index."""
    if re.fullmatch(r"\d{1,18}\[\d{1,18}\]", number, re.ASCII):
        return LocalId(number)
    if not re.fullmatch(r"\d{1,18}", number, re.ASCII):
        raise ValueError(f"not a job id: {number!r}")
    index = re.search(r"\[\d{1,18}\]$", name, re.ASCII)
    return LocalId(number + (index[0] if index else ""))


def _nodes(text: str) -> tuple[str, ...]:
    """``2*n1:n2`` or ``n1:n1``: each once."""
    return tuple(dict.fromkeys(part.rpartition("*")[2] for part in text.split(":") if part))


def _moment(text: str) -> datetime | None:
    """A time in local time; None if it has no year, as on most sites."""
    text = re.sub(r" [A-Z]$", "", " ".join(text.split()))
    for form in ("%b %d %H:%M:%S %Y", "%b %d %H:%M %Y"):
        try:
            # the later one of two: a job must not seem to have ended before it was submitted
            return datetime.strptime(text, form).replace(fold=1).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    return None


def _seconds(text: str) -> float | None:
    """``0.1 second(s)``, or ``00:00:01`` where the site wants that."""
    if found := re.match(r"(\d{1,18}(?:\.\d*)?) second", text):
        return float(found[1])
    if found := re.fullmatch(r"(\d{1,9}):(\d\d):(\d\d)", text, re.ASCII):
        return int(found[1]) * 3600.0 + int(found[2]) * 60 + int(found[3])
    return None


def _kilobytes(text: str) -> int | None:
    """``5.2 Gbytes``."""
    found = re.match(r"(\d{1,18}(?:\.\d*)?) ?([KMGT])", text)
    return int(float(found[1]) * _UNITS[found[2]]) if found else None
