"""
Manual pages of all commands, made from the commands themselves.

``gen_man.py DIRECTORY`` writes them. Building a wheel does the same (tools/hatch_build.py), so no page can be out of
date. The pages use the macros of man(7).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import click

import arex
from arex.cli.entry import COMMANDS, load
from arex.cli.examples import examples
from arex.cli.lazy import LazyGroup
from tools.gen_commands import argument_names, option_names

#: Exit codes of all commands; a command's own are in its description.
EXIT_CODES: Final = {
    "0": "Success.",
    "1": "Something failed; messages on standard error say what.",
    "2": "The command line or the configuration is invalid.",
    "70": "An internal error. Set AREX_TRACEBACK=1 to see the traceback.",
    "130": "Interrupted, for example with Ctrl-C.",
    "141": "The reader of the output, for example a pager, has closed it.",
}
VARIABLES: Final = {
    "ARC_CONFIG": "The configuration file, if no option names one.",
    "ARC_LOCATION": "The directory of an installation of ARC; its etc/arc.conf is tried after ARC_CONFIG.",
    "XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_STATE_HOME": "Instead of ~/.config, ~/.local/share and ~/.local/state.",
    "AREX_TRACEBACK": "If set, an internal error prints a traceback.",
}
CREDENTIALS: Final = {
    "X509_USER_PROXY": "The proxy, instead of /tmp/x509up_uUID.",
    "X509_USER_CERT, X509_USER_KEY": "The certificate and its key, instead of those in ~/.arc or ~/.globus.",
    "X509_CERT_DIR": "The directory with the certificates of authorities.",
    "BEARER_TOKEN, BEARER_TOKEN_FILE": "A token, or a file with one.",
}
CONFIGURATION: Final = {
    "~/.config/arex/arc.conf": "The configuration of an ordinary user.",
    "/etc/arc.conf": "The configuration of the host, used if there is no other.",
}
JOB_LIST: Final = {"~/.arc/jobs.dat": "The list of jobs, shared with ARC's clients."}
#: Commands that use a certificate, a proxy or a token.
_WITH_CREDENTIALS: Final = frozenset({"arcsub", "arcrun", "arcrenew", "arcproxy", "arctest"})


def pages() -> Mapping[str, str]:
    """The text of each page by the name of its file, such as ``arex-config.1``."""
    return {f"{name.replace(' ', '-')}.1": _page(name, target) for name, target in _targets()}


def _targets() -> Iterator[tuple[str, str]]:
    """Each program, and each command of a program; the commands below these are in the page of their group."""
    for name, target in COMMANDS.items():
        yield name, target
        command = load(target)
        if isinstance(command, LazyGroup):
            yield from ((f"{name} {word}", below) for word, (below, _) in command.subcommands.items())


def _page(name: str, target: str) -> str:
    command = load(target)
    title = name.replace(" ", "-")
    # no hyphens in words and no justified lines: options and paths stay as they are typed
    lines = [f'.TH {title.upper()} 1 "" "arex {arex.__version__}" "arex"', ".nh", ".ad l", ".SH NAME"]
    lines += [f"{_text(title)} \\- {_text(_short(command))}", ".SH SYNOPSIS", *_synopsis(name, command)]
    lines += [".SH DESCRIPTION", *_paragraphs(command.help or "")]
    if options := [*_options(command)]:
        lines += [".SH OPTIONS", *options]
    if isinstance(command, click.Group):
        lines += [".SH COMMANDS", *_commands(name, command)]
    lines += [".SH EXIT STATUS", *_items(EXIT_CODES)]
    lines += [".SH ENVIRONMENT", *_items(VARIABLES | (CREDENTIALS if name in _WITH_CREDENTIALS else {}))]
    has_list = any(param.name == "joblist" for param in command.params)
    lines += [".SH FILES", *_items(CONFIGURATION | (JOB_LIST if has_list else {}))]
    if shown := examples(command, target):
        lines += [".SH EXAMPLES", *_examples(shown)]
    lines += [".SH SEE ALSO", _see_also(name)]
    return "\n".join(lines) + "\n"


def _short(command: click.Command) -> str:
    text = command.get_short_help_str(200).rstrip(".")
    return text[:1].lower() + text[1:]


def _synopsis(name: str, command: click.Command) -> Iterator[str]:
    yield f".B {_text(name)}"
    yield f"[OPTIONS] {_text(' '.join(argument_names(command)))}".rstrip()


def _options(command: click.Command) -> Iterator[str]:
    for option in (param for param in command.params if isinstance(param, click.Option) and not param.hidden):
        yield ".TP"
        yield f".B {_text(option_names(option))}"
        yield _text(" ".join((option.help or "").split()))


def _commands(name: str, group: click.Group) -> Iterator[str]:
    """Commands with a separate page are listed; those of a group inside another one are described here."""
    context = click.Context(group, info_name=name)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        assert command is not None
        if isinstance(group, LazyGroup):
            yield ".TP"
            yield f".BR {_text(name)}\\-{_text(word)} (1)"
            yield _text(command.get_short_help_str(200))
            continue
        yield f'.SS "{_text(f"{name} {word}")} [OPTIONS] {_text(" ".join(argument_names(command)))}"'
        yield from _paragraphs(command.help or "")
        yield from _options(command)


def _items(items: Mapping[str, str]) -> Iterator[str]:
    for word, about in items.items():
        yield ".TP"
        yield f".B {_text(word)}"
        yield _text(about)


def _examples(examples: Iterable[tuple[str, str]]) -> Iterator[str]:
    for number, (line, about) in enumerate(examples):
        if about or number:
            yield ".TP" if about else ".PP"
        yield f".B {_text(line)}"
        if about:
            yield _text(f"{about[:1].upper()}{about[1:]}.")


def _see_also(name: str) -> str:
    program = name.partition(" ")[0]
    others = [each for each in COMMANDS if each != name] if name in COMMANDS else [program]
    return "\n".join(f".BR {each} (1){',' if each != others[-1] else ''}" for each in others)


def _paragraphs(text: str) -> Iterator[str]:
    parts = [" ".join(part.split()) for part in text.split("\n\n")]
    for number, part in enumerate(part for part in parts if part):
        if number:
            yield ".PP"
        yield _text(part)


def _text(text: str) -> str:
    """Text in which roff finds nothing to obey, and whose hyphens and quotes can be copied into a shell."""
    for plain, escaped in (("\\", "\\e"), ("-", "\\-"), ("'", "\\(aq"), ("`", "\\(ga"), ("~", "\\(ti"), ("^", "\\(ha")):
        text = text.replace(plain, escaped)
    return re.sub(r"^\.", r"\\&.", text.replace('"', "\\(dq"))


def write(directory: Path) -> list[Path]:
    """All pages as files; the directory is created if it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in pages().items():
        paths.append(directory / name)
        paths[-1].write_text(text, encoding="utf-8")
    return paths


if __name__ == "__main__":
    write(Path(sys.argv[1]))
