"""``arex start | run | stop | restart | reload``: control the daemon."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final, TextIO

import click

from arex import daemon, logs, process
from arex.cli import access
from arex.cli.options import CONTEXT, config_option
from arex.config.discover import find
from arex.config.load import load, load_despite_faults
from arex.config.model import Configuration
from arex.controldir import atomic, procfs
from arex.errors import ArexError, ServiceError

_READY_S: Final = 60.0
#: How long ``reload`` waits for the answer of the daemon, which reads its configuration in a moment.
_RELOAD_S: Final = 30.0

_root_option = click.option(
    "--allow-root", is_flag=True, help="Allow the service to run as root. All jobs then run as root too."
)


def read_config(file: Path | None, *, quiet: bool = False) -> Configuration:
    """
    Load the configuration for a command that needs all of it; prints warnings on stderr.

    Raises:
        ConfigError: all faults of the file.
    """
    config, warnings = load(file, os.environ)
    if not quiet:
        for fault in warnings:
            click.echo(f"warning: {fault}", err=True)
    return config


def read_places(file: Path | None) -> Configuration:
    """
    Load the configuration for a command that needs only the directories; prints one warning if there are faults.

    Raises:
        ConfigError: the file cannot be read, or its faults may hide the directories.
        ServiceError: this user cannot read the control directory.
    """
    config, _, faults = load_despite_faults(file, os.environ)
    if faults:
        more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
        click.echo(f"warning: {faults[0]}{more}; 'arex config check' names all errors", err=True)
    if not access.is_usable(config):
        raise access.refusal(config, is_named=is_named(file))
    return config


def is_named(file: Path | None) -> bool:
    """Whether the user has named the configuration file, by an option or in the environment."""
    return file is not None or bool(os.environ.get("ARC_CONFIG"))


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
    _start(config, config_file, allow_root=allow_root)


def _start(config: Configuration, file: Path | None, *, allow_root: bool) -> None:
    from arex.app import refuse_root  # noqa: PLC0415 - needed only to run the service

    refuse_root(config, allowed=allow_root)
    if not access.is_usable(config, writing=True):
        raise access.refusal(config, is_named=is_named(file))
    pid = daemon.holder(config.arex.controldir)
    if pid is not None and (pid == daemon.UNKNOWN_PID or procfs.is_daemon(pid)):  # the lock names other processes
        click.echo(f"arex is already running (pid {pid or 'unknown'}) on {config.arex.controldir}")
        return
    pid = _detached(config, allow_root=allow_root)
    click.echo(f"arex serves {config.arex.controldir} (pid {pid}, log {config.arex.logfile})")
    if file is not None and find(None, os.environ) != file.resolve():
        click.echo(f"clients: export ARC_CONFIG={file.resolve()}")


def _detached(config: Configuration, *, allow_root: bool) -> int:
    """Start the daemon and wait until it is ready; returns its pid."""
    reading, writing = os.pipe()
    more = ["--ready-fd", str(writing), *(["--allow-root"] if allow_root else [])]
    try:
        pid = process.detach(command_line(config, "run", *more), output=config.arex.logfile, keep=writing)
    except OSError as exc:
        what = f"cannot start the daemon: {exc.strerror}: {exc.filename}"
        raise ServiceError(f"{what}{_option_of(config, exc.filename)}") from exc
    finally:
        os.close(writing)
    problem = daemon.wait_ready(reading, _READY_S, config.arex.logfile)
    if problem:
        raise ServiceError(f"{problem} (log: {config.arex.logfile})")
    return pid


def _option_of(config: Configuration, path: object) -> str:
    """Name the option for the log, if the path is its file or a directory above it."""
    is_log = str(path) in {str(config.arex.logfile), *map(str, config.arex.logfile.parents)}
    return f" ([arex] logfile = {config.arex.logfile}; set another logfile)" if is_log else ""


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
        _log_end(problem, log_file)
        raise problem from group
    except Exception as exc:
        tell(str(exc))
        if isinstance(exc, ArexError):
            _log_end(exc, log_file)
        raise


def _log_end(problem: ArexError, log_file: Path | None) -> None:
    """
    Log why the service ends. If the log is a file, standard error leads there too, or nowhere.

    Raises:
        SystemExit: so that the text is not printed again, without time and level.
    """
    if log_file is not None and logging.getLogger().handlers:
        logging.getLogger("arex").error("the service ends: %s", problem, extra={"event": "service.failed"})
        raise SystemExit(problem.exit_code) from problem


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    return [
        leaf for exc in group.exceptions for leaf in (_leaves(exc) if isinstance(exc, BaseExceptionGroup) else [exc])
    ]


@click.command(context_settings=CONTEXT)
@config_option
def stop(config_file: Path | None) -> None:
    """Stop the daemon; jobs in the batch system continue."""
    config = read_places(config_file)
    pid = daemon.stop(config.arex.controldir)
    click.echo("arex was not running" if pid is None else f"arex (pid {pid}) has stopped; its jobs continue")


@click.command(context_settings=CONTEXT)
@config_option
@_root_option
def restart(config_file: Path | None, *, allow_root: bool) -> None:
    """
    Stop the daemon and start it again; jobs in the batch system continue.

    The new daemon has the configuration file of the running one, unless another file is named with --config. If that
    file has errors, the running daemon is not stopped.
    """
    places = read_places(config_file)
    file = config_file or _file_of_the_daemon(places)
    config = read_config(file)
    if config.arex.controldir != places.arex.controldir:
        raise ServiceError(
            f"{file} has another control directory than the running service: {config.arex.controldir} instead of "
            f"{places.arex.controldir}; use 'arex stop' and 'arex start -c FILE'"
        )
    pid = daemon.stop(places.arex.controldir)
    click.echo("arex was not running" if pid is None else f"arex (pid {pid}) has stopped; its jobs continue")
    _start(config, config_file, allow_root=allow_root)


def _file_of_the_daemon(config: Configuration) -> Path | None:
    """The configuration file of the running daemon; the one that the command has found, if none runs."""
    if daemon.holder(config.arex.controldir) is None or not (found := _snapshot(config)):
        return config.source
    return Path(found.config) if found.config else config.source


def _snapshot(config: Configuration) -> daemon.Snapshot | None:
    return daemon.read_snapshot(config.arex.controldir) if config.arex.controldir.is_dir() else None


@click.command(context_settings=CONTEXT)
@config_option
def reload(config_file: Path | None) -> None:
    """
    Let the daemon read its configuration again, and show what it made of it.

    The exit code is 1 if the daemon has refused the configuration; it then keeps the old one.
    """
    config = read_places(config_file)
    pid = daemon.holder(config.arex.controldir)
    if pid is None:
        raise ServiceError(f"arex is not running for {config.arex.controldir}; start it with 'arex start'")
    if pid == daemon.UNKNOWN_PID:
        raise ServiceError("the pid of the daemon is unknown; send it SIGHUP yourself ('pgrep -af arex')")
    before = _reloads(_snapshot(config))
    try:
        os.kill(pid, signal.SIGHUP)
    except PermissionError as exc:
        raise ServiceError(f"cannot send a signal to pid {pid}: it belongs to another user") from exc
    answer = _answer(config, pid, before)
    for fault in _texts(answer, "faults"):
        click.echo(f"error: {fault}", err=True)
    for warning in _texts(answer, "warnings"):
        click.echo(f"warning: {warning}", err=True)
    if not answer["accepted"]:
        raise ServiceError("the configuration is refused; the service continues with the old one")
    click.echo("the configuration is in effect")
    if later := _texts(answer, "later"):
        click.echo(f"  these options change only with 'arex restart': {', '.join(later)}")


def _reloads(snapshot: daemon.Snapshot | None) -> int:
    """How often the daemon has read its configuration again."""
    count = 0 if snapshot is None else snapshot.reload.get("count")
    return count if isinstance(count, int) else 0


def _texts(answer: dict[str, object], name: str) -> list[str]:
    found = answer.get(name)
    return [str(each) for each in found] if isinstance(found, list) else []


def _answer(config: Configuration, pid: int, before: int) -> dict[str, object]:
    """
    Wait until the daemon has written what it made of the configuration.

    Raises:
        ServiceError: it has ended, or does not answer.
    """
    until = time.monotonic() + _RELOAD_S
    while time.monotonic() < until:
        snapshot = _snapshot(config)
        if snapshot is not None and snapshot.pid == pid and _reloads(snapshot) > before:
            return dict(snapshot.reload)
        if daemon.holder(config.arex.controldir) != pid:
            raise ServiceError(f"the daemon (pid {pid}) has ended; see its log: {config.arex.logfile}")
        time.sleep(0.02)  # noqa: TID251 - a command that waits, no event loop here
    raise ServiceError(
        f"the daemon (pid {pid}) has not answered within {_RELOAD_S:g} s; see its log: {config.arex.logfile}"
    )
