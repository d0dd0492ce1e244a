"""``arex``: the service's own commands, each imported when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import click

from arex.cli.entry import load

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


class LazyGroup(click.Group):
    """A group that knows its commands by name only."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return [*SUBCOMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        return load(SUBCOMMANDS[cmd_name][0]) if cmd_name in SUBCOMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in SUBCOMMANDS and not args[0].startswith("-"):
            import difflib  # noqa: PLC0415 - for mistakes only

            near = difflib.get_close_matches(args[0], SUBCOMMANDS, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in SUBCOMMANDS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="arex", message="%(prog)s %(version)s")
def command() -> None:
    """Run a computing element of your own: no root, no host certificate, no open port."""
