"""Start at boot without root: with a systemd user unit and lingering, or with a line in the user's crontab."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
from pathlib import Path
from typing import Final

from arex import process
from arex.config.model import Configuration
from arex.errors import BatchUnavailable, ServiceError

_UNIT: Final = "arex.service"
_TIMEOUT_S: Final = 30.0


def unit_text(argv: list[str]) -> str:
    """The unit file. When the unit stops, systemd stops only the main process, so that jobs continue."""
    command = " ".join(_unit_quoted(word) for word in argv)
    return f"""[Unit]
Description=arex computing element
After=network.target

[Service]
Type=simple
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
KillMode=process
Restart=on-failure
RestartSec=5
UMask=0022
WorkingDirectory=/

[Install]
WantedBy=default.target
"""


def _unit_quoted(word: str) -> str:
    """Quote an argument of ExecStart, because systemd expands % and $ and interprets backslashes."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def cron_line(argv: list[str], config: Configuration) -> str:
    """The crontab line; % is escaped, because cron treats it as a line break."""
    return f"@reboot {_escaped(shlex.join(_start(argv)))} {_mark(config)}"


def _start(argv: list[str]) -> list[str]:
    """The command line for ``arex start`` instead of ``arex run``."""
    return [*argv[:3], "start", *argv[4:]]


def _mark(config: Configuration) -> str:
    """The end of our line in a crontab, by which it is found again."""
    return _escaped(f"# arex on {config.arex.controldir}")


def _escaped(text: str) -> str:
    return text.replace("%", "\\%")


async def install(config: Configuration, argv: list[str]) -> str:
    """
    Install and verify; returns a description of the result for the user.

    Raises:
        ServiceError: neither systemd nor cron can be used, or the check failed.
    """
    if await _systemd_works():
        return await _install_unit(argv)
    if shutil.which("crontab"):
        return await _install_cron(config, argv)
    line = f"{shlex.join(_start(argv))} >/dev/null"
    raise ServiceError(
        "neither a systemd user manager nor crontab is available: start arex from your login script. "
        f"Add this line to ~/.profile: {line}"
    )


async def remove(config: Configuration) -> str:
    """Undo ``install``."""
    done = []
    if _unit_path().exists():
        if await _systemd_works():
            await _checked(["systemctl", "--user", "disable", "--now", _UNIT])
        _unit_path().unlink()
        done.append(f"removed {_unit_path()}")
    if shutil.which("crontab"):
        lines = await _crontab()
        kept = [line for line in lines if not line.endswith(_mark(config))]
        if kept != lines:
            await _write_crontab(kept)
            done.append("removed the @reboot line from your crontab")
    return "; ".join(done) or "nothing to remove"


def _unit_path() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "systemd" / "user" / _UNIT


async def _systemd_works() -> bool:
    if not shutil.which("systemctl"):
        return False
    try:
        return (await process.run(["systemctl", "--user", "show-environment"], timeout=_TIMEOUT_S)).code == 0
    except BatchUnavailable:
        return False


async def _install_unit(argv: list[str]) -> str:
    path = _unit_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(unit_text(argv), encoding="utf-8", errors="surrogateescape")
    user = getpass.getuser()
    await _checked(["loginctl", "enable-linger", user])
    await _checked(["systemctl", "--user", "daemon-reload"])
    await _checked(["systemctl", "--user", "enable", "--now", _UNIT])
    await _checked(["systemctl", "--user", "is-active", _UNIT])
    linger = await _checked(["loginctl", "show-user", user, "--property=Linger"])
    if "Linger=yes" not in linger:
        raise ServiceError(
            "the unit runs, but lingering is disabled, so it would stop at your last logout: ask your administrator "
            "for it"
        )
    return f"installed {path}: arex is running, continues after your logout and starts at boot"


async def _install_cron(config: Configuration, argv: list[str]) -> str:
    line = cron_line(argv, config)
    kept = [old for old in await _crontab() if not old.endswith(_mark(config))]
    await _write_crontab([*kept, line])
    if line not in await _crontab():
        raise ServiceError("the crontab was written, but the new line is missing; see 'crontab -l'")
    return "added an @reboot line to your crontab: arex starts at boot; start it now with 'arex start'"


async def _crontab() -> list[str]:
    done = await process.run(["crontab", "-l"], timeout=_TIMEOUT_S)
    if done.code != 0 and "no crontab" not in done.err.lower():
        raise ServiceError(f"cannot read your crontab: {done.err.strip()}")
    return done.out.splitlines() if done.code == 0 else []


async def _write_crontab(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
    done = await process.run(["crontab", "-"], timeout=_TIMEOUT_S, stdin=text)
    if done.code != 0:
        raise ServiceError(f"cannot write your crontab: {done.err.strip()}")


async def _checked(argv: list[str]) -> str:
    try:
        done = await process.run(argv, timeout=_TIMEOUT_S)
    except BatchUnavailable as exc:
        raise ServiceError(str(exc)) from exc
    if done.code != 0:
        raise ServiceError(f"{shlex.join(argv)} failed: {(done.err or done.out).strip()}")
    return done.out
