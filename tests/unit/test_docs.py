"""The documentation says what the code does: generated pages are fresh, examples read, nothing is left out."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections.abc import Collection, Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Final

import click
import pytest

from arex.cli.entry import COMMANDS, load
from arex.cli.examples import EXAMPLES
from arex.config import arcconf
from arex.config.explain import reference_markdown
from arex.jobdesc import DescriptionDialect, parse
from arex.model.report import EndCause
from tests import source
from tests.environments import ROOT
from tools.gen_commands import reference

PAGES: Final = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])
#: Reasons that A-REX 6.17 writes. ``docs/admins/failures/`` explains them.
REASONS: Final = (
    "Could not process job description",
    "Failed during processing failure",
    "Serious troubles (problems during processing problems)",
    "Internal error",
    "Failed reading status of the job",
    "Job has dryrun requested. Job skipped.",
    "Failed to clean up session dir before downloading inputs",
    "Failed in data staging: ",
    "Timeout waiting",
    "Delivered file is bigger than specified.",
    "Duplicate file in list of input files: /",
    "Job submission to LRMS failed",
    "Failed extracting LRMS ID due to some internal error",
    "LRMS error: (",
    "Job is canceled by external request",
    "Failed in data staging: Destination URL already exists",
    "Data download failed",
    "Data upload failed",
    "Plugin at state X failed: ",
    "Failed running plugin at state X",
    "Job finished with wrong exit code - ",
    "Job died unexpectedly",
)
#: What tells a user or an administrator why a job fails or is refused, and the modules where that is said.
TELLING: Final = frozenset({
    "Fail", "Failed", "Held", "JobRefused", "StagingError", "SubmitRejected",
    "TransferError", "Wait", "Wreck", "_unreadable",
})  # fmt: skip
#: What a service that does not start or stop says.
REFUSING: Final = frozenset({"AlreadyRunning", "ServiceError"})
#: What fails a command of a user, and no job.
OF_COMMANDS: Final = "arex/staging/remote/"
TOLD_IN: Final = ("arex/gm", "arex/staging", "lrms", "plugins", "arex/jobdesc/check.py")


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def failures() -> str:
    """All pages that explain messages, as one text."""
    pages = sorted((ROOT / "docs/admins/failures").glob("*.md"))
    assert len(pages) > 1
    return "\n".join(path.read_text(encoding="utf-8") for path in pages)


def blocks(language: str) -> list[tuple[str, str]]:
    """Code blocks of a language in all pages: page and text."""
    found = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        found += [
            (path.name, body) for body in re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        ]
    return found


# --- generated pages --------------------------------------------------------------------------------------------------


def test_the_page_of_the_configuration_is_fresh() -> None:
    """If not: make generated."""
    assert reference_markdown() == page("admins/configuration.md")


def test_the_page_of_the_commands_is_fresh() -> None:
    """If not: make generated."""
    assert reference() == page("users/commands.md")


def test_every_installed_command_is_on_the_page_of_commands() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

    assert [*COMMANDS] == [*scripts]
    assert [] == [name for name in scripts if f"\n## {name}\n" not in page("users/commands.md")]


# --- failures and events ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_of_arex_617_is_explained(reason: str) -> None:
    assert reason in failures()


def test_every_reason_that_the_code_gives_is_explained() -> None:
    """Constant parts of texts count; names and numbers in them do not."""
    explained = failures()

    assert [] == [f"{where}: {text}" for where, text in reasons(TELLING, TOLD_IN) if text not in explained]


def test_every_message_of_a_service_that_does_not_start_is_explained() -> None:
    explained = failures()
    messages = [*reasons(REFUSING, ("arex",))]

    assert messages
    assert [] == [f"{where}: {text}" for where, text in messages if text not in explained]


def reasons(classes: Collection[str], places: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in places:
        top = ROOT / name
        for path in [top] if top.is_file() else sorted(top.rglob("*.py")):
            of_command = path.relative_to(ROOT).as_posix().startswith(OF_COMMANDS)
            for node in () if of_command else source.nodes(path):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in classes:
                    yield from ((f"{path.name}:{node.lineno}", text) for text in fragments(node))


def fragments(call: ast.Call) -> Iterator[str]:
    for value in (*call.args, *(word.value for word in call.keywords)):
        for node in ast.walk(value):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from (part for line in node.value.split("\n") if len(part := line.strip(" :-[]()")) > 5)


@pytest.mark.parametrize("cause", EndCause)
def test_every_cause_of_an_end_is_explained(cause: EndCause) -> None:
    told = {EndCause.EXIT_CODE: "wrong exit code", EndCause.LOST: "Job died unexpectedly"}

    assert told.get(cause, str(cause)) in failures()


def test_every_event_of_the_log_is_explained() -> None:
    """Under the word that programs look for."""
    operations = page("admins/operations.md")

    assert set() == {event for event in events() if f"`{event}`" not in operations}


def events() -> Iterator[str]:
    for package in ("arex", "plugins", "lrms", "infoprovider"):
        for path in (ROOT / package).rglob("*.py"):
            for node in source.nodes(path):
                if isinstance(node, ast.Dict):
                    yield from re.findall(r"'event': '([a-z_.]+)'", ast.unparse(node))


# --- examples ---------------------------------------------------------------------------------------------------------


def descriptions() -> list[tuple[str, str]]:
    found = [(name, text) for name, text in blocks("text") if text.startswith("&")]
    for name, text in blocks("sh"):
        found += [(name, body) for body in re.findall(r"<<'END'\n(&.*?)^END$", text, re.MULTILINE | re.DOTALL)]
    return found


def test_every_description_in_the_documentation_reads() -> None:
    found = descriptions()

    assert len(found) >= 3
    assert [] == [name for name, text in found if not parse(text, DescriptionDialect.USER)]


def test_every_configuration_in_the_documentation_reads() -> None:
    found = [text for _, text in blocks("ini") if "[common]" in text]

    assert found
    assert [] == [fault for text in found for fault in arcconf.parse(text, Path("example"))[1]]


def test_every_python_example_compiles() -> None:
    assert [compile(text, name, "exec") for name, text in blocks("python")]


def test_every_command_line_in_the_documentation_is_one_that_we_understand() -> None:
    """Programs, subcommands and options exist."""
    found = [(name, *line) for name, text in blocks("sh") for line in command_lines(text)]

    assert len(found) > 20
    assert [] == [(name, words) for name, *words in found if not_understood(words)]


def test_every_example_of_a_help_is_one_that_we_understand() -> None:
    found = [words for lines in EXAMPLES.values() for line, _ in lines for words in command_lines(line)]

    assert len(found) == sum(map(len, EXAMPLES.values()))
    assert [] == [words for words in found if not_understood(words)]


def command_lines(text: str) -> Iterator[list[str]]:
    text = re.sub(r"<<'END'.*?^END$", "", text, flags=re.MULTILINE | re.DOTALL)
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words and words[0].rpartition("/")[2] in COMMANDS:
            yield [words[0].rpartition("/")[2], *takewhile(lambda word: word not in {"|", "--"}, words[1:])]


def not_understood(words: list[str]) -> list[str]:
    command: click.Command = load(COMMANDS[words[0]])
    rest = words[1:]
    while isinstance(command, click.Group):
        below = command.get_command(click.Context(command), rest[0]) if rest else None
        if below is None:
            return rest[:1] or ["a subcommand"]
        command, rest = below, rest[1:]
    known = {spelling for param in command.params for spelling in param.opts} | {"--help"}
    return [word for word in rest if word.startswith("-") and word != "-" and word.partition("=")[0] not in known]


# --- links ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_to_a_file_leads_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```|`[^`]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]

    assert [] == [link for link in links if link and not (path.parent / link).exists()]


def test_the_readme_tells_the_two_commands() -> None:
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    told = re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert ["demo", "test"] == told
    assert set(told) <= set(targets)
