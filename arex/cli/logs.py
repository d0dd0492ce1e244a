"""``arex logs``: the end of the log of the service, new lines as they come, or everything about one job."""

from __future__ import annotations

import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Final, NamedTuple, Self

import click

from arex.cli.options import CONTEXT, config_option
from arex.cli.output import printable, say
from arex.cli.service import read_places
from arex.config.model import Configuration
from arex.controldir.layout import LAYOUTS, Place
from arex.controldir.store import ControlDir
from arex.errors import ControlDirError, NoSuchJob, ServiceError
from arex.model.ids import JobId, is_job_id

_DEFAULT_LINES: Final = 20
#: Interval of looking for new lines, seconds.
_LOOK_S: Final = 0.2
_UTC_STAMP: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_LOCAL_STAMP: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_UNITS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)


class Line(NamedTuple):
    """A line of a log; one without a time has the time of the line before it."""

    at: datetime
    text: str


def _since(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    if span := re.fullmatch(r"([0-9]{1,6}) *(s|min|m|h|d)", value.strip()):
        now = datetime.now(UTC)  # noqa: TID251 - a command for people, the service is not involved
        return now - timedelta(seconds=int(span[1]) * _UNITS[span[2]])
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise click.BadParameter(f"{value!r}: write 30min, 2h, 1d or 2026-11-20T08:49:00", ctx, param) from exc


@click.command(context_settings=CONTEXT)
@config_option
@click.option("-f", "--follow", is_flag=True, help="Print new lines as they are written, until Ctrl-C.")
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), help=f"Number of lines (default: {_DEFAULT_LINES}; with --job or "
    "--since: all)."
)  # fmt: skip
@click.option("--since", callback=_since, help="Only lines since a time (2026-11-20T08:49:00) or for a span (2h).")
@click.option("--job", help="Everything about one job: lines of the service, of the job's own log and of the job log.")
def logs(config_file: Path | None, *, follow: bool, lines: int | None, since: datetime | None, job: str | None) -> None:
    """Show the log of the service. The first characters of a job's id are enough if no other id begins with them."""
    config = read_places(config_file)
    jobid = None if job is None else find_job(config, job)
    if lines is None and jobid is None and since is None:
        lines = _DEFAULT_LINES
    with _Tail(config.arex.logfile) as tail:
        found = tail.lines() if jobid is None else _about(config, jobid, tail.lines())
        shown = (line for line in found if since is None or line.at >= since)
        for line in shown if lines is None else deque(shown, maxlen=lines):
            say(printable(line.text))
        if follow:
            _follow(tail, jobid)


def find_job(config: Configuration, text: str) -> JobId:
    """
    The job whose id is, or begins with, this text; the id may be the end of a URL.

    Raises:
        NoSuchJob: none, or several.
    """
    wanted = text.rstrip("/").rpartition("/")[2]
    store = ControlDir(LAYOUTS[config.service.layout](config.arex.controldir))
    known = {job for place in Place for job in _jobs(store, place) if job.startswith(wanted)} if wanted else set()
    if wanted in known:
        return JobId(wanted)
    if len(known) > 1:
        raise NoSuchJob(f"{len(known)} jobs have ids that begin with {wanted}: give more of the id")
    if known:
        return known.pop()
    if is_job_id(wanted) and store.read(JobId(wanted), "errors") is not None:
        return JobId(wanted)
    raise NoSuchJob(f"no job in {config.arex.controldir} has an id that begins with {wanted!r}")


def _jobs(store: ControlDir, place: Place) -> list[JobId]:
    try:
        return list(store.scan_names(place))
    except FileNotFoundError:  # no service has run here yet
        return []


def _about(config: Configuration, job: JobId, service: Iterator[Line]) -> list[Line]:
    """Everything about one job, in the order of time."""
    store = ControlDir(LAYOUTS[config.service.layout](config.arex.controldir))
    found = [line for line in service if job in line.text]
    own = (store.read(job, "errors") or b"").decode(errors="replace").splitlines()
    found += _dated(own, "job: ", _utc)
    if config.arex.joblog is not None and config.arex.joblog.exists():
        with config.arex.joblog.open(encoding="utf-8", errors="replace") as lines:
            found += _dated((line.rstrip("\n") for line in lines if job in line), "job log: ", _local)
    return sorted(found, key=lambda line: line.at)


def _dated(lines: Iterator[str] | list[str], label: str, parse: Callable[[str], datetime | None]) -> Iterator[Line]:
    at = _BEGINNING
    for text in lines:
        at = parse(text) or at
        yield Line(at, f"{label}{text}")


def _utc(text: str) -> datetime | None:
    found = _UTC_STAMP.search(text[:200])
    try:
        return None if found is None else datetime.fromisoformat(found[0])
    except ValueError:
        return None


def _local(text: str) -> datetime | None:
    found = _LOCAL_STAMP.match(text)
    try:
        return None if found is None else datetime.fromisoformat(found[0]).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


class _Tail:
    """A log file, also after it was replaced by a new one (``logrotate``)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream = self._open()
        self._part = ""  #: a line that is not complete yet

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def _open(self) -> IO[str]:
        try:
            return open(self._path, encoding="utf-8", errors="replace", opener=_without_waiting)
        except FileNotFoundError as exc:
            raise ServiceError(f"there is no log yet: {self._path} ([arex] logfile)") from exc
        except OSError as exc:
            raise ControlDirError(f"cannot read the log {self._path} ([arex] logfile): {exc.strerror}") from exc

    def lines(self) -> Iterator[Line]:
        """The complete lines from here to the present end."""
        at = _BEGINNING
        for text in self._texts():
            at = _utc(text) or at
            yield Line(at, text)

    def _texts(self) -> Iterator[str]:
        for line in self._stream:
            self._part += line
            if self._part.endswith("\n"):
                yield self._part.rstrip("\n")
                self._part = ""

    def has_moved(self) -> bool:
        """Whether the path leads to another file now."""
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._stream.fileno()))
        except FileNotFoundError:
            return False  # the new one is made with the next line

    def reopen(self) -> None:
        """Continue with the file to which the path leads now."""
        self._stream.close()
        self._stream = self._open()


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _follow(tail: _Tail, job: JobId | None) -> None:
    while True:
        moved = tail.has_moved()  # before the rest of the old file is read, since nothing is added to it afterwards
        for line in tail.lines():
            if job is None or job in line.text:
                click.echo(printable(line.text))
        if moved:
            tail.reopen()
        else:
            time.sleep(_LOOK_S)  # noqa: TID251 - a command that waits, no event loop here
