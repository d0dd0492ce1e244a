"""``arexctl session usage | clean``."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from arex.cli.options import CONTEXT, config_option, json_option
from arex.cli.output import document, plain, printable, remark, say, size_words
from arex.cli.service import read_config
from arex.config.model import Configuration
from arex.controldir.layout import LAYOUTS
from arex.controldir.session import REMOVING, SessionFiles, retry_removals
from arex.controldir.store import ControlDir
from arex.errors import CorruptFile
from arex.gm.session_usage import Taken, session_names, taken_by
from arex.model.ids import JobId

#: A session directory without a job that is younger than this may belong to a submission in progress.
_YOUNG_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session directory and its job."""

    job: JobId
    root: Path
    state: str  #: empty: the job does not exist in the control directory
    owner: str
    taken: Taken


@click.group("session", context_settings=CONTEXT)
def group() -> None:
    """Show and clean session directories."""


def _store(config: Configuration) -> ControlDir:
    return ControlDir(LAYOUTS[config.service.layout](config.arex.controldir))


def _sessions(config: Configuration) -> Iterator[Session]:
    store = _store(config)
    for entry in config.arex.sessiondir:
        for job in sorted(session_names(entry.path)):
            found = store.read_status(job)
            state = "" if found is None else str(found.status or "unreadable")
            yield Session(
                job=job, root=entry.path, state=state, owner=_owner(store, job), taken=taken_by(entry.path, job)
            )


def _owner(store: ControlDir, job: JobId) -> str:
    try:
        local = store.read_local(job)
    except (CorruptFile, BlockingIOError):
        return ""
    return "" if local is None else local.subject or ""


@group.command()
@config_option
@click.option("--by-owner", is_flag=True, help="Print one line for each owner.")
@json_option
def usage(config_file: Path | None, *, by_owner: bool, as_json: bool) -> None:
    """Print the disk usage of each job and the free space. The largest job is last."""
    config = read_config(config_file)
    found = sorted(_sessions(config), key=lambda session: session.taken.size)
    if by_owner:
        _by_owner(found, as_json=as_json)
        return
    if as_json:
        document(sessions=found)
        return
    for session in found:
        size = size_words(session.taken.size)
        say(f"{size:>8}  {session.taken.inodes:>8} files  {session.state or 'no such job':<12}  {session.job}")
    for entry in config.arex.sessiondir:
        if entry.path.is_dir():
            disk = os.statvfs(entry.path)
            free = size_words(disk.f_bavail * disk.f_frsize)
            remark(f"{entry.path}: {free} and {disk.f_favail} inodes are free")


def _by_owner(found: list[Session], *, as_json: bool) -> None:
    total: dict[str, Taken] = defaultdict(Taken)
    for session in found:
        total[session.owner] += session.taken
    if as_json:
        document(owners=[{"owner": owner, **plain(taken)} for owner, taken in total.items()])
        return
    for owner, taken in sorted(total.items(), key=lambda pair: pair[1].size):
        say(f"{size_words(taken.size):>8}  {taken.inodes:>8} files  {printable(owner) or 'unknown owner'}")


@group.command()
@config_option
@click.option("--dry-run", "-n", is_flag=True, help="Only print what would be removed.")
@click.option(
    "--finished",
    metavar="DAYS",
    type=click.FloatRange(min=0),
    help="Also remove session directories of jobs that ended more than DAYS days ago.",
)
@json_option
def clean(config_file: Path | None, *, dry_run: bool, finished: float | None, as_json: bool) -> None:
    """Remove session directories without a job. The option clean_rate limits the speed."""
    config = read_config(config_file)
    store = _store(config)
    removed = []
    for session in _sessions(config):
        if _is_over(store, session, finished):
            removed.append(session)
            if not dry_run:
                for text in SessionFiles(session.root / session.job).remove():
                    remark(text)
                if config.service.clean_rate:
                    time.sleep(session.taken.inodes / config.service.clean_rate)  # noqa: TID251 - no event loop here
    for entry in () if dry_run else config.arex.sessiondir:
        if left := retry_removals(entry.path):
            remark(f"{left} files or directories in {entry.path / REMOVING} cannot be removed")
    if as_json:
        document(sessions=removed, dry_run=dry_run)
        return
    for session in removed:
        say(f"{size_words(session.taken.size):>8}  {session.state or 'no such job':<12}  {session.root / session.job}")
    total = sum(session.taken.size for session in removed)
    what = "would be removed" if dry_run else "removed"
    say(f"{len(removed)} session directories ({size_words(total)}) {what}")


def _is_over(store: ControlDir, session: Session, finished_days: float | None) -> bool:
    """
    Whether a session directory can be removed: it belongs to arex, but not to an active job or a submission in
    progress.
    """
    path = session.root / session.job
    if SessionFiles(path).objection(session.job):
        return False
    if not session.state:
        return _age_s(path.lstat().st_mtime) > _YOUNG_S
    if finished_days is None or session.state != "FINISHED":
        return False
    found = store.read_status(session.job)
    return found is not None and _age_s(found.changed.timestamp()) > finished_days * 86400


def _age_s(stamp: float) -> float:
    return time.time() - stamp  # noqa: TID251 - a command for people, the service is not involved
