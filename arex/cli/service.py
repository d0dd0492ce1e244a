"""``arex start | stop | status | run | init | install-service``: control the daemon."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Final

import click

from arex import daemon, logs, process
from arex.cli.options import CONTEXT, config_option, json_option
from arex.config.discover import places
from arex.config.explain import commented_file
from arex.config.load import load
from arex.config.model import Configuration
from arex.errors import ArexError, ServiceError

#: Exit code of ``status`` if no daemon is running, as defined for init scripts.
_NOT_RUNNING: Final = 3
_READY_S: Final = 60.0

_root_option = click.option(
    "--allow-root", is_flag=True, help="Allow the service to run as root. All jobs then run as root too."
)


def read_config(file: Path | None, *, quiet: bool = False) -> Configuration:
    """Load the configuration for a command or the daemon; prints warnings on stderr."""
    config, warnings = load(file, os.environ)
    if not quiet:
        for fault in warnings:
            click.echo(f"warning: {fault}", err=True)
    return config


def command_line(config: Configuration, word: str, *more: str) -> list[str]:
    """The command line that starts this program, independent of the current directory and of PYTHON variables."""
    program = Path(__file__).resolve().parent.parent / "__main__.py"
    source = ["--config", str(config.source.resolve())] if config.source else []
    return [sys.executable, "-I", str(program), word, *source, *more]


@click.command(context_settings=CONTEXT)
@config_option
@_root_option
@click.option("--foreground", is_flag=True, help="Run in the foreground, as 'arex run' does.")
def start(config_file: Path | None, *, allow_root: bool, foreground: bool) -> None:
    """Start the daemon and return once it is ready."""
    config = read_config(config_file)
    if foreground:
        serve(config, allow_root=allow_root, ready_fd=None, log_file=None)
        return
    from arex.app import refuse_root  # noqa: PLC0415 - needed only to run the service

    refuse_root(config, allowed=allow_root)
    if (pid := daemon.holder(config.arex.controldir)) is not None:
        click.echo(f"arex is already running (pid {pid}) on {config.arex.controldir}")
        return
    reading, writing = os.pipe()
    more = ["--ready-fd", str(writing), *(["--allow-root"] if allow_root else [])]
    try:
        pid = process.detach(command_line(config, "run", *more), output=config.arex.logfile, keep=writing)
    except OSError as exc:
        raise ServiceError(f"cannot start the daemon: {exc.strerror}: {exc.filename}") from exc
    finally:
        os.close(writing)
    problem = daemon.wait_ready(reading, _READY_S, config.arex.logfile)
    if problem:
        raise ServiceError(f"{problem} (log: {config.arex.logfile})")
    click.echo(f"arex serves {config.arex.controldir} (pid {pid}, log {config.arex.logfile})")


@click.command(context_settings=CONTEXT)
@config_option
@_root_option
@click.option("--ready-fd", type=int, hidden=True)
def run(config_file: Path | None, *, allow_root: bool, ready_fd: int | None) -> None:
    """Run the service in the foreground until SIGTERM or Ctrl-C."""
    config = read_config(config_file, quiet=ready_fd is not None)
    serve(config, allow_root=allow_root, ready_fd=ready_fd, log_file=config.arex.logfile if ready_fd else None)


def serve(config: Configuration, *, allow_root: bool, ready_fd: int | None, log_file: Path | None) -> None:
    """Run the service in this process; write ``ready`` or an error to ``ready_fd``, which ``arex start`` reads."""
    from arex.app import refuse_root  # noqa: PLC0415 - as above
    from arex.app import run as run_service  # noqa: PLC0415

    def tell(text: str) -> None:
        nonlocal ready_fd
        if ready_fd is not None:
            os.write(ready_fd, f"{text}\n".encode())
            os.close(ready_fd)
            ready_fd = None

    try:
        refuse_root(config, allowed=allow_root)
        logs.set_up(int(config.arex.loglevel), log_file, as_json=config.service.json_log)
        run_service(config, ready=lambda: tell("ready"))
    except BaseExceptionGroup as group:
        problem = next((exc for exc in _leaves(group) if isinstance(exc, ArexError)), None)
        tell(str(problem or group))
        if problem is None:
            raise
        raise problem from group
    except Exception as exc:
        tell(str(exc))
        raise


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    return [
        leaf for exc in group.exceptions for leaf in (_leaves(exc) if isinstance(exc, BaseExceptionGroup) else [exc])
    ]


@click.command(context_settings=CONTEXT)
@config_option
def stop(config_file: Path | None) -> None:
    """Stop the daemon; jobs in the batch system continue."""
    config = read_config(config_file, quiet=True)
    pid = daemon.stop(config.arex.controldir)
    click.echo("arex was not running" if pid is None else f"arex (pid {pid}) has stopped; its jobs continue")


@click.command(context_settings=CONTEXT)
@config_option
@json_option
def status(config_file: Path | None, *, as_json: bool) -> None:
    """Show whether the daemon is running, how many jobs it has, and whether the batch system answers."""
    config = read_config(config_file, quiet=True)
    controldir = config.arex.controldir
    pid = daemon.holder(controldir) if controldir.is_dir() else None
    snapshot = daemon.read_snapshot(controldir) if controldir.is_dir() else None
    if as_json:
        facts = {} if snapshot is None else {name: getattr(snapshot, name) for name in daemon.Snapshot.__slots__}
        click.echo(json.dumps({**facts, "running": pid is not None, "pid": pid, "controldir": str(controldir)}))
    elif pid is None:
        click.echo(f"arex is not running for {controldir}; start it with 'arex start'. Until then, jobs wait.")
    else:
        click.echo(_shown(config, pid, snapshot))
    if pid is None:
        raise SystemExit(_NOT_RUNNING)


def _shown(config: Configuration, pid: int, snapshot: daemon.Snapshot | None) -> str:
    lines = [f"arex runs (pid {pid}) on {config.arex.controldir}, log {config.arex.logfile}"]
    if snapshot is not None and snapshot.pid == pid:
        jobs = ", ".join(f"{count} {state}" for state, count in snapshot.states.items()) or "none"
        lines += [f"  since     {snapshot.started}, version {snapshot.version}", f"  wake-ups  {snapshot.wakeups}"]
        lines += [f"  jobs      {jobs}"]
        if snapshot.waiting:
            lines.append(f"  waiting   {snapshot.waiting} new jobs, waiting because of maxjobs")
        for name, health in snapshot.lrms.items():
            lines.append(f"  {name:<9} {health}")
            if unsure := snapshot.unsure.get(name):
                lines.append(f"  unsure    {unsure} submissions without an answer; arex is looking them up")
            if calls := snapshot.calls.get(name):
                lines.append(f"  commands  {', '.join(f'{count} {command}' for command, count in calls.items())}")
        if moved := [f"{count} {what.replace('_', ' ')}" for what, count in snapshot.staging.items() if count]:
            lines.append(f"  staging   {', '.join(moved)}")
        if snapshot.strays:
            lines.append(
                f"  orphans   {snapshot.strays} jobs in the batch system that belong to no job in the control directory"
            )
    return "\n".join(lines)


@click.command(context_settings=CONTEXT)
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
def init(file: Path | None, *, force: bool) -> None:
    """Write a commented configuration file: all options with their defaults."""
    target = file or places(os.environ).config / "arex" / "arc.conf"
    if target.exists() and not force:
        raise ServiceError(f"{target} already exists; use --force to replace it")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.write_text(commented_file(), encoding="utf-8")
    except OSError as exc:
        raise ServiceError(f"cannot write {target}: {exc.strerror}") from exc
    config = read_config(target)
    click.echo(f"wrote {target}")
    click.echo(f"  control directory  {config.arex.controldir}")
    click.echo(f"  session directory  {config.arex.sessiondir[0].path}")
    click.echo("next: arex start; arcsub -S local JOBFILE")


@click.command("install-service", context_settings=CONTEXT)
@config_option
@click.option("--remove", is_flag=True, help="Remove the systemd unit or the @reboot line.")
def install_service(config_file: Path | None, *, remove: bool) -> None:
    """Start arex at boot: with a systemd user unit and lingering, or with @reboot of cron without systemd."""
    from arex.cli import autostart  # noqa: PLC0415 - only this command needs it

    config = read_config(config_file)
    click.echo(
        asyncio.run(autostart.remove(config) if remove else autostart.install(config, command_line(config, "run")))
    )
