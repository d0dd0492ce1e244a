"""Finds the configuration file, and determines the default directories of a user."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from arex.config.record import Record, record
from arex.config.values import SessionDir
from arex.errors import ConfigError, Fault

SYSTEM: Final = Path("/etc/arc.conf")
_OWN: Final = ("arc.conf", "arc.yaml", "arex.yaml")
_LARGEST: Final = 4 * 1024 * 1024


@record
class Places(Record):
    """Directories of a user, after the XDG base directory specification."""

    home: Path
    config: Path
    data: Path
    state: Path


def places(environ: Mapping[str, str]) -> Places:
    """
    Read the directories from the environment, ignoring relative paths; the home directory of a user without one is
    ``/``.
    """
    home = _absolute(environ, "HOME") or _home_of_account()
    return Places(
        home=home,
        config=_absolute(environ, "XDG_CONFIG_HOME") or home / ".config",
        data=_absolute(environ, "XDG_DATA_HOME") or home / ".local/share",
        state=_absolute(environ, "XDG_STATE_HOME") or home / ".local/state",
    )


def _absolute(environ: Mapping[str, str], name: str) -> Path | None:
    value = environ.get(name, "")
    return Path(value) if value.startswith("/") else None


def _home_of_account() -> Path:
    import pwd  # noqa: PLC0415  (only where HOME is not set)

    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path("/")


def own_paths(at: Places) -> dict[str, object]:
    """
    Paths in the home directory for the path options of ``[arex]``.

    The pidfile is not in XDG_RUNTIME_DIR: that variable is not set for cron and batch jobs, and its directory is
    removed at logout, so service and clients could use different directories.
    """
    data, state = at.data / "arex", at.state / "arex"
    return {
        "controldir": data / "jobstatus",
        "sessiondir": (SessionDir(path=data / "sessiondir"),),
        "pidfile": state / "arex.pid",
        "logfile": state / "arex.log",
        "joblog": state / "arex-jobs.log",
    }


def _candidates(environ: Mapping[str, str], system: Path) -> Iterator[Path]:
    if location := environ.get("ARC_LOCATION"):
        yield Path(location) / "etc/arc.conf"
    own = places(environ).config / "arex"
    yield from (own / name for name in _OWN)
    yield system


def find(path: Path | None, environ: Mapping[str, str], system: Path = SYSTEM) -> Path | None:
    """
    Find the file to read; None if there is none.

    The search order is: ``path``, ``$ARC_CONFIG``, ``$ARC_LOCATION/etc/arc.conf``, files of the user, file of the
    machine. The first two are returned even if the file does not exist; reading it then raises the error. Of the
    others, the first readable file is returned.
    """
    if path is not None:
        return path
    if named := environ.get("ARC_CONFIG"):
        return Path(named)
    return next((each for each in _candidates(environ, system) if os.access(each, os.R_OK)), None)


def read(file: Path) -> bytes:
    """
    Read a configuration file.

    Raises:
        ConfigError: the file cannot be read, is not text, or is larger than 4 MiB.
    """
    try:
        with open(file, "rb", opener=_open_without_waiting) as stream:
            data = stream.read(_LARGEST + 1)
            is_pipe = stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise ConfigError([Fault(f"cannot read the file: {why}", file)]) from exc
    if len(data) > _LARGEST:
        raise ConfigError([Fault(f"the file is larger than {_LARGEST} bytes and cannot be a configuration", file)])
    if b"\0" in data:
        raise ConfigError([Fault("the file is not text", file)])
    if is_pipe and not data:
        raise ConfigError([Fault("the file is a pipe, and no process writes into it", file)])
    return data


def _open_without_waiting(path: str, flags: int) -> int:
    """Without this, opening a named pipe would wait for a process that writes."""
    fd = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(fd, True)
    return fd
