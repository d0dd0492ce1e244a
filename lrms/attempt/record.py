"""
The completion record ``RUNDIR/done``: how an attempt ended, written once by its job script or supervisor. It is
valid only if its last line is there.

``key=value`` lines: ``exitcode`` (empty: the payload did not run to its end), ``signal``, ``cause``
(a word of ``EndCause``), ``start`` and ``end`` (ISO, UTC), ``wall_s``, ``user_s``, ``system_s`` or two lines as the
shell's ``times`` prints them, ``maxrss_kb``, ``node`` (repeatable), ``localid``, ``oom_kills``, ``message``, ``doubt``
(a sentence about processes that could not be ended), and ``complete=yes`` last.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from arex.controldir import atomic
from arex.errors import BatchError, CorruptFile
from arex.model.report import EndCause, Phase, Report, Usage

_ISO: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


class UnreadableRecord(BatchError):
    """A completion record that cannot be parsed: the attempt is over, and it is unknown how it ended."""

    def __init__(self, path: Path | str, what: str) -> None:
        self.path, self.what = Path(path), what
        super().__init__(f"{path}: {what}")


class UnfinishedRecord(UnreadableRecord):
    """A record without its last line: it is being written, or its script was killed meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One completion record."""

    exit_code: int | None
    signal: int | None
    cause: EndCause
    start: datetime
    end: datetime
    nodes: tuple[str, ...] = ()
    usage: Usage
    localid: str = ""  #: the job's own, as it saw it; empty under a supervisor
    message: str = ""  #: why the payload was not run, in the script's words
    doubt: str = ""  #: which processes are left
    oom_kills: int | None = None  #: processes that the kernel ended for memory; None: not counted


@dataclass(frozen=True, slots=True)
class StartMarker:
    """``RUNDIR/started``: the script has begun, under this local id; an empty id keeps it from starting."""

    localid: str


def read_done(path: Path) -> Done | None:
    """
    The record, or None while there is none.

    Raises:
        UnreadableRecord: there is one and it is invalid.
    """
    data = read_file(path)
    if data is None:
        return None
    try:
        if not data.endswith(b"complete=yes\n"):
            raise UnfinishedRecord(path, "invalid completion record: its last line, complete=yes, is missing")
        written = datetime.fromtimestamp(path.lstat().st_mtime, UTC) if b"\nend=\n" in data else None
        return parse_done(data.decode(errors="replace"), written)
    except KeyError as exc:
        raise UnreadableRecord(path, f"invalid completion record: the line {exc.args[0]}= is missing") from exc
    except (ValueError, OverflowError, IndexError) as exc:
        raise UnreadableRecord(path, f"invalid completion record: {exc}") from exc


def read_file(path: Path) -> bytes | None:
    """
    The content of a file that the payload may have replaced by anything; None if it does not exist.

    Raises:
        UnreadableRecord: it is not a regular file or too large, or its directory is not a directory.
        OSError: it exists and cannot be read now.
    """
    try:
        return atomic.read(str(path))
    except CorruptFile as exc:
        raise UnreadableRecord(path, exc.what) from exc
    except OSError as exc:
        if exc.errno in {errno.ENOTDIR, errno.ELOOP}:
            raise UnreadableRecord(path, "its parent is not a directory") from exc
        raise


def parse_done(text: str, written: datetime | None = None) -> Done:
    """
    Parse a completion record.

    Args:
        text: its content.
        written: when it was written: the end of a job on a node that has no program ``date``.

    Raises:
        KeyError: a line is missing.
        ValueError, OverflowError: a value is invalid.
    """
    values: dict[str, list[str]] = {}
    for line in text.split("\n"):  # a message may have other characters that end a line
        if not line:
            continue
        key, equals, value = line.partition("=")
        if equals:
            values.setdefault(key, []).append(value)
        else:
            values["times"] = [line]  # of the shell, then of its children: the last one counts
    if values.get("complete") != ["yes"]:
        raise ValueError("its last line, complete=yes, is missing")
    usage, end = _usage(values), values["end"][0]
    ended = written if written is not None and not end else _time(end)
    start = values["start"][0]
    started = _time(start) if start else ended - timedelta(seconds=usage.wall_s or 0)
    return Done(
        exit_code=_number(values["exitcode"][0]),
        signal=_number(values["signal"][0]),
        cause=EndCause(values["cause"][0]),
        start=started,
        end=ended,
        nodes=tuple(values.get("node", ())),
        usage=usage,
        message=values.get("message", [""])[0],
        doubt=values.get("doubt", [""])[0],
        localid=values.get("localid", [""])[0],
        oom_kills=int(values["oom_kills"][0]) if "oom_kills" in values else None,
    )


def _usage(values: Mapping[str, Sequence[str]]) -> Usage:
    def seconds(key: str) -> float | None:
        return float(values[key][0]) if values.get(key, [""])[0] else None

    user, system = seconds("user_s"), seconds("system_s")
    if "times" in values:
        user, system = map(_shell_seconds, values["times"][0].split())
    return Usage(
        wall_s=seconds("wall_s"),
        user_s=user,
        system_s=system,
        max_rss_kb=int(values["maxrss_kb"][0]) if "maxrss_kb" in values else None,
    )


def _number(text: str) -> int | None:
    return int(text) if text else None


def _time(text: str) -> datetime:
    if not _ISO.fullmatch(text):
        raise ValueError(f"{text!r} is not a time")
    return datetime.fromisoformat(text)


def _shell_seconds(text: str) -> float:
    """``1m2.50s``, as the builtin ``times`` prints it; some locales write a comma."""
    minutes, _, rest = text.partition("m")
    return 60 * int(minutes) + float(rest.removesuffix("s").replace(",", "."))


def ended(done: Done) -> Report:
    """The report that follows from a record."""
    return Report(
        phase=Phase.ENDED,
        exit_code=done.exit_code,
        signal=done.signal,
        cause=done.cause,
        nodes=done.nodes,
        started=done.start,
        ended=done.end,
        usage=done.usage,
        message=failure(done),
        doubt=done.doubt,
    )


def failure(done: Done) -> str:
    """The script's reason why the payload did not run to its end; empty if it did, or if the reason is unknown."""
    return f"Job failed: {done.cause} ({done.message})" if done.message and done.exit_code is None else ""


def lost(message: str = "") -> Report:
    """The report of an attempt that left no record."""
    return Report(phase=Phase.ENDED, cause=EndCause.LOST, message=message)
