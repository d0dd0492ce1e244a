"""``arexctl job``: jobs of all owners, with the words of ARC's ``arcctl job``."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from arex.cli.jobvalue import job_value
from arex.cli.logs import find_job
from arex.cli.options import CONTEXT, config_option, json_option
from arex.cli.output import document, failure, printable, remark, say
from arex.cli.service import read_places
from arex.config.model import Configuration
from arex.controldir import confined_fs
from arex.controldir.session import SessionFiles
from arex.errors import ArexError, ControlDirError, JobRefused
from arex.model.ids import JobId
from arex.model.state import ACTIVE, RUNNING, State, Status
from plugins.local import LocalPlugin
from plugins.local.status import JobStatus
from plugins.local.view import Output

_F = TypeVar("_F", bound=Callable[..., Any])

#: In ARC's order.
_STATES: Final = (
    State.ACCEPTED, State.PREPARING, State.SUBMIT, State.INLRMS, State.FINISHING, State.FINISHED, State.DELETED,
    State.CANCELING,
)  # fmt: skip
_MISSING: Final = "N/A"
_PIECE: Final = 64 * 1024


class NotConfirmed(ArexError):
    """The administrator has not confirmed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldJob:
    """A job in the control directory, as ``arcctl job list`` shows it."""

    id: JobId
    status: Status | None  #: None: the status file cannot be read
    name: str
    owner: str

    @property
    def state(self) -> str:
        return "UNDEFINED" if self.status is None else str(self.status.state)


@click.group("job", context_settings=CONTEXT)
@click.option("-t", "--cachettl", type=int, expose_value=False, help="Ignored; accepted for compatibility with ARC.")
def group() -> None:
    """
    Show and control the jobs of all owners.

    The first characters of a job's id are enough if no other id begins with them.
    """


def _with_plugin(function: _F) -> _F:
    """Give the command a plugin for the configuration that its option names."""

    @config_option
    @wraps(function)
    def command(*, config_file: Path | None, **rest: object) -> object:
        return function(LocalPlugin(read_places(config_file)), **rest)

    return command  # type: ignore[return-value]


def _filters(function: _F) -> _F:
    """Add the options that select jobs by state and owner."""
    for option in reversed((
        click.option("-s", "--state", type=click.Choice([str(state) for state in _STATES]), help="Select only jobs in "
            "this state."),
        click.option("-o", "--owner", help="Select only jobs of this owner, a distinguished name."),
    )):  # fmt: skip
        function = option(function)
    return function


def _held(plugin: LocalPlugin, state: str | None = None, owner: str | None = None) -> list[HeldJob]:
    found = [_one(plugin, job) for job in sorted(plugin.jobs())]
    return [each for each in found if state in {None, each.state} and owner in {None, each.owner}]


def _one(plugin: LocalPlugin, job: JobId) -> HeldJob:
    name = owner = ""
    try:
        local = plugin.store.read_local(job, only=("jobname", "subject"))
    except (ArexError, BlockingIOError):  # what can be read of the job is still shown
        local = None
    if local is not None:
        name, owner = local.jobname or "", local.subject or ""
    found = plugin.store.read_status(job)
    return HeldJob(id=job, status=None if found is None else found.status, name=name, owner=owner)


def _find(plugin: LocalPlugin, text: str) -> JobId:
    return find_job(plugin.config, text)


# --- lists and facts ----------------------------------------------------------------------------------------------


@group.command("list")
@_with_plugin
@click.option("-l", "--long", is_flag=True, help="Also print state, name and owner.")
@_filters
@json_option
def list_(plugin: LocalPlugin, *, long: bool, state: str | None, owner: str | None, as_json: bool) -> None:
    """List jobs."""
    found = _held(plugin, state, owner)
    if as_json:
        answers = plugin.status(each.id for each in found)
        errors = [
            failure(answer, job=each.id)
            for each, answer in zip(found, answers, strict=True)
            if not isinstance(answer, JobStatus)
        ]
        document(jobs=[job_value(each) for each in answers if isinstance(each, JobStatus)], errors=errors)
        return
    for each in found:
        more = f" {each.state:>13}\t{printable(each.name or _MISSING):<32}\t{printable(each.owner or _MISSING)}"
        say(f"{each.id}{more if long else ''}")


@group.command()
@_with_plugin
@click.argument("jobid")
@json_option
def info(plugin: LocalPlugin, *, jobid: str, as_json: bool) -> None:
    """Print the main facts about a job."""
    job = _find(plugin, jobid)
    status = plugin.one(job)
    if as_json:
        document(jobs=[job_value(status)])
        return
    held = _one(plugin, job)
    changed = _MISSING if status.changed is None else status.changed.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    for label, value in (
        ("Name\t\t", held.name),
        ("Owner\t\t", held.owner),
        ("State\t\t", held.state),
        ("LRMS ID\t\t", status.localid),
        ("Modified\t", changed),
    ):
        say(f"{label}: {printable(str(value or _MISSING))}")


@group.command()
@_with_plugin
@click.argument("jobid")
@click.argument("attr", default="")
@json_option
def attr(plugin: LocalPlugin, *, jobid: str, attr: str, as_json: bool) -> None:
    """Print all attributes of a job, or one of them, as the file job.ID.local has them."""
    job = _find(plugin, jobid)
    pairs = _attributes(plugin, job)
    if attr and attr not in {name for name, _ in pairs}:
        raise JobRefused(f"There is no such attribute '{printable(attr)}' defined for job {job}")
    wanted = [(name, value) for name, value in pairs if attr in {"", name}]
    if as_json:
        document(job=job, attributes=[{"name": name, "value": value} for name, value in wanted])
        return
    for name, value in wanted:
        say(printable(value) if attr else f"{printable(name):<32}: {printable(value)}")


def _attributes(plugin: LocalPlugin, job: JobId) -> list[tuple[str, str]]:
    data = plugin.store.read(job, "local")
    if data is None:
        raise ControlDirError(f"there is no file with attributes of job {job}")
    lines = data.decode(errors="replace").splitlines()
    return [(name, value) for name, equals, value in (line.partition("=") for line in lines) if equals]


@group.command()
@_with_plugin
@click.option("-l", "--long", is_flag=True, help="Print waiting jobs in separate lines.")
@click.option("-t", "--total", is_flag=True, help="Print totals and limits.")
@click.option("-d", "--data-staging", is_flag=True, help="Print the number of jobs that download and upload.")
@json_option
def stats(plugin: LocalPlugin, *, long: bool, total: bool, data_staging: bool, as_json: bool) -> None:
    """Count the jobs in each state."""
    if total and data_staging:
        raise click.UsageError("-t and -d cannot be used together")
    found = [each.status for each in _held(plugin) if each.status is not None]
    processing = Counter(each.state for each in found if not each.pending)
    waiting = Counter(each.state for each in found if each.pending)
    if as_json:
        states = {str(state): {"processing": processing[state], "waiting": waiting[state]} for state in _STATES}
        document(states=states)
    elif total:
        _print_totals(plugin.config, [each.state for each in found])
    elif data_staging:
        say(f"Downloading: {processing[State.PREPARING]:>8}")
        say(f"  Uploading: {processing[State.FINISHING]:>8}")
    else:
        for state in _STATES:
            if long:
                say(f"{state}\n  Processing: {processing[state]:>10}\n  Waiting:    {waiting[state]:>10}")
            else:
                say(f"{state:>11}: {processing[state]:>8} ({waiting[state]})")


def _print_totals(config: Configuration, states: Sequence[State]) -> None:
    limits = config.arex.maxjobs
    for label, number, limit in (
        ("Accepted", sum(state in ACTIVE for state in states), limits.tracked),
        ("Running", sum(state in RUNNING for state in states), limits.running),
        ("Total", len(states), limits.total),
    ):
        say(f"{label:>11}: {number:>8} of {'unlimited' if limit is None else limit}")


# --- files --------------------------------------------------------------------------------------------------------


@group.command()
@_with_plugin
@click.option("-f", "--follow", is_flag=True, help="Continue to print new lines until the job has ended.")
@click.option("-s", "--service", is_flag=True, help="Print the lines of the service's log that name the job.")
@click.argument("jobid")
def log(plugin: LocalPlugin, *, follow: bool, service: bool, jobid: str) -> None:
    """Print the log of a job."""
    job = _find(plugin, jobid)
    if not service:
        _print(plugin.cat(job, Output.LOG, followed=follow))
        return
    path = plugin.config.arex.logfile
    say(f"### {path}:")
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if job in line:
                say(printable(line.rstrip("\n")))


@group.command()
@_with_plugin
@click.option("-f", "--follow", is_flag=True, help="Continue to print new output until the job has ended.")
@click.argument("jobid")
def stdout(plugin: LocalPlugin, *, follow: bool, jobid: str) -> None:
    """Print the standard output of a job."""
    _print(plugin.cat(_find(plugin, jobid), Output.STDOUT, followed=follow))


@group.command()
@_with_plugin
@click.option("-f", "--follow", is_flag=True, help="Continue to print new output until the job has ended.")
@click.argument("jobid")
def stderr(plugin: LocalPlugin, *, follow: bool, jobid: str) -> None:
    """Print the standard error of a job."""
    _print(plugin.cat(_find(plugin, jobid), Output.STDERR, followed=follow))


@group.command()
@_with_plugin
@click.argument("jobid")
def script(plugin: LocalPlugin, *, jobid: str) -> None:
    """Print the script that was submitted to the batch system; it exists from the submission to the end of the job."""
    job = _find(plugin, jobid)
    session = plugin.one(job).sessiondir
    found = [] if session is None else sorted(SessionFiles(session).lrms.glob("*/script"), key=_written)
    if not found:
        raise JobRefused("There is no job script. Is the job in the batch system?")
    fd = confined_fs.open_file(found[-1].parent, found[-1].name)  # a payload can put a link there
    with os.fdopen(fd, "rb") as stream:
        _print(iter(lambda: stream.read(_PIECE), b""))


def _written(path: Path) -> int:
    return path.lstat().st_mtime_ns


def _print(pieces: Iterator[bytes]) -> None:
    sys.stdout.flush()
    for piece in pieces:
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


# --- requests -----------------------------------------------------------------------------------------------------


@group.command()
@_with_plugin
@click.argument("jobids", nargs=-1, required=True, metavar="JOBID...")
@json_option
def kill(plugin: LocalPlugin, *, jobids: tuple[str, ...], as_json: bool) -> int:
    """Cancel jobs; their files are kept."""
    return _each(plugin, jobids, plugin.kill, as_json=as_json)


@group.command()
@_with_plugin
@click.argument("jobids", nargs=-1, required=True, metavar="JOBID...")
@json_option
def clean(plugin: LocalPlugin, *, jobids: tuple[str, ...], as_json: bool) -> int:
    """Remove jobs that have ended, with their session directories."""
    return _each(plugin, jobids, plugin.clean, as_json=as_json)


@group.command()
@_with_plugin
@_filters
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
def killall(plugin: LocalPlugin, *, state: str | None, owner: str | None, yes: bool, as_json: bool) -> int:
    """Cancel all jobs, or those in a state or of an owner. Jobs that have ended are left out."""
    _confirm("cancel", state, owner, yes=yes)
    jobs = [each.id for each in _held(plugin, state, owner) if each.status is not None and each.status.state in ACTIVE]
    return _each(plugin, jobs, plugin.kill, as_json=as_json)


@group.command()
@_with_plugin
@_filters
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
def cleanall(plugin: LocalPlugin, *, state: str | None, owner: str | None, yes: bool, as_json: bool) -> int:
    """Remove all jobs that have ended, or those in a state or of an owner, with their session directories."""
    _confirm("remove", state, owner, yes=yes)
    ended = {State.FINISHED, State.DELETED}
    jobs = [each.id for each in _held(plugin, state, owner) if each.status is not None and each.status.state in ended]
    return _each(plugin, jobs, plugin.clean, as_json=as_json)


def _confirm(verb: str, state: str | None, owner: str | None, *, yes: bool) -> None:
    """As ``arcctl`` does, ask before all jobs are affected."""
    if yes or state or owner:
        return
    if not sys.stdin.isatty():
        raise NotConfirmed(f"no filter is given, and there is no terminal to confirm that you want to {verb} all jobs: "
                      "use -s, -o or --yes")  # fmt: skip
    click.confirm(f"No filter is given. Do you want to {verb} ALL jobs?", abort=True, err=True)


def _each(plugin: LocalPlugin, jobids: Sequence[str], act: Callable[[str], None], *, as_json: bool) -> int:
    done: list[JobId] = []
    errors: list[dict[str, object]] = []
    for text in jobids:
        try:
            job = _find(plugin, text)
            act(job)
            done.append(job)
        except (ArexError, OSError) as exc:
            errors.append(failure(exc, job=text))
            remark(f"ERROR: {printable(f'{text}: {exc}')}")
    if done and not plugin.served:
        remark(f"WARNING: no service is running for {plugin.config.arex.controldir}: the request waits until one is")
    if as_json:
        document(jobs=[job_value(each) for each in plugin.status(done) if isinstance(each, JobStatus)], errors=errors)
    return 1 if errors else 0
