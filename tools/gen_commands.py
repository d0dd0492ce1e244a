"""Print the reference of all commands and options, as Markdown; ``make generated`` puts it into the documentation."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

import click

from arex.cli.entry import COMMANDS, load
from arex.cli.examples import examples
from arex.cli.lazy import LazyGroup

_HEAD: Final = """\
<!-- Generated from the commands themselves: python tools/gen_commands.py -->
# Commands

This page describes all commands of arex. Commands that ARC has too have the same names, options and output. All
commands work on the control directory of this host.

The exit code is 0 after success, 1 if something failed, and 2 if the command line or the configuration is invalid.
Error messages are one sentence on stderr. Every command has the option `--help`.
"""
_KINDS: Final = {"integer": "NUMBER", "integer range": "NUMBER", "float": "NUMBER", "path": "PATH", "file": "PATH"}


def reference() -> str:
    """The whole page."""
    parts = [_HEAD, *_overview()]
    for name, target in COMMANDS.items():
        parts += _command(name, load(target), 2, target)
    return "\n".join(parts).rstrip("\n") + "\n"


def _overview() -> Iterator[str]:
    yield "| Command | What it does |\n| --- | --- |"
    for name, target in COMMANDS.items():
        yield f"| [`{name}`](#{name}) | {_cell(load(target).get_short_help_str(200))} |"
    yield ""


def _command(name: str, command: click.Command, level: int, target: str = "") -> Iterator[str]:
    yield f"{'#' * level} {name}\n"
    yield f"```text\n{_usage(name, command)}\n```\n"
    yield f"{_paragraphs(command.help or '')}\n"
    yield from _examples(command, target)
    options = [param for param in command.params if isinstance(param, click.Option) and not param.hidden]
    if options:
        yield "| Option | Meaning |\n| --- | --- |"
        yield from (f"| `{_cell(option_names(option))}` | {_cell(option.help or '')} |" for option in options)
        yield ""
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for word in command.list_commands(context):
            below = command.get_command(context, word)
            assert below is not None
            target = command.subcommands[word][0] if isinstance(command, LazyGroup) else ""
            yield from _command(f"{name} {word}", below, level + 1, target)


def _examples(command: click.Command, target: str) -> Iterator[str]:
    if lines := examples(command, target):
        width = max(len(line) for line, _ in lines)
        yield "```sh"
        yield from (f"{line:{width}}  # {about}" if about else line for line, about in lines)
        yield "```\n"


def _usage(name: str, command: click.Command) -> str:
    return " ".join((name, "[OPTIONS]", *argument_names(command)))


def argument_names(command: click.Command) -> list[str]:
    """What follows the options on a command line, in brackets if it may be missing."""
    if isinstance(command, click.Group):
        return ["COMMAND", "[ARGUMENT]..."]
    return [_argument(param) for param in command.params if isinstance(param, click.Argument)]


def _argument(argument: click.Argument) -> str:
    word = argument.metavar or (argument.name or "").upper()
    return word if argument.metavar or argument.required else f"[{word}]"


def option_names(option: click.Option) -> str:
    """Every spelling, and what follows it; written here, since click's own wording changes with its versions."""
    spellings = ", ".join((*option.opts, *option.secondary_opts))
    if option.is_flag or option.count:
        return spellings
    kind = _KINDS.get(option.type.name, "TEXT")
    if isinstance(option.type, click.Choice):
        kind = "|".join(word for each in option.type.choices if (word := str(each)))
    return f"{spellings} {option.metavar or kind}"


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
