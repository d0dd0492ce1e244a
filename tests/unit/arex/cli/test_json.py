"""Every command with ``--json`` prints one document of the published form, also when it fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from jsonschema import Draft202012Validator

from arex.cli import entry
from arex.model.reason import ReasonKind
from arex.model.state import State
from plugins.local.status import ClientState
from tests.shell import User

DOCS = Path(__file__).parents[4] / "docs/users"
SCHEMA = json.loads((DOCS / "arex.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)


def programs(name: str, command: click.Command, context: click.Context) -> Iterator[str]:
    """All commands below this one that have ``--json``."""
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            assert found is not None
            yield from programs(f"{name} {each}", found, click.Context(found, parent=context))
    elif any("--json" in option.opts for option in command.params):
        yield name


def with_json() -> set[str]:
    found = set()
    for name, target in entry.COMMANDS.items():
        command = entry.load(target)
        found |= set(programs(name, command, click.Context(command)))
    return found


#: Arguments of each command; ``JOB`` is a job that has ended, ``NEW`` is one that has not.
CALLS: dict[str, list[str]] = {
    "arcsub": ["-e", "&(executable=/bin/true)"],
    "arcstat": ["-a"],
    "arcget": ["JOB"],
    "arckill": ["NEW"],
    "archold": ["NEW"],
    "arcrelease": ["NEW"],
    "arcclean": ["JOB"],
    "arccat": ["JOB"],
    "arcls": ["JOB"],
    "arcresub": ["JOB"],
    "arcresume": ["FAILED"],
    "arcsync": ["-f"],
    "arctest": ["-E"],
    "arccp": ["arc.conf", "copy"],
    "arcmkdir": ["new"],
    "arcrename": ["arc.conf", "renamed"],
    "arcrm": ["file:/nonexistent"],
    "arexctl cache list": [],
    "arexctl cache stats": [],
    "arexctl cache clean": ["--all"],
    "arexctl session usage": [],
    "arexctl session clean": ["--dry-run"],
    "arexctl job list": [],
    "arexctl job info": ["JOB"],
    "arexctl job attr": ["JOB"],
    "arexctl job stats": [],
    "arexctl job kill": ["NEW"],
    "arexctl job clean": ["JOB"],
    "arexctl job killall": ["--yes"],
    "arexctl job cleanall": ["-s", "FINISHED"],
    "arexctl rte list": [],
    "arexctl rte enable": ["ENV/RTE"],
    "arexctl rte disable": ["ENV/RTE"],
    "arexctl rte default": ["ENV/RTE"],
    "arexctl rte undefault": ["ENV/RTE"],
    "arex config check": [],
    "arex config show": [],
    "arex status": [],
}
#: They need a daemon, a credential or another program, and are tested where those are.
ELSEWHERE = {"arcrun", "arcrenew", "arcproxy", "arcinfo"}


def test_every_command_with_json_is_tested_here_or_elsewhere() -> None:
    groups = {name for name in with_json() if name.split()[:3] == ["arexctl", "rte", "params"]}
    groups |= {"arexctl rte params-get"}

    assert with_json() - groups - ELSEWHERE <= set(CALLS), sorted(with_json() - groups - ELSEWHERE - set(CALLS))


@pytest.fixture
def jobs(user: User) -> dict[str, str]:
    (user.home / "cache").mkdir()
    with (user.home / "arc.conf").open("a") as stream:
        stream.write(f"[arex/cache]\ncachedir={user.home}/cache\n")
    new, done, failed = (user.submit() for _ in range(3))
    for job in (done, failed):
        (user.home / "session" / job / "out.txt").write_text("x")
    (user.home / "ctl" / f"job.{failed}.failed").write_text(
        "LRMS error: (1) Job finished with wrong exit code - 1 != 0\n"
    )
    for job in (done, failed):
        user.move(job, State.FINISHED)
    return {"NEW": new, "JOB": done, "FAILED": failed}


@pytest.mark.parametrize("name", sorted(CALLS))
def test_the_document_has_the_published_form(user: User, jobs: dict[str, str], name: str) -> None:
    program, *words = name.split()

    said = user.run(program, *words, "--json", *(jobs.get(word, word) for word in CALLS[name]))

    value = said.json
    VALIDATOR.validate(value)
    assert name == value["command"], said.err


@pytest.mark.parametrize("name", sorted(name for name, arguments in CALLS.items() if set(arguments) & {"JOB", "NEW"}))
def test_a_job_that_does_not_exist_is_in_the_document(user: User, jobs: dict[str, str], name: str) -> None:
    del jobs

    program, *words = name.split()
    said = user.run(program, *words, "--json", "nosuchjob")

    VALIDATOR.validate(said.json)
    assert said.code == 1
    assert "nosuchjob" in str(said.json["errors"])


@pytest.mark.parametrize("name", sorted(name for name in CALLS if " " not in name))
def test_a_wrong_option_is_in_the_document(user: User, name: str) -> None:
    said = user.run(name, "--json", "--nosuch")

    VALIDATOR.validate(said.json)
    assert said.code == 2
    assert "--nosuch" in said.json["errors"][0]["message"]


def test_a_failed_job_has_its_reason(user: User, jobs: dict[str, str]) -> None:
    [value] = user.run("arcstat", "--json", jobs["FAILED"]).json["jobs"]

    VALIDATOR.validate({"schema": 1, "command": "x", "errors": [], "jobs": [value]})
    assert ("exit_code", "exit code 1") == (value["reason"]["kind"], value["reason"]["text"])


def test_the_schema_has_the_states_and_kinds_of_the_code() -> None:
    job = SCHEMA["$defs"]["job"]["properties"]

    assert {*map(str, ClientState), "Undefined"} == set(job["state"]["enum"])
    assert set(map(str, ReasonKind)) == set(SCHEMA["$defs"]["reason"]["properties"]["kind"]["enum"])


def test_the_page_names_everything_that_a_job_has() -> None:
    page = (DOCS / "json.md").read_text()

    names: list[Any] = [*SCHEMA["$defs"]["job"]["properties"], *map(str, ReasonKind)]
    assert [] == [name for name in names if f"`{name}`" not in page]
