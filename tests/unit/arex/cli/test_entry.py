"""The edge of the programs: exit codes, one sentence, and what is not imported."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from arex.cli import entry
from arex.cli.group import SUBCOMMANDS
from tests import environments
from tests.shell import User

HEAVY = {"lxml", "yaml", "watchdog", "asyncio", "importlib.metadata", "subprocess", "logging"}


@pytest.mark.parametrize("program", sorted(entry.COMMANDS))
def test_every_program_has_help_and_a_version(user: User, program: str) -> None:
    shown = user.run(program, "--help")

    assert (shown.code, shown.out.startswith(f"Usage: {program}")) == (0, True)
    assert user.run(program, "--version").code == 0


def test_every_program_is_installed_under_its_name() -> None:
    scripts = importlib.metadata.entry_points(group="console_scripts")

    assert {name: f"arex.cli.entry:{name}" for name in entry.COMMANDS} == {
        script.name: script.value for script in scripts if script.value.startswith("arex.cli.entry:")
    }


def imported(code: str, user: User) -> set[str]:
    """Modules that a new interpreter has after this."""
    show = "import json, sys; sys.stderr.write('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{show}"], cwd=user.home, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(environments.ROOT)},
    )  # fmt: skip
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_a_submission_imports_nothing_heavy(user: User) -> None:
    (user.home / "job.xrsl").write_text("&(executable=/bin/true)")

    modules = imported("from arex.cli import entry; assert entry.call('arcsub', ['job.xrsl']) == 0", user)

    assert modules & HEAVY == set()
    assert "arex.cli.arcstat" not in modules


def test_a_status_imports_nothing_heavy(user: User) -> None:
    user.submit()

    modules = imported("from arex.cli import entry; assert entry.call('arcstat', ['-a']) == 0", user)

    assert modules & HEAVY == set()


@pytest.mark.parametrize("program", ["arccp", "arcls", "arcmkdir", "arcproxy", "arcrename", "arcrm"])
def test_the_help_of_a_command_for_files_imports_nothing_heavy(user: User, program: str) -> None:
    modules = imported(f"from arex.cli import entry; assert entry.call('{program}', ['--help']) == 0", user)

    assert modules & {*HEAVY, "aiohttp", "asyncssh", "cryptography"} == set()
    assert not [name for name in modules if name.startswith("arex.staging")]


def test_a_list_of_a_session_directory_imports_nothing_heavy(user: User) -> None:
    job = user.submit()

    modules = imported(f"from arex.cli import entry; assert entry.call('arcls', ['{job}']) == 0", user)

    assert modules & HEAVY == set()


def test_the_overview_of_arex_imports_none_of_its_commands(user: User) -> None:
    modules = imported("from arex.cli import entry; assert entry.call('arex', ['--help']) == 0", user)

    assert not modules & {target.partition(":")[0] for target, _ in SUBCOMMANDS.values()}


@pytest.mark.parametrize("name", sorted(SUBCOMMANDS))
def test_every_command_of_arex_is_there(user: User, name: str) -> None:
    assert user.run("arex", name, "--help").code == 0


def test_a_mistyped_command_gets_a_suggestion(user: User) -> None:
    assert "Did you mean start?" in user.run("arex", "strat").err


def test_our_errors_are_one_sentence_with_their_exit_code(user: User) -> None:
    (user.home / "arc.conf").write_text("[arex]\nmaxjobs=many\n")

    said = user.run("arcsub", "-e", "&(executable=/bin/true)")

    assert said.code == 2
    assert said.err.startswith("arcsub: ")
    assert "Traceback" not in said.err


def test_an_interrupt_has_the_shell_s_code(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **_more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("arex.cli.arcstat.choose", interrupted)

    assert user.run("arcstat", "-a").code == 130


def test_an_internal_error_is_one_sentence_without_a_traceback(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **_more: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("arex.cli.arcstat.choose", broken)

    said = user.run("arcstat", "-a")

    assert said.code == 70
    assert "internal error, please report: ZeroDivisionError: oops" in said.err


def test_a_reader_who_leaves_early_is_no_error(user: User) -> None:
    """As in ``arcstat -a | head -1``."""
    for _ in range(3):
        user.submit()
    code = "from arex.cli import entry; entry.arcstat()"
    pipe = f'for i in $(seq 500); do set -- "$@" hello; done; {sys.executable} -c "{code}" -l "$@" | true'

    done = subprocess.run(
        ["/bin/bash", "-c", pipe], cwd=user.home, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(environments.ROOT)},
    )  # fmt: skip

    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr


def test_output_to_a_full_disk_is_one_sentence_and_an_error(user: User) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from arex.cli.entry import arcstat; arcstat()", "--help"],
            cwd=user.home, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(environments.ROOT)},
        )  # fmt: skip

    assert (1, "arcstat: No space left on device\n") == (done.returncode, done.stderr)


@pytest.mark.parametrize(
    "words", ["arex", "arex config", "arexctl", "arexctl rte", "arexctl rte params", "arexctl cache", "arexctl session"]
)
def test_the_list_of_commands_cuts_no_description(user: User, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    program, *rest = words.split()

    lines = user.run(program, *rest, "--help").out.splitlines()

    assert [] == [line for line in lines if line.endswith("...") and not line.startswith("Usage:")]


def test_examples_are_in_the_help_once(user: User) -> None:
    user.run("arcstat", "--help")

    shown = user.run("arcstat", "--help").out

    assert 1 == shown.count("Examples:")
    assert "arcstat -a -s Running  show running jobs only" in shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_there_for_every_program(user: User, shell: str) -> None:
    said = user.run("arex", "completion", shell)

    assert said.code == 0
    assert all(f"_{name.upper()}_COMPLETE" in said.out for name in entry.COMMANDS)


def test_job_ids_are_completed_from_the_list(user: User) -> None:
    job = user.submit()

    done = subprocess.run(
        [sys.executable, "-c", "from arex.cli import entry; entry.arcstat()"], cwd=user.home, capture_output=True,
        text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(environments.ROOT), "_ARCSTAT_COMPLETE": "bash_complete",
             "COMP_WORDS": f"arcstat {job[:5]}", "COMP_CWORD": "1"},
    )  # fmt: skip

    assert done.stdout.split() == [f"plain,{job}"]


# --- closed streams ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("call", "code"),
    [("arcstat -a", 0), ("arcsub -e '&(executable=/bin/true)'", 0), ("arcstat nosuchjob", 1), ("arcstat --nonsense", 2),
     ("arcls nosuchjob", 1), ("arex status", 3), ("arex nonsense", 2), ("arcsub -", 1)],
)  # fmt: skip
def test_closed_streams_change_no_exit_code(user: User, call: str, code: int, closed: str) -> None:
    user.submit()
    program, _, arguments = call.partition(" ")

    done = _in_shell(user, f"{_command(program)} {arguments} {closed}")

    assert code == done.returncode, done.stderr
    assert not {"Traceback", "AttributeError", "internal error"} & set(re.findall(r"[A-Za-z]+(?: error)?", done.stderr))


def test_files_do_not_take_the_place_of_closed_streams(user: User) -> None:
    """Else what a child prints would go into them."""
    inside = (
        "import sys, os; from arex.cli import entry; entry._open_closed_streams(); "
        "fd = os.open('first', os.O_CREAT | os.O_WRONLY); os.system('echo lost; echo lost >&2'); "
        "sys.exit(0 if fd > 2 else 9)"
    )
    done = _in_shell(user, f'{sys.executable} -c "{inside}" <&- >&- 2>&-')

    assert 0 == done.returncode
    assert "" == (user.home / "first").read_text()


def _command(program: str) -> str:
    return f"{sys.executable} -c 'from arex.cli import entry; entry.{program}()'"


def _in_shell(user: User, line: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(environments.ROOT)}
    return subprocess.run(["sh", "-c", line], cwd=user.home, env=environment, capture_output=True, text=True,
                          check=False)  # fmt: skip
