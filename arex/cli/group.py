"""``arex``: the service's own commands, each imported when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import click

from arex.cli.lazy import LazyGroup

#: Name to ``module:command`` and what the overview says about it: help for all must not import all.
SUBCOMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "start": ("arex.cli.service:start", "Start the service in the background."),
    "stop": ("arex.cli.service:stop", "Stop it; jobs in the batch system go on."),
    "status": ("arex.cli.service:status", "Show what it does."),
    "run": ("arex.cli.service:run", "Run it in the foreground."),
    "init": ("arex.cli.service:init", "Write a first configuration."),
    "install-service": ("arex.cli.service:install_service", "Have systemd start it for this user."),
    "config": ("arex.cli.config:group", "Check, show and explain the configuration."),
    "completion": ("arex.cli.completion:command", "Print shell completion for all commands."),
}


@click.command(cls=LazyGroup, subcommands=SUBCOMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="arex", message="%(prog)s %(version)s")
def command() -> None:
    """Run a computing element of your own: no root, no host certificate, no open port."""
