"""``arex completion``: shell completion for all commands."""

from __future__ import annotations

import click

from arex.cli.entry import COMMANDS


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """
    Print the completion of all commands for SHELL: options, jobs, states, queues and names of configuration options.

    Add this line to ~/.bashrc: eval "$(arex completion bash)". To ~/.zshrc, after compinit: eval "$(arex completion
    zsh)". To ~/.config/fish/config.fish: arex completion fish | source
    """
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - for this command only

    kind = get_completion_class(shell)
    assert kind is not None
    for name in COMMANDS:
        # the script only depends on the name of the command, so no command module needs to be imported here
        made = kind(click.Command(name), {}, name, f"_{name.upper()}_COMPLETE")
        click.echo(made.source_template % made.source_vars())
