"""
The completion record ``RUNDIR/done``: how an attempt ended, written once and atomically by whoever saw it end.

``key=value`` lines: ``exitcode`` (empty: the payload did not run to an end of its own), ``signal``, ``cause``
(a word of ``EndCause``), ``start`` and ``end`` (ISO, UTC), ``wall_s``, ``user_s``, ``system_s`` or ``times`` (as the
shell prints them), ``maxrss_kb``, ``node`` (repeatable), and ``complete=yes`` last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from arex.errors import BatchError
from arex.model.report import EndCause, Phase, Report, Usage

_ISO: Final = "%Y-%m-%dT%H:%M:%SZ"


class UnreadableRecord(BatchError):
    """A completion record that nobody can read: the attempt is over, how it ended is not known."""

    def __init__(self, path: Path | str, what: str) -> None:
        self.path, self.what = Path(path), what
        super().__init__(f"{path}: {what}")


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


def read_done(path: Path) -> Done | None:
    """
    The record, or None while there is none.

    Raises:
        UnreadableRecord: there is one and it makes no sense.
    """
    try:
        text = path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return None
    try:
        return parse_done(text)
    except (KeyError, ValueError) as exc:
        raise UnreadableRecord(path, f"no completion record: {exc}") from exc


def parse_done(text: str) -> Done:
    """Raises KeyError for a missing line, ValueError for a value that does not read."""
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition("=")
        values.setdefault(key, []).append(value)
    if values.get("complete") != ["yes"]:
        raise ValueError("it has no end")
    return Done(
        exit_code=_number(values["exitcode"][0]),
        signal=_number(values["signal"][0]),
        cause=EndCause(values["cause"][0]),
        start=_time(values["start"][0]),
        end=_time(values["end"][0]),
        nodes=tuple(values.get("node", ())),
        usage=_usage(values),
    )


def _usage(values: Mapping[str, Sequence[str]]) -> Usage:
    def seconds(key: str) -> float | None:
        return float(values[key][0]) if key in values else None

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
    return datetime.strptime(text, _ISO).replace(tzinfo=UTC)


def _shell_seconds(text: str) -> float:
    """``1m2.50s``, as the builtin ``times`` prints it; some locales write a comma."""
    minutes, _, rest = text.partition("m")
    return 60 * int(minutes) + float(rest.removesuffix("s").replace(",", "."))


def ended(done: Done) -> Report:
    """What the record says, as a report."""
    return Report(
        phase=Phase.ENDED,
        exit_code=done.exit_code,
        signal=done.signal,
        cause=done.cause,
        nodes=done.nodes,
        started=done.start,
        ended=done.end,
        usage=done.usage,
    )


def lost(message: str = "") -> Report:
    """The report of an attempt that left no word."""
    return Report(phase=Phase.ENDED, cause=EndCause.LOST, message=message)


def lrms_done_text(report: Report, expected: int | None = None) -> str:
    """
    The line of ``lrms_done``, without its line feed: ``CODE MESSAGE``.

    A-REX looks at nothing but whether the code equals the expected one (None: 0). A payload that was
    stopped for a reason of the batch system has failed even if its code is the expected one, and gets
    256 + signal then, as batch systems do.
    Source: spec of the control directory (ARC 6.17), sections on scan-X-job and the fork backend.
    """
    wanted = expected or 0
    code = report.exit_code
    if code is None:
        return f"-1 {report.message or 'Job died unexpectedly'}"
    if code == wanted and report.cause not in {EndCause.EXIT_CODE, EndCause.SIGNAL, None}:
        code = 256 + (report.signal or 9)
    if report.message or code == wanted:
        return f"{code} {report.message}"
    return f"{code} Job finished with wrong exit code - {code} != {wanted}"
