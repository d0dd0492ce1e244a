"""``arex status``: how the service is, for people, programs and monitoring."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

from arex import __version__, daemon
from arex.cli import health
from arex.cli.options import CONTEXT, config_option, json_option
from arex.cli.output import document
from arex.cli.service import read_places
from arex.cli.states import job_states
from arex.config.model import Configuration
from arex.controldir.layout import LAYOUTS, Place
from arex.controldir.store import ControlDir
from arex.errors import ServiceError

#: Exit code if no daemon is running, as defined for init scripts.
_NOT_RUNNING: Final = 3
#: Exit code of ``--check`` if the daemon runs, and something is wrong.
_UNHEALTHY: Final = 1


@click.command(context_settings=CONTEXT)
@config_option
@json_option
@click.option("--check", is_flag=True, help="Exit with code 1 if the daemon runs and there are problems.")
def status(config_file: Path | None, *, as_json: bool, check: bool) -> None:
    """
    Show whether the daemon is running, its jobs, slots, queues, batch systems and disks.

    The exit code is 3 if the daemon is not running. With --check, it is 1 if the daemon runs and there are problems:
    the batch system does not answer, a queue is paused, jobs cannot be processed, internal errors occurred during the
    last ten minutes, the log cannot be written, a disk is nearly full, or the status is old.
    """
    condition = look(read_places(config_file))
    problems = health.problems(condition)
    if as_json:
        document(**facts_of(condition, problems))
    else:
        click.echo(health.shown(condition, problems))
    if condition.pid is None:
        click.get_current_context().exit(_NOT_RUNNING)
    if check and problems:
        click.get_current_context().exit(_UNHEALTHY)


def look(config: Configuration) -> health.Condition:
    """Find out everything about the service of a configuration."""
    controldir = config.arex.controldir
    exists = controldir.is_dir()
    pid = daemon.holder(controldir) if exists else None
    return health.Condition(
        config=config,
        now=datetime.now(UTC),  # noqa: TID251 - a command for people, the service is not involved
        pid=pid,
        snapshot=_snapshot(controldir, pid) if exists else None,
        code=daemon.fingerprint() if pid is not None else "",
        disks=health.disks(config),
        leftovers=health.leftovers(config),
        waiting=_waiting(config) if pid is None and exists else 0,
    )


def _snapshot(controldir: Path, pid: int | None) -> daemon.Snapshot | None:
    """The last status; a damaged file is none if no daemon runs that would write it again."""
    try:
        return daemon.read_snapshot(controldir)
    except ServiceError:
        if pid is not None:
            raise
        return None


def _waiting(config: Configuration) -> int:
    """Number of jobs in the control directory that have not ended."""
    store = ControlDir(LAYOUTS[config.service.layout](config.arex.controldir))
    try:
        return sum(1 for place in Place if place is not Place.FINISHED for _ in store.scan_names(place))
    except OSError:
        return 0


def facts_of(condition: health.Condition, problems: list[str]) -> dict[str, Any]:
    """The status for programs: numbers, texts and UTC times; ``docs/admins/monitoring.md`` describes the keys."""
    snapshot = condition.figures
    facts = {} if condition.snapshot is None else asdict(condition.snapshot)
    return {
        **facts,
        "running": condition.pid is not None,
        "ok": condition.pid is not None and not problems,
        "pid": condition.pid or None,
        "controldir": str(condition.config.arex.controldir),
        "logfile": str(condition.config.arex.logfile),
        "installed_version": __version__,
        "upgrade": condition.upgrade,
        "problems": problems,
        "job_states": {} if snapshot is None else job_states(snapshot),
        "uptime_s": _seconds(health.since(snapshot.started, condition.now)) if snapshot else None,
        "age_s": _seconds(condition.age),
        "stale": condition.is_stale,
        "answer_age_s": {
            name: _seconds(health.since(stamp, condition.now))
            for name, stamp in (snapshot.answered if snapshot else {}).items()
        },
        "disks": [
            {
                "what": disk.what,
                "path": str(disk.path),
                "free_bytes": disk.free_bytes,
                "total_bytes": disk.total_bytes,
                "low": disk.is_low,
            }
            for disk in condition.disks
        ],
        "leftovers": {str(path): count for path, count in condition.leftovers.items()},
        "ended_without_stop": condition.ended_without_stop,
        "jobs_waiting_for_start": condition.waiting,
    }


def _seconds(span: timedelta | None) -> int | None:
    return None if span is None else int(span.total_seconds())
