"""``arex completion``: shell completion for all commands and for job ids."""

from __future__ import annotations

import click

from arex.cli.entry import COMMANDS


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """
    Print the completion of all commands for SHELL.

    In bash: eval "$(arex completion bash)"
    """
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - for this command only

    kind = get_completion_class(shell)
    assert kind is not None
    for name in COMMANDS:
        # the script only depends on the name of the command, so no command module needs to be imported here
        made = kind(click.Command(name), {}, name, f"_{name.upper()}_COMPLETE")
        click.echo(made.source_template % made.source_vars())
