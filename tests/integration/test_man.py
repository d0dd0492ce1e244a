"""The manual pages of all commands: complete, and correct for two programs that read them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import click
import pytest

from arex.cli.entry import COMMANDS, load
from arex.cli.examples import EXAMPLES
from arex.cli.group import SUBCOMMANDS
from tools.gen_man import pages, write

PAGES: Final = pages()


def shown(page: str) -> str:
    """As ``man`` shows it, in one line."""
    done = subprocess.run(
        ["man", "--warnings", "-l", "-"], input=page, capture_output=True, text=True, check=True,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "120", "MAN_KEEP_FORMATTING": ""},
    )  # fmt: skip
    assert done.stderr == ""
    return " ".join(done.stdout.split())


def options(command: click.Command) -> list[click.Option]:
    below = [*command.commands.values()] if type(command) is click.Group else []
    return [
        param for each in (command, *below) for param in each.params
        if isinstance(param, click.Option) and not param.hidden
    ]  # fmt: skip


def test_every_program_and_every_command_of_arex_has_a_page() -> None:
    assert {f"{name}.1" for name in COMMANDS} | {f"arex-{word}.1" for word in SUBCOMMANDS} <= {*PAGES}


@pytest.mark.parametrize(
    ("page", "target"),
    [*((name, target) for name, target in COMMANDS.items()),
     *((f"arex-{word}", target) for word, (target, _) in SUBCOMMANDS.items())],
)  # fmt: skip
def test_a_page_says_what_the_help_says(page: str, target: str) -> None:
    command = load(target)

    text = shown(PAGES[f"{page}.1"])

    assert " ".join((command.help or "").split()) in text
    assert [] == [name for option in options(command) for name in option.opts if name not in text]
    assert [] == [each.help for each in options(command) if " ".join((each.help or "").split()) not in text]
    assert [] == [line for line, _ in EXAMPLES.get(target, ()) if line not in text]


def test_pages_have_no_faults_for_mandoc(tmp_path: Path) -> None:
    """But that they have no date: it would be that of the build."""
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", *write(tmp_path)], capture_output=True, text=True, check=False
    )

    assert [] == [line for line in (done.stdout + done.stderr).splitlines() if "missing date" not in line]


def test_text_that_roff_would_obey_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    help_text = ".so /etc/passwd and \\fBbold\\fP 'quoted' `ticks` ~/x -o"
    monkeypatch.setattr(load(COMMANDS["arcstat"]), "help", help_text)

    assert help_text in shown(pages()["arcstat.1"])
