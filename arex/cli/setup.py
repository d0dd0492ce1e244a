"""``arex init | install-service``: what is done once, before the first start."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

import click

from arex.cli.options import CONTEXT, config_option
from arex.cli.service import command_line, read_config
from arex.config.discover import find, places
from arex.config.explain import commented_file
from arex.errors import ServiceError

_YAML: Final = frozenset({".yaml", ".yml"})


@click.command(context_settings=CONTEXT)
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
def init(file: Path | None, *, force: bool) -> None:
    """Write a commented configuration file: all options with their defaults. FILE.yaml is written in YAML."""
    target = file or places(os.environ).config / "arex" / "arc.conf"
    if target.exists() and not force:
        raise ServiceError(f"{target} already exists; use --force to replace it")
    text = commented_file(as_yaml=target.suffix in _YAML)
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise ServiceError(f"cannot write {target}: {exc.strerror}") from exc
    config = read_config(target)
    click.echo(f"wrote {target}")
    click.echo(f"  control directory  {config.arex.controldir}")
    click.echo(f"  session directory  {config.arex.sessiondir[0].path}")
    if find(None, os.environ) != target.absolute():
        click.echo(f"  arex finds it with: export ARC_CONFIG={target.absolute()}")
    if os.geteuid() == 0:
        click.echo("You are root, and arex does not run as root by default: all jobs would run as root too.")
        click.echo("next: write the configuration as the user that will own the jobs")
    else:
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
