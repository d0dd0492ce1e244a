"""``arex config check | show | explain``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from arex.cli import complete
from arex.cli.options import CONTEXT, json_option
from arex.config import explain as explaining
from arex.config.load import load
from arex.config.model import Configuration
from arex.config.show import as_dict
from arex.config.show import show as shown
from arex.controldir.session import root_objection, root_warning
from arex.errors import ConfigError, Fault

_file = click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))


@click.group("config", context_settings=CONTEXT)
def group() -> None:
    """Check and show the configuration."""


@group.command()
@_file
@json_option
def check(file: Path | None, *, as_json: bool) -> None:
    """Check a configuration and print all its errors."""
    try:
        config, warnings = load(file, os.environ)
        warnings += _session_roots(config)
    except ConfigError as exc:
        if not as_json:
            raise
        click.echo(json.dumps({"ok": False, "faults": [str(fault) for fault in exc.faults]}))
        raise SystemExit(exc.exit_code) from exc
    if as_json:
        click.echo(json.dumps({"ok": True, "source": str(config.source or ""), "warnings": [str(w) for w in warnings]}))
        return
    for fault in warnings:
        click.echo(f"warning: {fault}", err=True)
    click.echo(f"{config.source or 'the defaults'}: no errors, {len(warnings)} warnings")


def _session_roots(config: Configuration) -> list[Fault]:
    """
    Warnings about directories where other accounts can write.

    Raises:
        ConfigError: the service would not start with them.
    """
    roots = [entry.path for entry in config.arex.sessiondir]
    option = "[arex] sessiondir"
    if faults := [Fault(text, config.source, option=option) for root in roots if (text := root_objection(root))]:
        raise ConfigError(faults)
    return [Fault(text, config.source, option=option) for root in roots if (text := root_warning(root))]


@group.command()
@_file
@click.option("--defaults", is_flag=True, help="Also show options with default values.")
@json_option
def show(file: Path | None, *, defaults: bool, as_json: bool) -> None:
    """Print the effective configuration."""
    config, _ = load(file, os.environ)
    click.echo(json.dumps(as_dict(config)) if as_json else shown(config, defaults=defaults), nl=as_json)


@group.command()
@click.argument("option", shell_complete=complete.config_option)
def explain(option: str) -> None:
    """Explain an option, for example: arex config explain maxjobs."""
    click.echo(explaining.explain(option))
