"""What ``arex status`` shows about a service, and which problems it names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from arex import __version__, daemon
from arex.cli.output import printable
from arex.cli.states import job_states
from arex.config.model import Configuration
from arex.controldir.session import REMOVING, root_objection

#: The daemon writes its status twice a minute; a younger one is not old.
_STALE: Final = timedelta(seconds=90)
#: Free space of a file system below which a warning is due, bytes; a full disk stops every job.
_LOW: Final = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A directory of the service, and how much space its file system has for this user."""

    what: str
    path: Path
    free_bytes: int
    total_bytes: int

    @property
    def is_low(self) -> bool:
        return self.free_bytes < min(_LOW, self.total_bytes // 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """All that is known about the service of one control directory."""

    config: Configuration
    now: datetime
    pid: int | None  #: None: no daemon runs
    snapshot: daemon.Snapshot | None  #: the last status that a daemon has written
    code: str = ""  #: fingerprint of the installed program files
    disks: tuple[Disk, ...] = ()
    leftovers: Mapping[Path, int] = field(default_factory=dict)
    waiting: int = 0  #: jobs that wait while no daemon runs

    @property
    def figures(self) -> daemon.Snapshot | None:
        """The status of the daemon that runs now."""
        found = self.snapshot
        is_its = found is not None and self.pid is not None and self.pid in {found.pid, daemon.UNKNOWN_PID}
        return found if is_its else None

    @property
    def age(self) -> timedelta | None:
        """How old the figures of the running daemon are."""
        return None if self.figures is None else since(self.figures.updated, self.now)

    @property
    def is_stale(self) -> bool:
        return self.age is not None and self.age > _STALE

    @property
    def ended_without_stop(self) -> bool:
        """Whether the last daemon was killed: its pid file is still there, and it wrote no last status."""
        return (
            self.pid is None and self.snapshot is not None and not self.snapshot.stopped
            and os.path.lexists(self.config.arex.pidfile)
        )  # fmt: skip

    @property
    def upgrade(self) -> str:
        """What to do if the installed program is not the one that runs; empty if it is."""
        if (found := self.figures) is None:
            return ""
        if found.version != __version__:
            return f"arex {found.version} is running, {__version__} is installed: arex restart"
        if found.code and self.code and found.code != self.code:
            return f"the program files of arex {__version__} were replaced since the start: arex restart"
        return ""


def since(stamp: str, now: datetime) -> timedelta | None:
    """How long an ISO time is ago; None if it is not one."""
    try:
        return max(timedelta(0), now - datetime.fromisoformat(stamp))
    except (TypeError, ValueError):  # a damaged file, or a time without a zone
        return None


def in_words(span: timedelta) -> str:
    """``3 days 4 h``, ``2 h 5 min``, ``40 s``: two units at most."""
    seconds = int(span.total_seconds())
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} {'day' if days == 1 else 'days'}" + (f" {hours} h" if hours else "")
    if hours:
        return f"{hours} h" + (f" {minutes} min" if minutes else "")
    return f"{minutes} min" if minutes else f"{seconds} s"


def _local(stamp: str) -> str:
    """An ISO time in the local zone, with its name."""
    try:
        return f"{datetime.fromisoformat(stamp).astimezone():%Y-%m-%d %H:%M:%S %Z}"
    except ValueError:
        return stamp


def disks(config: Configuration) -> tuple[Disk, ...]:
    """Control directory and session directories, as far as their file systems answer."""
    places = [("control directory", config.arex.controldir)]
    places += [("session directory", entry.path) for entry in config.arex.sessiondir]
    found = []
    for what, path in places:
        try:
            space = os.statvfs(path)
        except OSError:
            continue
        free, total = space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize
        found.append(Disk(what=what, path=path, free_bytes=free, total_bytes=total))
    return tuple(found)


def leftovers(config: Configuration) -> dict[Path, int]:
    """Session roots with files that could not be removed, and their number."""
    found = {}
    for root in (entry.path for entry in config.arex.sessiondir):
        try:
            count = sum(1 for _ in (root / REMOVING).iterdir())
        except OSError:
            continue
        if count:
            found[root / REMOVING] = count
    return found


# --- problems ---------------------------------------------------------------------------------------------------------


def problems(condition: Condition) -> list[str]:
    """What is wrong with a running service, a sentence for each problem."""
    if condition.pid is None:
        return []
    found = list(_of_directories(condition))
    snapshot = condition.figures
    if snapshot is None:
        return ["the daemon has not written its status yet", *found]
    if condition.is_stale and condition.age is not None:
        found.insert(
            0,
            f"the daemon has not written its status for {in_words(condition.age)}: it hangs, or its disk is full. "
            "All figures are as old",
        )
    return [*found, *_of_batch_systems(snapshot), *_of_jobs(snapshot)]


def _of_directories(condition: Condition) -> Iterator[str]:
    for disk in condition.disks:
        if disk.is_low:
            yield f"the {disk.what} {disk.path} has only {_size(disk.free_bytes)} of free space"
    for path, count in condition.leftovers.items():
        what = "entry" if count == 1 else "entries"
        yield f"{count} {what} in {path} cannot be removed (see session.left in the log)"
    for root in (entry.path for entry in condition.config.arex.sessiondir):
        if text := root_objection(root):
            yield text


def _of_batch_systems(snapshot: daemon.Snapshot) -> Iterator[str]:
    for name, health in snapshot.lrms.items():
        if health not in {"ok", "not asked yet"}:
            yield f"{name}: {health}"


def _of_jobs(snapshot: daemon.Snapshot) -> Iterator[str]:
    for name, each in snapshot.faults.items():
        if each["recent"]:
            yield f"{name}: {each['count']} errors, the last at {each['at']}: {each['message']}"
    if snapshot.troubled_count:
        examples = "; ".join(f"{job}: {why}" for job, why in list(snapshot.troubled.items())[:3])
        yield f"{snapshot.troubled_count} jobs cannot be processed: {examples}"
    if snapshot.log_trouble:
        yield f"the log cannot be written: {snapshot.log_trouble}"


# --- text -------------------------------------------------------------------------------------------------------------


def shown(condition: Condition, found: list[str]) -> str:
    """The status as text for people, with the problems at the end."""
    config, snapshot = condition.config, condition.figures
    if condition.pid is None:
        return "\n".join(_down(condition))
    lines = [f"arex runs (pid {condition.pid or 'unknown'}) on {config.arex.controldir}, log {config.arex.logfile}"]
    if snapshot is not None:
        lines += [f"  {name:<10} {printable(text)}" for name, text in _figures(condition, snapshot)]
    lines += [f"  {'disk':<10} {_disk(each)}" for each in condition.disks]
    if condition.upgrade:
        lines.append(f"  {'upgrade':<10} {condition.upgrade}")
    lines += [f"  {'problem':<10} {printable(each)}" for each in found]
    return "\n".join(lines)


def _down(condition: Condition) -> Iterator[str]:
    where = condition.config.arex.controldir
    yield f"arex is not running for {where}; start it with 'arex start'. Until then, jobs wait."
    if condition.ended_without_stop and condition.snapshot is not None:
        yield (
            f"  It ended without a stop after {_local(condition.snapshot.updated)}: it was killed, or this machine "
            "restarted. Nothing is lost."
        )
    if condition.waiting:
        yield f"  {condition.waiting} unfinished {'job' if condition.waiting == 1 else 'jobs'} in the control directory"


def _figures(condition: Condition, snapshot: daemon.Snapshot) -> Iterator[tuple[str, str]]:
    now = condition.now
    up = since(snapshot.started, now)
    yield "since", f"{_local(snapshot.started)}{f' ({in_words(up)})' if up else ''}, version {snapshot.version}"
    age = f" ({in_words(condition.age)} ago: old)" if condition.is_stale and condition.age else ""
    yield "as of", f"{_local(snapshot.updated)}{age}"
    yield "config", snapshot.config or "none, all options have their defaults"
    yield "wake-ups", snapshot.wakeups
    jobs = ", ".join(f"{count} {state}" for state, count in job_states(snapshot).items()) or "none"
    yield "jobs", jobs if snapshot.complete else "being read from the control directory"
    if snapshot.waiting:
        yield "waiting", f"{snapshot.waiting} new jobs, waiting because of maxjobs"
    if ended := snapshot.ended:
        yield (
            "ended",
            (
                f"{ended.get('finished', 0)} finished, {ended.get('failed', 0)} failed since the start; "
                f"{snapshot.kept} kept in the control directory"
            ),
        )
    if snapshot.slots:
        total = snapshot.slots.get("total")
        yield "slots", f"{snapshot.slots.get('used')} used{'' if total is None else f' of {total}'}"
    for name, health in snapshot.lrms.items():
        yield from _batch_system(name, health, snapshot, now)
    if moved := [f"{count} {what.replace('_', ' ')}" for what, count in snapshot.staging.items() if count]:
        yield "staging", ", ".join(moved)
    if snapshot.strays:
        yield "orphans", f"{snapshot.strays} jobs in the batch system that belong to no job in the control directory"
    if count := sum(int(each["count"]) for each in snapshot.faults.values()):
        yield "errors", f"{count} errors since the start, see the log"


def _batch_system(name: str, health: str, snapshot: daemon.Snapshot, now: datetime) -> Iterator[tuple[str, str]]:
    answered = since(snapshot.answered.get(name, ""), now)
    yield name, health + ("" if answered is None else f", last answer {in_words(answered)} ago")
    if unsure := snapshot.unsure.get(name):
        yield "unsure", f"{unsure} submissions without an answer; arex is looking them up"
    if calls := snapshot.calls.get(name):
        yield "commands", ", ".join(f"{count} {command}" for command, count in calls.items())
    for queue, facts in snapshot.queues.get(name, {}).items():
        yield "queue", f"{queue or '(default)'} {_queue(facts)}"


def _queue(facts: Mapping[str, int | str | None]) -> str:
    text = str(facts.get("state", "open"))
    if text == "paused":
        text += f" since {_local(str(facts['since']))}" if facts.get("since") else ""
        text += f", next try {_local(str(facts['next_try']))}" if facts.get("next_try") else ""
        text += f": {facts.get('reason')}"
    limits = []
    for name, what in (("maxwalltime_s", "wall time"), ("maxcputime_s", "CPU time")):
        if isinstance(seconds := facts.get(name), int):
            limits.append(f"{what} {in_words(timedelta(seconds=seconds))}")
    if facts.get("maxslotsperjob"):
        limits.append(f"{facts['maxslotsperjob']} slots per job")
    return text + (f" (at most {', '.join(limits)})" if limits else "")


def _disk(disk: Disk) -> str:
    return f"{_size(disk.free_bytes)} free of {_size(disk.total_bytes)} for {disk.path}"


def _size(count: int) -> str:
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1000:.0f} kB"
