"""``arex``: the commands of the service, each imported on first use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import click

from arex.cli.lazy import LazyGroup

#: Commands with ``module:command`` and their description, so that the overview does not need to import the modules.
SUBCOMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "start": ("arex.cli.service:start", "Start the service in the background."),
    "stop": ("arex.cli.service:stop", "Stop the service; jobs in the batch system continue."),
    "restart": ("arex.cli.service:restart", "Stop the service and start it again; jobs continue."),
    "reload": ("arex.cli.service:reload", "Let the service read its configuration again."),
    "status": ("arex.cli.status:status", "Show the status of the service."),
    "logs": ("arex.cli.logs:logs", "Show the log of the service, or what it says about one job."),
    "run": ("arex.cli.service:run", "Run the service in the foreground."),
    "init": ("arex.cli.setup:init", "Write a commented configuration file."),
    "install-service": ("arex.cli.setup:install_service", "Start the service at boot, with systemd or cron."),
    "config": ("arex.cli.config:group", "Check, show and explain the configuration."),
    "completion": ("arex.cli.completion:command", "Print the shell completion for all commands."),
}


@click.command(cls=LazyGroup, subcommands=SUBCOMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="arex", message="%(prog)s %(version)s")
def command() -> None:
    """Run a grid computing element as an ordinary user, without a host certificate or an open port."""
