"""``arex start | stop | status | run | init | install-service``: control the daemon."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

import click

from arex import daemon, logs, process
from arex.cli import health
from arex.cli.options import CONTEXT, config_option, json_option
from arex.config.discover import places
from arex.config.explain import commented_file
from arex.config.load import load
from arex.config.model import Configuration
from arex.controldir import atomic, procfs
from arex.controldir.session import root_objection
from arex.errors import ArexError, ServiceError

#: Exit code of ``status`` if no daemon is running, as defined for init scripts.
_NOT_RUNNING: Final = 3
#: Exit code of ``status --check`` if the daemon runs, and something is wrong.
_UNHEALTHY: Final = 1
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
        serve(config, allow_root=allow_root, ready_fd=None, log_file=_log_file(config))
        return
    from arex.app import refuse_root  # noqa: PLC0415 - needed only to run the service

    refuse_root(config, allowed=allow_root)
    pid = daemon.holder(config.arex.controldir)
    if pid is not None and (pid == daemon.UNKNOWN_PID or procfs.is_daemon(pid)):  # the lock names other processes
        click.echo(f"arex is already running (pid {pid or 'unknown'}) on {config.arex.controldir}")
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
    log_file = _log_file(config) if ready_fd is None else config.arex.logfile
    serve(config, allow_root=allow_root, ready_fd=ready_fd, log_file=log_file)


def _log_file(config: Configuration) -> Path | None:
    """The log of a service in the foreground is on standard error, unless no one can read it there."""
    return config.arex.logfile if _is_discarded(sys.stderr) else None


def _is_discarded(stream: TextIO) -> bool:
    """Whether a standard stream is /dev/null; commands open it there if the caller has closed it."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), os.stat(os.devnull))  # noqa: PTH116 - one line with fstat
    except (OSError, ValueError):
        return False


def serve(config: Configuration, *, allow_root: bool, ready_fd: int | None, log_file: Path | None) -> None:
    """Run the service in this process; write ``ready`` or an error to ``ready_fd``, which ``arex start`` reads."""
    from arex.app import refuse_root  # noqa: PLC0415 - as above
    from arex.app import run as run_service  # noqa: PLC0415

    def tell(text: str) -> None:
        nonlocal ready_fd
        if ready_fd is not None:
            atomic.write_all(ready_fd, f"{text}\n".encode())
            os.close(ready_fd)
            ready_fd = None

    try:
        refuse_root(config, allowed=allow_root)
        daemon.seclude()
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
@click.option("--check", is_flag=True, help="Exit with code 1 if the daemon runs and there are problems.")
def status(config_file: Path | None, *, as_json: bool, check: bool) -> None:
    """
    Show whether the daemon is running, how many jobs it has, and whether the batch system answers.

    The exit code is 3 if the daemon is not running. With --check, it is 1 if the daemon runs and there are problems:
    the batch system does not answer, jobs cannot be processed, internal errors occurred during the last ten minutes,
    the log cannot be written, or the status is old.
    """
    config = read_config(config_file, quiet=True)
    controldir = config.arex.controldir
    pid = daemon.holder(controldir) if controldir.is_dir() else None
    snapshot = daemon.read_snapshot(controldir) if controldir.is_dir() else None
    now = datetime.now(UTC)  # noqa: TID251 - a command for people, the service is not involved
    problems = [] if pid is None else health.problems(pid, snapshot, now)
    if pid is not None:
        problems += [text for root in config.arex.sessiondir if (text := root_objection(root.path))]
    if as_json:
        facts = {} if snapshot is None else asdict(snapshot)
        running = {"running": pid is not None, "pid": pid or None, "controldir": str(controldir), "problems": problems}
        click.echo(json.dumps({**facts, **running}))
    elif pid is None:
        click.echo(f"arex is not running for {controldir}; start it with 'arex start'. Until then, jobs wait.")
    else:
        click.echo(health.shown(config, pid, snapshot, problems))
    if pid is None:
        raise SystemExit(_NOT_RUNNING)
    if check and problems:
        raise SystemExit(_UNHEALTHY)


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
