"""Groups that import a command on first use, so that the help of the group is fast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from arex.cli.entry import load
from arex.suggest import closest


class LazyGroup(click.Group):
    """A command group that imports its commands on first use."""

    def __init__(self, *args: Any, subcommands: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:  # noqa: ANN401
        """``subcommands`` maps names to ``module:command`` and the description for the overview."""
        super().__init__(*args, **kwargs)
        self.subcommands = subcommands  #: as given

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return [*self.subcommands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        return load(self.subcommands[cmd_name][0]) if cmd_name in self.subcommands else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.subcommands and not args[0].startswith("-"):
            near = closest(args[0], self.subcommands, 0.6)
            hint = f" Did you mean {near}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in self.subcommands.items()])
