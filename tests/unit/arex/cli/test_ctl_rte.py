from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from arex.cli import ctl_rte
from arex.errors import ArexError

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("ARC_CONFIG", str(tmp_path / "arc.conf"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "arc.conf").write_text(
        f"[common]\n[lrms]\nlrms=fork\n[arex]\ncontroldir={tmp_path}/ctl\nsessiondir={tmp_path}/session\n"
        f"runtimedir={tmp_path}/rte\n[queue:q]\n"
    )
    script = tmp_path / "rte" / "APPS" / "X-1.0"
    script.parent.mkdir(parents=True)
    script.write_text("# description: an application\n# param:COLOUR:red,blue:red:which one\necho x\n")

    def call(*args: str) -> Result:
        return CliRunner().invoke(ctl_rte.group, list(args))

    return call


def why(result: Result) -> str:
    assert isinstance(result.exception, ArexError)
    return str(result.exception)


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_list_says_how_each_environment_is_used(run: Run, tmp_path: Path) -> None:
    run("enable", "APPS/X-1.0")
    run("default", "ENV/PROXY")
    run("enable", "--dummy", "NAME/ONLY")
    (tmp_path / "ctl/rte/enabled/GONE").symlink_to("/no/such")

    lines = run("list").stdout.splitlines()

    assert f"{'APPS/X-1.0':32} (user, enabled)" in lines
    assert f"{'ENV/PROXY':32} (system, default)" in lines
    assert f"{'ENV/RTE':32} (system, disabled)" in lines
    assert f"{'NAME/ONLY':32} (dummy, enabled)" in lines
    assert f"{'GONE':32} (broken, enabled)" in lines


def test_a_script_of_arc_that_is_enabled_under_a_name_of_ours_is_listed_once(run: Run, tmp_path: Path) -> None:
    """As ``arcctl rte enable`` of ARC links its own."""
    theirs = tmp_path / "arc/ENV/PROXY"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("# description: of ARC\n")
    link = tmp_path / "ctl/rte/enabled/ENV/PROXY"
    link.parent.mkdir(parents=True)
    link.symlink_to(theirs)
    (link.parent / "RTE").symlink_to("/no/such")

    lines = [line for line in run("list").stdout.splitlines() if line.startswith(("ENV/PROXY ", "ENV/RTE "))]
    [row] = document(run("list", "--enabled", "--json"))["runtimes"][:1]

    assert [f"{'ENV/PROXY':32} (system, enabled)", f"{'ENV/RTE':32} (system, broken, enabled)"] == lines
    assert {
        "name": "ENV/PROXY",
        "path": str(theirs),
        "kinds": ["system", "enabled", "available"],
        "description": "of ARC",
    } == row


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("-e", ["APPS/X-1.0", "GONE (broken)", "NAME/ONLY"]),
        ("--default", ["ENV/PROXY"]),
        ("-u", ["APPS/X-1.0"]),
        ("-n", ["NAME/ONLY"]),
        ("-s", ["ENV/CONDOR/DOCKER", "ENV/LRMS-SCRATCH", "ENV/PROXY", "ENV/RTE", "ENV/SINGULARITY"]),
    ],
)
def test_a_part_of_the_list(run: Run, tmp_path: Path, option: str, expected: list[str]) -> None:
    run("enable", "APPS/X-1.0")
    run("default", "ENV/PROXY")
    run("enable", "-d", "NAME/ONLY")
    (tmp_path / "ctl/rte/enabled/GONE").symlink_to("/no/such")

    assert run("list", option).stdout.splitlines() == expected


def test_the_long_list_has_descriptions_and_paths(run: Run, tmp_path: Path) -> None:
    run("enable", "APPS/X-1.0")

    text = run("list", "-l").stdout

    assert "# an application" in text
    assert f"-> {tmp_path}/rte/APPS/X-1.0" in text


def test_the_list_for_programs(run: Run, tmp_path: Path) -> None:
    run("enable", "APPS/X-1.0")

    assert document(run("list", "--enabled", "--json"))["runtimes"] == [
        {
            "name": "APPS/X-1.0",
            "path": f"{tmp_path}/rte/APPS/X-1.0",
            "kinds": ["user", "enabled", "available"],
            "description": "an application",
        }
    ]


def test_patterns_and_paths_stand_for_names(run: Run, tmp_path: Path) -> None:
    assert run("enable", "ENV/R*", f"{tmp_path}/rte/APPS/X-1.0").exit_code == 0
    assert run("list", "-e").stdout.split() == ["APPS/X-1.0", "ENV/RTE"]

    assert run("disable", "*").exit_code == 0
    assert run("list", "-e").stdout == ""


def test_a_misspelt_name_changes_nothing_and_the_right_one_is_named(run: Run) -> None:
    assert "did you mean ENV/PROXY?" in why(run("enable", "ENV/RTE", "ENV/PORXY"))
    assert run("list", "-e").stdout == ""


def test_what_is_done_already_is_reported_and_is_no_error(run: Run) -> None:
    run("enable", "ENV/RTE")

    again = run("enable", "ENV/RTE")

    assert (again.exit_code, again.stdout, again.stderr) == (0, "", "ENV/RTE is already enabled\n")


def test_what_is_not_enabled_can_not_be_disabled(run: Run) -> None:
    assert why(run("disable", "ENV/RTE")) == "ENV/RTE is not enabled"
    assert why(run("undefault", "ENV/RTE")) == "ENV/RTE is not default"


def test_default_and_undefault_leave_enabled_alone(run: Run) -> None:
    run("enable", "ENV/RTE")
    run("default", "ENV/RTE")

    run("undefault", "ENV/RTE")

    assert run("list", "-e").stdout == "ENV/RTE\n"
    assert run("list", "-d").stdout == ""


def test_parameters_are_shown_set_and_unset(run: Run) -> None:
    assert run("params", "get", "APPS/X-1.0").stdout == "COLOUR=red\n"

    assert run("params", "set", "APPS/X-1.0", "COLOUR", "blue").exit_code == 0
    assert run("params-get", "APPS/X-1.0").stdout == "COLOUR=blue\n"
    assert "which one (default: red; values: red,blue)" in run("params", "get", "-l", "APPS/X-1.0").stdout
    assert document(run("params", "get", "--json", "APPS/X-1.0"))["parameters"][0]["set"] is True

    assert run("params-unset", "APPS/X-1.0", "COLOUR").exit_code == 0
    assert run("params", "get", "APPS/X-1.0").stdout == "COLOUR=red\n"


def test_an_impossible_value_is_refused(run: Run) -> None:
    assert why(run("params-set", "APPS/X-1.0", "COLOUR", "green")) == "COLOUR must be one of red, blue, not 'green'"


def test_a_script_is_printed_as_jobs_get_it(run: Run, tmp_path: Path) -> None:
    run("params", "set", "APPS/X-1.0", "COLOUR", "blue")

    assert run("cat", "APPS/X-1.0").stdout == 'COLOUR="blue"\n' + (tmp_path / "rte/APPS/X-1.0").read_text()
    assert "did you mean" in why(run("cat", "APPS/X-1.1"))


def test_a_dummy_prints_nothing(run: Run) -> None:
    run("enable", "-d", "NAME/ONLY")

    assert run("cat", "NAME/ONLY").stdout == ""


@pytest.mark.parametrize(
    ("args", "incomplete", "expected"),
    [
        (["enable"], "ENV/P", ["ENV/PROXY"]),
        (["enable"], "ENV/RT", []),
        (["disable"], "", ["ENV/RTE"]),
        (["cat"], "APPS", ["APPS/X-1.0"]),
        (["params", "set", "APPS/X-1.0"], "", ["COLOUR"]),
        (["params", "set", "APPS/X-1.0", "COLOUR"], "b", ["blue"]),
    ],
)
def test_shells_complete_names(run: Run, args: list[str], incomplete: str, expected: list[str]) -> None:
    run("enable", "ENV/RTE")

    found = ShellComplete(ctl_rte.group, {}, "rte", "_RTE_COMPLETE").get_completions(args, incomplete)

    assert [each.value for each in found] == expected
