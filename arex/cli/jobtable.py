"""The table of jobs: a line for each, and their number by state."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import click

from arex.cli.output import clock_time, counted, printable, shown_reason, terminal_width
from arex.cli.select import Chosen
from plugins.local.status import ClientState, JobStatus

_TITLES: Final = ("NAME", "ID", "STATE", "QUEUE", "TIME", "WALL", "EXIT", "WHY")
_RIGHT: Final = frozenset({"TIME", "WALL", "EXIT"})
_LONGEST_NAME: Final = 24
_SHORT_ID: Final = 8
_LEAST_WHY: Final = 24
_COLOURS: Final = {
    ClientState.FINISHED: "green",
    ClientState.FAILED: "red",
    ClientState.KILLED: "red",
    ClientState.RUNNING: "cyan",
    ClientState.HOLD: "yellow",
}
#: The states of the counts, in their order.
_WORDS: Final = (
    ("finished", {ClientState.FINISHED}),
    ("failed", {ClientState.FAILED}),
    ("killed", {ClientState.KILLED}),
    ("running", {ClientState.RUNNING}),
    ("held", {ClientState.HOLD}),
    ("waiting", {ClientState.ACCEPTED, ClientState.PREPARING, ClientState.SUBMITTING, ClientState.QUEUING}),
    ("finishing", {ClientState.FINISHING}),
    ("deleted", {ClientState.DELETED}),
    ("unknown", {ClientState.OTHER}),
)


def colours_wanted() -> bool:
    """Whether stdout is a terminal, and the user has not switched colours off. Source: no-color.org."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStyle:
    """How a table looks."""

    width: int | None  #: of the terminal; None: texts are not shortened
    colours: bool

    @classmethod
    def of_terminal(cls) -> TableStyle:
        return cls(width=terminal_width() if sys.stdout.isatty() else None, colours=colours_wanted())


def table(jobs: Sequence[Chosen], now: datetime, style: TableStyle) -> Iterator[str]:
    """The lines of the table, with the title and the counts."""
    ids = short_ids([job.id for job in jobs])
    rows = [_cells(job, ids[job.id], now) for job in jobs]
    widths = [max(map(len, column)) for column in zip(_TITLES, *rows, strict=True)]
    yield _line(_TITLES, widths, style)
    for job, cells in zip(jobs, rows, strict=True):
        line = _line(cells, widths, style)
        colour = _COLOURS.get(job.status.state) if isinstance(job.status, JobStatus) and style.colours else None
        yield click.style(line, fg=colour) if colour else line
    cut = style.width is not None and any(_line(cells, widths, style).endswith("…") for cells in rows)
    yield counts(job.status for job in jobs) + ("; 'arcstat --plain' shows all of WHY" if cut else "")


def counts(statuses: Iterable[object]) -> str:
    """``200 jobs: 143 finished, 2 failed, 2 running, 53 waiting``."""
    states = Counter(each.state if isinstance(each, JobStatus) else ClientState.OTHER for each in statuses)
    parts = [f"{number} {word}" for word, some in _WORDS if (number := sum(states[state] for state in some))]
    return f"{counted(states.total(), 'job')}: {', '.join(parts)}" if parts else "no jobs"


def short_ids(ids: Sequence[str]) -> dict[str, str]:
    """Beginnings of ids that are long enough to tell these jobs apart, and at least eight characters."""
    length = _SHORT_ID
    while len({job[:length] for job in ids}) < len(set(ids)):
        length += 1
    return {job: job[:length] for job in ids}


def _cells(job: Chosen, short: str, now: datetime) -> tuple[str, ...]:
    status = job.status
    name = printable(job.name)
    if len(name) > _LONGEST_NAME:
        name = f"{name[: _LONGEST_NAME - 1]}…"
    if not isinstance(status, JobStatus):
        return (name, short, "Undefined", "", "", "", "", printable(str(status)))
    why = "" if status.reason is None else shown_reason(status.reason, now)
    if job.results:
        why = f"results in {job.results}" + (f"; {why}" if why else "")
    return (
        name,
        short,
        str(status.state),
        printable(status.queue),
        "" if (taken := taken_s(status, job.left or now)) is None else clock_time(taken),
        "" if status.wall_limit_s is None else clock_time(status.wall_limit_s),
        "" if status.exit_code is None else str(status.exit_code),
        printable(why),
    )


def taken_s(status: JobStatus, now: datetime) -> float | None:
    """Seconds that a job has run; before its start, since its submission."""
    if status.state.final:
        return status.wall_s
    since = status.started or status.submitted
    return None if since is None else (now - since).total_seconds()


def _line(cells: Sequence[str], widths: Sequence[int], style: TableStyle) -> str:
    *columns, why = zip(_TITLES, cells, widths, strict=True)
    start = "  ".join(cell.rjust(width) if title in _RIGHT else cell.ljust(width) for title, cell, width in columns)
    text = why[1]
    if style.width is not None:
        room = max(_LEAST_WHY, style.width - len(start) - 2)
        text = text if len(text) <= room else f"{text[: room - 1]}…"
    return f"{start}  {text}".rstrip()
