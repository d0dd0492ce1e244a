"""The options of our commands and of the programs of ARC, by what the help of ARC lists."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from typing import Final

import click
import pytest

from arex.cli.entry import COMMANDS, load
from tests.interop.grid import Account

_ELSEWHERE: Final = "jobs are resubmitted to this host, which is their only place"
#: Options of ARC that ours do not have, with the reason.
WITHOUT: Final[Mapping[str, Mapping[str, str]]] = {
    "arcresub": dict.fromkeys(
        (
            "--computing-element", "-C", "--registry", "-Y", "--submission-endpoint-type", "-T", "--info-endpoint-type",
            "-Q", "--broker", "-b", "--rejectdiscovery", "-R", "--not-same", "-M", "--qluster", "--infointerface", "-I",
            "--index", "-g", "--submissioninterface", "-S",
        ),
        _ELSEWHERE,
    ),
}  # fmt: skip
PROGRAMS: Final = (
    "arccat", "arcclean", "arccp", "arcget", "arcinfo", "arckill", "arcls", "arcmkdir", "arcproxy", "arcrename",
    "arcrenew", "arcresub", "arcresume", "arcrm", "arcstat", "arcsub", "arcsync", "arctest",
)  # fmt: skip
_LISTED: Final = re.compile(r"^  (?:(-\w), )?(--[a-z_-]+)(?:=| |$)", re.MULTILINE)


def listed(program: str) -> set[str]:
    """Options in the help of ARC's program."""
    done = subprocess.run([f"/usr/bin/{program}", "--help"], capture_output=True, text=True, check=True)
    return {name for pair in _LISTED.findall(done.stdout) for name in pair if name}


def accepted(program: str) -> Iterator[str]:
    """Options of our command."""
    command = load(COMMANDS[program])
    yield from ("-h", "--help")
    for param in command.params:
        if isinstance(param, click.Option):
            yield from (*param.opts, *param.secondary_opts)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_option_of_arc_is_accepted_or_its_absence_has_a_reason(account: Account, program: str) -> None:
    del account  # it has the programs installed
    theirs = listed(program)

    missing = theirs - set(accepted(program))

    assert {"-h", "--help", "-d", "--debug"} <= theirs
    assert set(WITHOUT.get(program, {})) == missing


@pytest.mark.parametrize("program", PROGRAMS)
def test_options_take_a_value_where_those_of_arc_do(account: Account, program: str) -> None:
    del account
    done = subprocess.run([f"/usr/bin/{program}", "--help"], capture_output=True, text=True, check=True)
    theirs = {
        name: bool(value) for name, value in re.findall(r"^  (?:-\w, )?(--[a-z_-]+)(=?)", done.stdout, re.MULTILINE)
    }
    ours = {
        name: not param.is_flag
        for param in load(COMMANDS[program]).params
        if isinstance(param, click.Option)
        for name in param.opts
        if name.startswith("--")
    }

    assert {} == {name: value for name, value in ours.items() if theirs.get(name, value) != value}
